"""Names of devices, and of files on boards, as names of files on this computer.

They may be anything: `..`, `C:\\x`, `NUL`, bytes that are no text.
"""

from __future__ import annotations

import hashlib
import re

# On Windows, whatever follows the first dot, and with spaces before that: as `ntpath.isreserved`.
_DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d\u00b9\u00b2\u00b3]) *(\..*)?$",
    re.IGNORECASE | re.DOTALL,
)
_UNSAFE = '<>:"/\\|?*%'
_LONGEST = 240  # bytes, of the 255 of most systems: a suffix goes behind it


def plain_name(name: str) -> str:
    """A name for one part of a path that is a plain one on any computer; the same where it is so
    already, and another for every other name."""
    out = []
    for byte in name.encode("utf-8", "surrogateescape") if _odd(name) else b"":
        char = chr(byte)
        out.append(char if char.isascii() and char.isprintable() and char not in _UNSAFE else
                   f"%{byte:02X}")  # fmt: skip
    plain = "".join(out) or name
    if plain[-1:] in (".", " ") or not plain:
        plain = f"{plain[:-1]}%{ord(plain[-1]):02X}" if plain else "%"
    if _DEVICES.match(plain):
        plain = f"%{ord(plain[0]):02X}{plain[1:]}"
    if len(plain.encode()) > _LONGEST:
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        plain = plain.encode()[: _LONGEST - 17].decode("utf-8", "ignore") + "%" + digest
    return plain


def _odd(name: str) -> bool:
    return any(char in _UNSAFE or not char.isprintable() for char in name)
