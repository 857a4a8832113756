"""Files that are no firmware image of any family, told by what they are instead."""

from __future__ import annotations

from provision.errors import ImageError

_SECTOR = 4096

_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\x7fELF",
        "is an ELF file, the linker's output, and cannot be flashed",
        "use firmware.bin or firmware.uf2 from the same build directory",
    ),
    (b"\x1f\x8b", "is compressed with gzip", "unpack it with gunzip first"),
    (b"PK\x03\x04", "is a zip archive", "unpack it first and use the image inside"),
)


def foreign_format(data: bytes, name: str) -> ImageError:
    """The error that says what these bytes are instead of a firmware image."""
    if not data:
        return ImageError(f"{name} is empty", hint="download the image again")
    for signature, what, hint in _SIGNATURES:
        if data.startswith(signature):
            return ImageError(f"{name} {what}", hint=hint)
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        return ImageError(
            f"{name} is a web page, not an image: the server answered with HTML",
            hint="download the image itself (its link ends in .bin or .uf2), not the page about it",
        )
    if data[:_SECTOR].count(0xFF) == len(data[:_SECTOR]):
        return ImageError(
            f"{name} starts with erased flash: it looks like a dump of a whole flash, "
            "not like a release image",
            hint="download the .bin of a release; write a dump with esptool at offset 0",
        )
    head = data[:512]
    if all(byte in b"\t\r\n" or 0x20 <= byte < 0x7F for byte in head):
        first = head.splitlines()[0][:60].decode("ascii")
        return ImageError(
            f"{name} is a text file, not an image; it begins with {first!r}",
            hint="download the image of a release from micropython.org/download",
        )
    return ImageError(
        f"{name} is not a firmware image of a chip that this tool knows: "
        f"it starts with byte 0x{data[0]:02x}"
    )
