"""Which file of a board is a private key, told by its first bytes: no rollback keeps one that
`certificate:` has made, however it is named and whatever becomes of it."""

from __future__ import annotations

_PEM = b"PRIVATE KEY-----"
_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04


def is_private_key(data: bytes) -> bool:
    """Whether it is one: PEM, or DER as PKCS #8 (encrypted or not), PKCS #1 or SEC 1 have it."""
    if data.lstrip().startswith(b"-----BEGIN "):
        return _PEM in data
    version = _inside(data, 0, _SEQUENCE)
    if version is None:
        return False
    first = _inside(data, version, _SEQUENCE)
    if first is not None:  # PKCS #8, encrypted: the algorithm by its number, then the octets
        end = first + data[first - 1]
        return data[first : first + 1] == b"\x06" and data[end : end + 1] == bytes([_OCTETS])
    at = _inside(data, version, _INTEGER)
    if at is None or data[at - 1 : at + 1] not in (b"\x01\x00", b"\x01\x01"):
        return False
    after = data[at + 1 : at + 2]
    if after == bytes([_SEQUENCE]):  # PKCS #8
        return True
    if after == bytes([_OCTETS]):  # SEC 1
        return data[at : at + 1] == b"\x01"
    return after == bytes([_INTEGER])  # PKCS #1: the modulus


def _inside(data: bytes, at: int, kind: int) -> int | None:
    """Where the content of an element of DER begins; None where there is none of this kind."""
    if len(data) < at + 2 or data[at] != kind:
        return None
    length = data[at + 1]
    begins = at + 2 + (length & 0x7F if length >= 0x80 else 0)
    return begins if begins < len(data) else None
