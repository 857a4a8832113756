"""What one unit is given besides its files: the entries of its NVS, and a certificate.

NVS is the small store of keys and values that a chip's own libraries keep in flash beside the
firmware, Wi-Fi settings among them; a program reads it without a filesystem.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal, get_args

from provision.model.language import record

NvsType = Literal["u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "str", "blob"]
NVS_TYPES: tuple[NvsType, ...] = get_args(NvsType)

NVS_NAME = "NVS"
"""What it is called among what an erase spares or loses."""

MICROPYTHON_TYPES: frozenset[NvsType] = frozenset({"i32", "blob"})
"""What MicroPython reads and writes of NVS; it has functions for no other type."""


@record
class NvsEntry:
    """One key and its value. `data` are the bytes as they are stored: whole numbers little-endian
    in the width of their type, text in UTF-8 without the NUL at its end; None of an entry whose
    value nobody asked for. `secrets` are the secret texts that went into the value: one that is
    `sensitive` is shown nowhere, nor a digest of it."""

    namespace: str
    key: str
    type: NvsType
    data: bytes | None = field(repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def place(self) -> tuple[str, str]:
        """What tells it from the others."""
        return self.namespace, self.key

    @property
    def name(self) -> str:
        """The same for people."""
        return f"{self.namespace}.{self.key}"

    @property
    def sensitive(self) -> bool:
        return bool(self.secrets)

    @property
    def value(self) -> int | str | bytes | None:
        """The value as its type means it; text that is no UTF-8 has `\\xff` in its place."""
        if self.data is None or self.type == "blob":
            return self.data
        if self.type == "str":
            return self.data.decode("utf-8", "backslashreplace")
        return int.from_bytes(self.data, "little", signed=self.type.startswith("i"))

    def same_as(self, other: NvsEntry) -> bool:
        """Whether it is the other's value, of the same type."""
        return (self.type, self.data) == (other.type, other.data)


def number_range(kind: NvsType) -> tuple[int, int] | None:
    """The least and the greatest whole number of a type; None of text and blobs."""
    if kind in ("str", "blob"):
        return None
    bits = int(kind[1:])
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.startswith("i") else (0, (1 << bits) - 1)


def number_data(kind: NvsType, number: int) -> bytes:
    """A whole number within `number_range` as it is stored."""
    return number.to_bytes(int(kind[1:]) // 8, "little", signed=kind.startswith("i"))


@record(slots=False)
class DesiredCertificate:
    """The key and the certificate that a board must have, made for it alone: at `dest_cert` and
    `dest_key`, in PEM where the name ends so, else in DER. `ca` is what messages call the CA, whose
    certificate and key are the texts or bytes of its files. It is valid for `days`, and made anew
    when no more than `renew` of them are left."""

    ca: str
    ca_cert: bytes = field(repr=False)
    ca_key: bytes = field(repr=False)
    cn: str
    dest_cert: str
    dest_key: str
    key: Literal["ec", "rsa"] = "ec"
    days: int = 365
    renew: int = 30

    @property
    def paths(self) -> frozenset[str]:
        return frozenset({self.dest_cert, self.dest_key})


@record
class CertificateFacts:
    """What may be told of a certificate: the sha256 of its DER as hex, who it is for, its serial
    number as hex, and the day it expires, as ISO 8601."""

    fingerprint: str
    cn: str
    serial: str
    expires: str


@record
class IssuedCertificate:
    """A key and its certificate as they go to the board."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
