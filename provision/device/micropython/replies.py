"""What a board answers to the agent's programs: data from a stranger.

Bounded, read as literals and never evaluated. What something else on the board prints in between
makes an answer malformed, and it is asked again. The answers to a scan are in `scan_protocol`.
"""

from __future__ import annotations

import ast
import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from provision.core.chips.registry import chip_of_machine
from provision.core.wording import printable
from provision.device.micropython.raw_repl import RawRepl
from provision.errors import BoardError
from provision.model.board_path import path_of_bytes
from provision.model.language import record
from provision.model.state import ActualState, FirmwareIdentity

T = TypeVar("T")

FLASH_PIECE = 1024  # bytes of flash in a line of agent/flash.py's answer

_MAX_LINE = 2048
# What MicroPython's repr writes: tuples of text, bytes, whole numbers and names of constants. No
# more is given to the parser of literals, which would warn of odd escapes on standard error and
# take numbers of any length.
_ESCAPE = (
    r"""\\(?:[\\'"nrt]|x[0-9a-f]{2}|u(?!d[89a-f])[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})"""
)
_LITERAL = re.compile(
    r"(?:[(), ]|(?:None|True|False|-?[0-9]{1,19})(?=[(), ]|$)"
    rf"""|b?'(?:[^'\\]|{_ESCAPE})*'|b?"(?:[^"\\]|{_ESCAPE})*")*"""
)
_MAX_LINES = 50_000


class MalformedReply(Exception):
    """An answer that cannot be read: something else on the board printed in between."""


class DamagedProgram(MalformedReply):
    """What arrived is not the program that was sent: nothing of it was run."""


def retry(raw: RawRepl, attempt: Callable[[], T]) -> T:
    """Once more when something else on the board printed into the answer, or the line damaged what
    was sent."""
    try:
        return attempt()
    except MalformedReply:
        try:
            return attempt()
        except DamagedProgram as error:
            raise BoardError(
                "the line damages what is sent to the board: a program arrived changed, twice, and "
                "was not run",
                hint="try another cable or USB port, or a shorter cable; then run again",
            ) from error
        except MalformedReply as error:
            raise BoardError(
                f"the board's answer cannot be read: {raw.excerpt(str(error))!r}",
                hint="a timer or thread of the app may print in between; "
                "reset the board and run again",
            ) from error


def read_identity(line: str) -> ActualState:
    """What agent/facts.py printed; BoardError for a MicroPython of another family."""
    match literal(line):
        case ("\x02", str() as build, str() as machine, bytes() as mac, flash, bytecode):
            pass
        case _:
            raise MalformedReply(line)
    firmware = identity(build, machine)
    return ActualState(
        chip=firmware.chip,
        mac=mac.hex(":") if len(mac) in (6, 8) else None,
        flash_size=flash if isinstance(flash, int) and flash > 0 else None,
        firmware=firmware,
        bytecode=bytecode if isinstance(bytecode, int) else None,
    )


def first_line(answer: str) -> tuple[ActualState, str]:
    """Who the board is by the line that agent/facts.py printed first, and what followed."""
    first, _, rest = answer[max(answer.find("("), 0) :].partition("\n")
    return read_identity(first.rstrip("\r")), rest


def identity(build: str, machine: str) -> FirmwareIdentity:
    """From `os.uname()`: its build ("v1.24.1 on 2024-11-29") and its machine."""
    version, _, date = printable(build).partition(" on ")
    machine = printable(machine)
    chip = chip_of_machine(machine)
    if chip is None:
        raise BoardError(
            f"a MicroPython answers, but on a board this tool does not know: {machine}",
            hint="check which board is on this port",
        )
    version = version[1:] if version[:1] == "v" and version[1:2].isdigit() else version
    return FirmwareIdentity(version=version, machine=machine, chip=chip, date=date.strip())


@record
class MountReply:
    """What agent/mount.py tells: `settled` where the flash is at `/` now, or there is none that
    could be; the names of what is mounted below `/`."""

    settled: bool
    mounts: tuple[str, ...]


def read_mount_reply(text: str) -> MountReply:
    for line in lines(text):
        match literal(line):
            case ("\x02", str() as there, tuple() as mounts):
                if not all(isinstance(one, bytes) and one.startswith(b"/") for one in mounts):
                    raise MalformedReply(line)
                return MountReply(
                    settled=there in ("flash", "mounted", "none"),
                    mounts=tuple(path_of_bytes(one) for one in mounts),
                )
            case _:
                pass  # something on the board prints
    raise MalformedReply(text)


def read_flash_reply(text: str, size: int) -> bytes | None:
    """What agent/flash.py printed of `size` bytes of flash; None where the firmware reads none."""
    lines = text.rpartition("\x02")[2].replace("\r", "").split("\n")
    if lines[0] == "none":
        return None
    count = -(-size // FLASH_PIECE)
    if lines[0] or len(lines) != count + 3:
        raise MalformedReply(text)
    pieces = [decode_base64(line.encode()) for line in lines[1 : count + 1]]
    data = b"".join(piece.ljust(FLASH_PIECE, b"\xff") for piece in pieces)[:size]
    if hashlib.sha256(data).digest()[:9] != decode_base64(lines[count + 1].encode()):
        raise MalformedReply("bytes of the flash that do not match their digest")
    return data


def lines(text: str) -> Iterator[str]:
    """What stands between line ends, each as it is: a secret is known by every character."""
    lines = text.split("\n")
    if len(lines) > _MAX_LINES:
        raise BoardError(f"the board lists more than {_MAX_LINES} files")
    return (line for line in (each.strip("\r") for each in lines) if line)


def literal(line: str) -> object:
    if len(line) > _MAX_LINE or not _LITERAL.fullmatch(line):
        raise MalformedReply(line)
    try:
        return ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise MalformedReply(line) from error


def decode_base64(coded: bytes) -> bytes:
    """Lines of base64; MalformedReply when it is none."""
    try:
        return base64.b64decode(coded, validate=False)
    except binascii.Error as error:
        raise MalformedReply("a broken base64 text") from error
