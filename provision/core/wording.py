"""How messages are worded: sizes, plurals, "did you mean", cut texts, text from untrusted sources.

Pure and below everything else of the core, so that every part of the tool says the same thing in
the same way. What a board or another program said is masked before it is cut: `excerpt`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

Redact = Callable[[str], str]
"""Masks the secrets in a text that is about to be shown (`core.manifest.redact`)."""

CUT = "…"
"""Stands where something was cut from a text; beside it a part of a secret is masked as well."""

MOST_READ = 1 << 16
"""Characters of a text that are looked through for an excerpt of it."""

_MEGABYTE = 1 << 20
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")
_SIZE_CODE = re.compile(r"(\d{1,6})(KB|MB)")


def byte_size(size: float) -> str:
    """What is sent or stored, for people: `812 B`, `4.1 kB`, `1.52 MB`; decimal, as wire rates
    are."""
    if size < 1000:
        return f"{size:.0f} B"
    if size < 999_950:
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.2f} MB"


def file_size(path: str, size: int) -> str:
    """A file and its size: `/main.py, 1,234 bytes`."""
    return f"{printable(path)}, {size:,} byte{'s' * (size != 1)}"


def memory_size(size: int) -> str:
    """A size of memory as it is sold: `4 MB` is 4 x 1024 x 1024 bytes, `512 KB` is 512 x 1024."""
    return f"{round(size / _MEGABYTE, 2):g} MB" if size >= _MEGABYTE else f"{size // 1024} KB"


def size_code(size: int) -> str:
    """A size of flash as a manifest and esptool write it: `4MB`, `512KB`."""
    return f"{size >> 20}MB" if size and size % _MEGABYTE == 0 else f"{size >> 10}KB"


def parse_size_code(code: str) -> int | None:
    """The bytes of `4MB` or `512KB`; None for anything else."""
    match = _SIZE_CODE.fullmatch(code)
    return int(match[1]) << (10 if match[2] == "KB" else 20) if match else None


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 device`, `3 devices`; `many` where an s does not do: `2 copies`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(things: Sequence[str], most: int = 8, *, joined_by: str = "and") -> str:
    """`NVS`, `/a and NVS`, `/a, /b and 12 more`: at most so many by name."""
    named = [*things[:most]]
    if len(things) > most:
        named.append(f"{len(things) - most} more")
    if len(named) < 2:
        return "".join(named)
    return f"{', '.join(named[:-1])} {joined_by} {named[-1]}"


def device_ranges(devices: Sequence[str]) -> str:
    """Names with commas; three and more in a row as the manifest's range: `desk-[01:30]`."""
    parts: list[str] = []
    run: list[str] = []
    for device in [*devices, ""]:
        if run and _follows(run[-1], device):
            run.append(device)
            continue
        if len(run) >= 3:
            first, last = _NUMBERED.fullmatch(run[0]), _NUMBERED.fullmatch(run[-1])
            assert first is not None
            assert last is not None
            parts.append(f"{first[1]}[{first[2]}:{last[2]}]{first[3]}")
        else:
            parts += run
        run = [device]
    return ", ".join(parts)


def _follows(name: str, following: str) -> bool:
    """Whether a name is the next of a range: the same but for its last number, one more."""
    first, second = _NUMBERED.fullmatch(name), _NUMBERED.fullmatch(following)
    if first is None or second is None:
        return False
    return (
        (first[1], first[3]) == (second[1], second[3])
        and int(second[2]) == int(first[2]) + 1
        and second[2] == str(int(second[2])).zfill(len(first[2]))
    )


def device_group(devices: Sequence[str]) -> str:
    """Devices that share what follows: `kitchen`, or `desk-[01:30] (30 devices)`."""
    who = device_ranges(devices)
    return f"{who} ({len(devices)} devices)" if len(devices) > 1 else who


