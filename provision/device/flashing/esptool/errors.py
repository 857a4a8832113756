"""What esptool raises, as one of our errors: it has one class of exception, so that its words tell.

They come from a board in part: made printable and cut before anybody sees them.
"""

from __future__ import annotations

import struct

from provision.core.install_command import install_command
from provision.core.wording import printable
from provision.errors import BoardError, DeviceError, FlashFailed, NoAnswer

_NOISE = ("noise", "corrupt", "Corrupt", "Invalid SLIP", "Digest mismatch", "checksum")
_SILENCE = ("No serial data received", "stopped", "No more data", "no response", "no sync reply")
# What is done to the flash, its verification included. Where anything else fails, the board could
# not be talked to, and that is all: what could not be read is not damaged for that.
_CHANGING = ("writing", "erasing", "reading back")
_UNKNOWN_CHIP = ("Unexpected chip", "Failed to autodetect", "Unknown")
# What esptool lets out when an answer that a bad line damaged, or that no chip would give, has
# the right frame and the wrong content.
NONSENSE = (struct.error, UnicodeDecodeError, LookupError, OverflowError)


def translate(error: Exception, doing: str, device: str) -> DeviceError:
    """One of our errors for what esptool raised while `doing` something."""
    words = str(error).split("\nFor troubleshooting")[0].split()
    said = printable(" ".join(words)).rstrip(".")
    text = f"{doing} failed: {said}"
    if any(word in said for word in _UNKNOWN_CHIP):
        return BoardError(
            text,
            hint="a chip newer than the installed esptool needs a newer one: "
            f"`{install_command('--upgrade esptool')}`",
            device=device,
        )
    changing = doing.startswith(_CHANGING)
    if changing and any(word in said for word in _NOISE):
        return FlashFailed(text, device=device)
    if not changing or any(word in said for word in _SILENCE):
        return NoAnswer(
            text,
            hint="check power and cable, connect directly rather than through a hub, "
            "and try a lower baud rate",
            device=device,
        )
    return FlashFailed(text, device=device)
