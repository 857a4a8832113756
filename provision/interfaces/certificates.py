"""Who makes the certificates of units: a CA whose key is a file here, or one outside."""

from __future__ import annotations

from typing import Protocol

from provision.model.unit_data import CertificateFacts, DesiredCertificate, IssuedCertificate


class CertificateAuthority(Protocol):
    """Judges and makes certificates. SourceError where the CA's own files cannot be used."""

    def fault(self, wanted: DesiredCertificate, certificate: bytes, key_sha256: str) -> str | None:
        """Why a certificate that a board has, beside a key with this digest, has to be made anew,
        as "it expires on 2026-12-01"; None where it need not be."""
        ...

    def made_for(self, certificate: bytes, key_sha256: str) -> bool:
        """Whether this is a certificate that `issue` has made, with the key of this digest."""
        ...

    def facts(self, certificate: bytes) -> CertificateFacts | None:
        """What may be told of a certificate; None where it cannot be read."""
        ...

    def issue(self, wanted: DesiredCertificate) -> IssuedCertificate:
        """A new key and its certificate. Neither is kept anywhere."""
        ...