def closest(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known words nearest to a mistyped one, best first, letter case aside."""
    from difflib import get_close_matches

    folded = {choice.lower(): choice for choice in reversed(list(known))}
    near = get_close_matches(word[:200].lower(), list(folded), n=most, cutoff=0.6)
    return [folded[each] for each in near]


def did_you_mean(word: str, known: Iterable[str], *, or_list: bool = False) -> str:
    """`; did you mean 'wemos-d1-mini'?`, to be put after a message; "" when nothing is near.

    With `or_list`, a short list of what is known is given instead of nothing.
    """
    choices = list(known)
    near = closest(word, choices)
    if near:
        return f"; did you mean '{near[0]}'?"
    if or_list and 0 < len(choices) <= 15:
        return f"; known are {', '.join(choices)}"
    return ""


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters; `…` stands for what was cut."""
    return text if len(text) <= limit else text[: limit - 1] + CUT


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: none for what stands above or within a letter,
    two for letters of East Asia and for pictures."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(char) in ("Mn", "Me", "Cf") else 1 + (east_asian_width(char) in "WF")
        for char in text
    )


def padded(text: str, width: int) -> str:
    """The text with spaces behind it, so that it takes as many columns of a terminal."""
    return text + " " * (width - columns(text))


def fitting(text: str, width: int) -> str:
    """As `shorten`, to as many columns of a terminal."""
    if columns(text) <= width:
        return text
    shown = text[: max(width - 1, 0)]
    while columns(shown) > width - len(CUT):
        shown = shown[:-1]
    return shown + CUT


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, whose cells stand below one another."""
    widths = [max(map(columns, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(map(padded, row, widths)).rstrip() for row in rows]


def excerpt(text: str, redact: Redact, limit: int = 200, *, end: bool = False) -> str:
    """What a board or another program said, for a message: its first characters, or with `end`
    its last, as one line. Secrets are masked before anything is cut or changed, and parts of them
    where the text begins and ends: it may have been cut before, by a buffer or by time."""
    text = text[-MOST_READ:] if end else text[:MOST_READ]
    text = text.strip("\ufffd")  # halves of a character
    text = redact(f"{CUT}{text}{CUT}").removeprefix(CUT).removesuffix(CUT)
    text = text.strip()[-limit:] if end else text
    return printable(text, limit)


def printable(text: str, limit: int = 200) -> str:
    """Text of untrusted origin as one line of at most `limit` characters, none of which can move a
    cursor or change a terminal: white space becomes a space, other control characters `?`. Bytes
    of a file name that are no UTF-8 stay apart from one another, as in JSON: `\\udce9` is 0xE9."""
    if not text.isprintable():
        text = "".join(map(_printable, text[: limit + 1]))
    return shorten(str(text), limit)


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    if "\ud800" <= char <= "\udfff":
        return f"\\u{ord(char):04x}"
    return " " if char.isspace() else "?"


def quoted(text: str) -> str:
    """Text of a manifest between quotes, for a message: one line, cut at 60 characters."""
    return f"'{printable(text, 60)}'"


def one_line(text: str) -> str:
    """The text with every run of white space, line ends included, as one space."""
    return " ".join(text.split())


# Whole sequences first (CSI, then OSC and the other strings up to their end), then single ones.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """Text of untrusted origin, of any length and many lines, without terminal sequences.

    It cannot move the cursor, recolour or retitle a terminal, nor hide text by writing direction.
    Other control characters become `\\x07`; tabs stay, and `\\r\\n` and a lone `\\r` become a line
    end, so that no line can overwrite another.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub(_escaped, text)


def harmless_line(text: str) -> str:
    """As `harmless`, as one line."""
    return one_line(harmless(text))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def last_heard(heard: str, redact: Redact) -> str:
    """`; last heard: '…'`, the end of what a board said, safe to show; "" for nothing."""
    text = excerpt(heard, redact, 120, end=True)
    return f"; last heard: {text!r}" if text else ""
