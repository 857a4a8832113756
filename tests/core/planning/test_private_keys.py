"""Keys are told from anything else that a board may hold."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from provision.core.planning.private_keys import is_private_key
from tests.cas import make_ca

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PKCS8, OLD, PLAIN = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, NoEncryption()


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_keys_of_each_form(encoding: Encoding) -> None:
    for key in (EC, RSA):
        for form in (PKCS8, OLD):
            assert is_private_key(key.private_bytes(encoding, form, PLAIN))
        secret = BestAvailableEncryption(b"password")
        assert is_private_key(key.private_bytes(encoding, PKCS8, secret))
    assert is_private_key(
        ed25519.Ed25519PrivateKey.generate().private_bytes(encoding, PKCS8, PLAIN)
    )


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_what_is_no_key(encoding: Encoding) -> None:
    for key in (EC, RSA):
        public = key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        assert not is_private_key(public)
    certificate, pem = make_ca()
    assert not is_private_key(certificate)
    assert not is_private_key(b"KEY = '''" + pem + b"'''\n"), "a program that holds one"
    assert not is_private_key(b"")


@given(st.binary(max_size=40))
def test_whatever_a_file_begins_with(data: bytes) -> None:
    for before in (b"", b"0", b"0\x82", b"0\x03\x02\x01", b"\x30\x81\xff\x30\xff"):
        assert is_private_key(before + data) in (True, False)
