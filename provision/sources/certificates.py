"""Certificates for units, by a CA whose certificate and key are files of this computer.

A key is made in memory, goes to its board, and is forgotten. That a certificate belongs to the key
beside it is seen without reading that: its serial number is made from the key file's digest, which
the board computes. So whatever was cut between the writing of the two is noticed, and made anew.
`cryptography` is imported only when a certificate is made or judged.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from provision.core.install_command import install_extra_command
from provision.errors import SourceError, UsageError
from provision.model.unit_data import CertificateFacts, DesiredCertificate, IssuedCertificate

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding

PEM = ".pem"
_BEFORE = timedelta(days=1)  # a board's clock may be behind


def now() -> datetime:
    return datetime.now(timezone.utc)


class FileAuthority:
    """Implements `interfaces.CertificateAuthority`."""

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock

    def fault(self, wanted: DesiredCertificate, certificate: bytes, key_sha256: str) -> str | None:
        ca, _ = _authority(wanted)
        found = _read(certificate)
        if found is None:
            return "it is no certificate"
        try:
            found.verify_directly_issued_by(ca)
        except Exception:  # noqa: BLE001 - whatever a stranger's certificate makes it raise
            return f"{wanted.ca} has not issued it"
        cn = _common_name(found)
        if cn != wanted.cn:
            return f"it is for {cn!r}, {wanted.cn!r} is wanted"
        if found.serial_number != _serial(key_sha256):
            return "it is not of the key beside it"
        expires, today = found.not_valid_after_utc, self._clock()
        if expires <= today:
            return f"it expired on {expires.date()}"
        if expires <= today + timedelta(days=wanted.renew):
            return f"it expires on {expires.date()}"
        return None

    def made_for(self, certificate: bytes, key_sha256: str) -> bool:
        found = _read(certificate) if importlib.util.find_spec("cryptography") else None
        return found is not None and found.serial_number == _serial(key_sha256)

    def facts(self, certificate: bytes) -> CertificateFacts | None:
        found = _read(certificate)
        if found is None:
            return None
        return CertificateFacts(
            fingerprint=found.fingerprint(_sha256()).hex(),
            cn=_common_name(found),
            serial=f"{found.serial_number:x}",
            expires=found.not_valid_after_utc.date().isoformat(),
        )

    def issue(self, wanted: DesiredCertificate) -> IssuedCertificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

        ca, ca_key = _authority(wanted)
        today = self._clock()
        expires = min(today + timedelta(days=wanted.days), ca.not_valid_after_utc)
        if expires <= today + timedelta(days=wanted.renew):
            raise SourceError(
                f"{wanted.ca}: the CA expires on {ca.not_valid_after_utc.date()}",
                hint="make a new CA, or `renew` later",
            )
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
        if wanted.key == "ec":
            key = ec.generate_private_key(ec.SECP256R1())
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key_file = key.private_bytes(
            _encoding(wanted.dest_key),
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        usages = (x509.OID_CLIENT_AUTH, x509.OID_SERVER_AUTH)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.OID_COMMON_NAME, wanted.cn)]))
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(_serial(hashlib.sha256(key_file).hexdigest()))
            .not_valid_before(today - _BEFORE)
            .not_valid_after(expires)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(authority(ca_key.public_key()), False)
            .sign(ca_key, _sha256())
        )
        return IssuedCertificate(
            certificate=made.public_bytes(_encoding(wanted.dest_cert)), key=key_file
        )


def _authority(
    wanted: DesiredCertificate,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]:
    """The CA's certificate and key; SourceError in words where they are none."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
    except ImportError:
        raise UsageError(
            "`certificate` needs the package cryptography",
            hint=f"run `{install_extra_command('certificates')}`",
        ) from None
    ca = _read(wanted.ca_cert)
    if ca is None:
        raise SourceError(f"{wanted.ca} is no certificate, in PEM or DER")
    load = (
        serialization.load_pem_private_key
        if wanted.ca_key.lstrip().startswith(b"-----")
        else serialization.load_der_private_key
    )
    try:
        key = load(wanted.ca_key, None)
    except TypeError:
        raise SourceError(
            f"the key of {wanted.ca} is encrypted", hint="give a key without a password"
        ) from None
    except Exception:  # noqa: BLE001 - whatever the library makes of a file that is no key
        raise SourceError(f"the key of {wanted.ca} cannot be read, in PEM or DER") from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise SourceError(f"the key of {wanted.ca} is neither EC nor RSA")
    if key.public_key() != ca.public_key():
        raise SourceError(f"the key given for {wanted.ca} is not its own")
    return ca, key


def _read(data: bytes) -> x509.Certificate | None:
    from cryptography import x509

    load = (
        x509.load_pem_x509_certificate
        if data.lstrip().startswith(b"-----")
        else x509.load_der_x509_certificate
    )
    try:
        return load(data)
    except Exception:  # noqa: BLE001 - what a board holds may be anything
        return None


def _common_name(certificate: x509.Certificate) -> str:
    from cryptography import x509

    names = certificate.subject.get_attributes_for_oid(x509.OID_COMMON_NAME)
    return str(names[0].value) if names else ""


def _serial(key_sha256: str) -> int:
    """A serial number as X.509 wants it, positive and of 20 bytes at the most, that tells of the
    key file no more than that it is this one."""
    digest = hashlib.sha256(b"provision certificate " + key_sha256.encode()).digest()
    return int.from_bytes(digest[:16], "big") | 1


def _sha256() -> hashes.SHA256:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def _encoding(path: str) -> Encoding:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.PEM if path.endswith(PEM) else Encoding.DER
