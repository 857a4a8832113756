"""`provision boards`: list the board profiles, show one, or search among all boards."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import click

from provision.boards import profiles
from provision.boards.releases import catalogue, names, release_profile, search
from provision.cli.options import json_option
from provision.core.chips.registry import family_of
from provision.core.wording import aligned, closest, size_code
from provision.errors import UsageError
from provision.model.board import BoardProfile, ResetWiring
from provision.output.style import Style, wants_colour

# What the USB bridges are called, for people; the profiles name them by VID:PID.
BRIDGES = {
    "0403:6001": "FTDI FT232R",
    "0403:6010": "FTDI FT2232",
    "0403:6015": "FTDI FT-X",
    "067b:2303": "Prolific PL2303",
    "10c4:ea60": "CP210x",
    "1a86:55d3": "CH343",
    "1a86:55d4": "CH9102",
    "1a86:7523": "CH340",
    "2e8a:0003": "the RP2040's own USB, in BOOTSEL mode",
    "2e8a:0005": "the chip's own USB, under MicroPython",
    "2e8a:000f": "the RP2350's own USB, in BOOTSEL mode",
    "303a:0002": "the chip's own USB, in download mode",
    "303a:1001": "the chip's own USB-Serial-JTAG",
    "303a:4001": "the chip's own USB, under MicroPython",
}
RESETS = {
    ResetWiring.AUTO: "automatic",
    ResetWiring.USB_JTAG: "automatic (own USB)",
    ResetWiring.USB: "own USB",
    ResetWiring.NONE: "by hand",
}
WIDTH = 88


@click.command("boards")
@click.argument("words", nargs=-1, metavar="[NAME | WORD...]")
@json_option
def command(words: tuple[str, ...], as_json: bool) -> int:
    """List the built-in board profiles, show one in full, or search for a board.

    A device of the manifest names its profile as `board:`, or its board by the name of its release
    on micropython.org, as LILYGO_TTGO_LORA32. Words find the boards that have all of them in their
    name, maker, chip or features: `provision boards xiao c6`. A manifest can define boards of its
    own under `boards:`, with the keys that --json shows; `extends: NAME` starts from one of these.
    """
    one = _named(words[0]) if len(words) == 1 else None
    chosen = [one] if one is not None else _found(words)
    if as_json:
        data = [board_data(board) for board in chosen]
        click.echo(json.dumps(data if one is None else data[0], indent=2))
        return 0
    style = Style(wants_colour(sys.stdout, os.environ))
    lines = table_lines(chosen, style) if one is None else board_lines(one, style)
    for line in lines:
        click.echo(line, color=style.colour)
    if not words:
        more = len(names()) - len(chosen)
        click.echo(
            f"{more} more have the names of their releases: `provision boards WORD` searches"
        )
    return 0


def _named(name: str) -> BoardProfile | None:
    """The board of exactly this name; UsageError for one that is known and not provisioned."""
    if (board := profiles().get(name)) is not None:
        return board
    if name in catalogue().others or name in catalogue().boards:
        try:
            return release_profile(name)
        except ValueError as error:
            raise UsageError(str(error), hint="`provision boards` lists those it does") from None
    return None


def _found(words: tuple[str, ...]) -> list[BoardProfile]:
    if not words:
        return list(profiles().values())
    found = list(search(words)) if any(words) else []
    if not found:
        asked = " ".join(words)
        near = " or ".join(f"'{each}'" for each in closest(asked.replace("_", "-"), names(), 3))
        raise UsageError(
            f"no board is found by '{asked}'" + (f"; did you mean {near}?" if near else ""),
            hint="`provision boards` lists the profiles; any board can be described under "
            "`boards:` in the manifest",
        )
    return found


def board_data(board: BoardProfile) -> dict[str, Any]:
    """A profile with the keys that a board of a manifest has, and its name."""
    return {
        "name": board.name,
        "title": board.title,
        "chip": str(board.chip),
        "flash_size": size_code(board.flash_size) if board.flash_size is not None else None,
        **board.settings,
        "reset": board.reset.value,
        "download": board.download,
        "release": board.release,
        "variant": board.variant,
        "usb": list(board.usb),
        "baud": board.baud,
        "transfer_baud": board.transfer_baud or "off",
        "quirks": list(board.quirks),
        "url": board.url,
    }


def table_lines(boards: Sequence[BoardProfile], style: Style) -> Iterator[str]:
    rows = [("NAME", "CHIP", "FLASH", "DOWNLOAD MODE", "BOARD")]
    rows += [
        (
            board.name,
            board.chip.label,
            size_code(board.flash_size) if board.flash_size is not None else "varies",
            RESETS[board.reset],
            board.title,
        )
        for board in boards
    ]
    head, *lines = aligned(rows)
    yield style(head, "dim")
    for row, line in zip(rows[1:], lines, strict=True):
        yield style(row[0], "bold") + line.removeprefix(row[0])


def _rates(board: BoardProfile) -> str:
    if board.reset is ResetWiring.USB:
        return ""  # it has none
    highest = board.transfer_baud
    files = f"up to {highest:,} when files are sent" if highest else "the REPL's for files"
    return f"up to {board.baud:,} when flashing, {files}"


def board_lines(board: BoardProfile, style: Style) -> Iterator[str]:
    yield f"{style(board.name, 'bold')}  {board.title}"
    release = f"{board.release}-{board.variant}" if board.variant else board.release
    where = f"micropython.org/download/{board.release}"
    if board.release not in catalogue().boards:
        where = "none on micropython.org"
    flash = "varies" if board.flash_size is None else size_code(board.flash_size)
    facts = [
        ("chip", board.chip.label),
        ("flash", flash),
        *family_of(board.chip).describe_board(board),
        ("firmware", f"{release} ({where})"),
        ("download", f"{RESETS[board.reset]}. {board.download}"),
        ("usb", ", ".join(f"{usb} {BRIDGES.get(usb, '')}".rstrip() for usb in board.usb)),
        ("baud", _rates(board)),
        *(("quirk", quirk) for quirk in board.quirks),
        ("see", board.url or ""),
    ]
    for name, text in facts:
        lines = textwrap.wrap(text, WIDTH - 12, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(lines):
            yield f"  {style((name if number == 0 else '').ljust(8), 'dim')}  {line}"
