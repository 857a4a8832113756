"""Certificates of units: what is issued, and why one that a board has will not do."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key

from provision.errors import SourceError
from provision.model.unit_data import DesiredCertificate
from provision.sources.certificates import FileAuthority
from tests.cas import make_ca

CA_CERT, CA_KEY = make_ca()
WANTED = DesiredCertificate(
    ca="ca.pem",
    ca_cert=CA_CERT,
    ca_key=CA_KEY,
    cn="kitchen",
    dest_cert="/cert.der",
    dest_key="/key.der",
)
AUTHORITY = FileAuthority()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_what_is_issued_is_a_certificate_of_its_key(kind: str) -> None:
    made = AUTHORITY.issue(replace(WANTED, key=kind))
    found = x509.load_der_x509_certificate(made.certificate)
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(CA_CERT))
    assert found.public_key() == load_der_private_key(made.key, None).public_key()
    assert 0 < found.serial_number < 1 << 159
    assert sha256(made.key) not in f"{found.serial_number:x}"
    facts = AUTHORITY.facts(made.certificate)
    assert facts is not None
    assert facts.cn == "kitchen"
    assert facts.fingerprint == sha256(made.certificate)
    assert AUTHORITY.fault(WANTED, made.certificate, sha256(made.key)) is None


def test_a_name_that_ends_in_pem_has_pem() -> None:
    made = AUTHORITY.issue(replace(WANTED, dest_cert="/c.pem", dest_key="/k.pem"))
    assert made.certificate.startswith(b"-----BEGIN CERTIFICATE-----")
    assert made.key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert AUTHORITY.fault(WANTED, made.certificate, sha256(made.key)) is None


def test_two_are_never_the_same() -> None:
    assert AUTHORITY.issue(WANTED).key != AUTHORITY.issue(WANTED).key


MADE = AUTHORITY.issue(WANTED)
OF_THE_KEY = sha256(MADE.key)


@pytest.mark.parametrize(
    ("days", "fault"),
    [
        (0, None),
        (334, None),
        (336, "it expires on"),
        (365, "it expired on"),
        (900, "it expired on"),
    ],
)
def test_one_that_is_about_to_expire_is_made_anew(days: int, fault: str | None) -> None:
    later = datetime.now(timezone.utc) + timedelta(days=days, seconds=5)
    found = FileAuthority(lambda: later).fault(WANTED, MADE.certificate, OF_THE_KEY)
    assert (found is None) == (fault is None)
    assert fault is None or (found is not None and found.startswith(fault))


def test_one_of_another_is_made_anew() -> None:
    other_cert, other_key = make_ca()  # of the same name
    other = replace(WANTED, ca_cert=other_cert, ca_key=other_key)
    fault = AUTHORITY.fault
    assert fault(other, MADE.certificate, OF_THE_KEY) == "ca.pem has not issued it"
    assert fault(replace(WANTED, cn="hall"), MADE.certificate, OF_THE_KEY) == (
        "it is for 'kitchen', 'hall' is wanted"
    )
    assert fault(WANTED, MADE.certificate, sha256(b"other")) == "it is not of the key beside it"
    assert fault(WANTED, b"rubbish", OF_THE_KEY) == "it is no certificate"
    assert fault(WANTED, b"", OF_THE_KEY) == "it is no certificate"


def test_a_ca_that_cannot_be_used_says_why() -> None:
    other_cert, other_key = make_ca()
    with pytest.raises(SourceError, match="is not its own"):
        AUTHORITY.issue(replace(WANTED, ca_key=other_key))
    with pytest.raises(SourceError, match="encrypted"):
        AUTHORITY.issue(replace(WANTED, ca_key=make_ca(password=b"x")[1]))
    with pytest.raises(SourceError, match="cannot be read"):
        AUTHORITY.issue(replace(WANTED, ca_key=b"rubbish"))
    with pytest.raises(SourceError, match=r"ca\.pem is no certificate"):
        AUTHORITY.issue(replace(WANTED, ca_cert=b"rubbish"))
    old_cert, old_key = make_ca(days=20)
    with pytest.raises(SourceError, match="the CA expires on"):
        AUTHORITY.issue(replace(WANTED, ca_cert=old_cert, ca_key=old_key))
    assert other_cert


def test_nothing_of_a_key_is_in_what_is_shown() -> None:
    assert "BEGIN" not in repr(WANTED)
    assert "BEGIN" not in repr(MADE)
