"""`provision firmware`: inspect firmware images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from provision.boards import profiles
from provision.boards.releases import release_profile
from provision.cli.files import read_input
from provision.cli.options import json_option
from provision.core.chips.registry import family_of, read_firmware
from provision.core.wording import did_you_mean, harmless, memory_size
from provision.errors import UsageError
from provision.model.board import BoardProfile
from provision.model.firmware import FilesystemPlace, Firmware
from provision.model.state import ActualState

_USUAL_FLASH = 4 << 20


@click.group("firmware")
def command() -> None:
    """Inspect firmware images."""


@command.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--board", metavar="NAME", help="Also say whether it fits this board profile.")
@json_option
def show(file: Path, board: str | None, as_json: bool) -> int:
    """Show chip, version, board and partition table of an image, read from the image itself.

    With --board, exits with 4 when the image must not be written to such a board.
    """
    profile = _profile(board) if board is not None else None
    firmware = read_firmware(read_input(file), file.name)
    data = firmware_data(firmware, profile)
    if as_json:
        click.echo(json.dumps(data, indent=2))
    else:
        words = family_of(firmware.chip).describe_image(firmware)
        for line in firmware_lines(data, words):
            click.echo(harmless(line))
    return 4 if profile is not None and data["board"]["refusals"] else 0


def _profile(name: str) -> BoardProfile:
    try:
        found = profiles().get(name) or release_profile(name)
    except ValueError as error:
        raise UsageError(str(error), hint="`provision boards` lists them") from None
    if found is None:
        raise UsageError(
            f"there is no board profile {name!r}{did_you_mean(name, profiles())}",
            hint="`provision boards` lists them",
        )
    return found


def firmware_data(firmware: Firmware, board: BoardProfile | None) -> dict[str, Any]:
    """All that is known of an image, as JSON data: sizes and offsets in bytes."""
    identity = firmware.identity
    family = family_of(firmware.chip)
    data: dict[str, Any] = {
        "file": firmware.name,
        "chip": identity.chip.name,
        "version": identity.version,
        "date": identity.date,
        "machine": identity.machine,
        "size": firmware.size,
        "sha256": firmware.sha256,
        "offset": firmware.file_offset,
        **family.describe(firmware),
        "filesystem": _filesystem_data(firmware, board),
    }
    if board is not None:
        data["board"] = {
            "name": board.name,
            "refusals": [
                {"kind": refusal.kind, "message": refusal.message, "hint": refusal.hint}
                for refusal in family_of(board.chip).image_refusals(firmware, board, ActualState())
            ],
        }
    return data


def firmware_lines(data: dict[str, Any], words: Sequence[tuple[str, str]]) -> list[str]:
    """The same for people; `words` are the family's own."""
    built = f", built {data['date']}" if data["date"] else ""
    lines = [
        f"{data['file']}: MicroPython {data['version']} for {data['machine']}{built}",
        f"  chip        {data['chip']}",
        f"  size        {data['size']} bytes, flashed at 0x{data['offset']:x}",
        f"  sha256      {data['sha256']}",
        *(f"  {label:<10}  {text}" for label, text in words),
    ]
    if data["partitions"]:
        lines.append("  partitions  name              kind             offset      size")
    for part in data["partitions"]:
        lines.append(
            f"              {part['name']:<16}  {part['kind']:<14}  "
            f"0x{part['offset']:06x}  {memory_size(part['size']):>8}"
        )
    place = data["filesystem"]
    lines.append(
        "  filesystem  "
        + (
            f"LittleFS at 0x{place['offset']:x}, {memory_size(place['size'])}{_on(data)}"
            if place is not None
            else "none that can be built on this computer"
        )
    )
    if "board" in data:
        board = data["board"]
        if not board["refusals"]:
            lines.append(f"  board       fits {board['name']}")
        for refusal in board["refusals"]:
            lines.append(f"  board       does not fit {board['name']}: {refusal['message']}")
            lines.append(f"              {refusal['hint']}")
    return lines


def _on(data: dict[str, Any]) -> str:
    """On which flash it lies there, where that is not the same on every one."""
    if "flash_size" in data["filesystem"]:
        return f" on a flash of {memory_size(data['filesystem']['flash_size'])}"
    if "board" in data:
        return " on a flash of this board"
    return f" on a flash of {data['header']['size']}" if "header" in data else ""


def _filesystem_data(firmware: Firmware, board: BoardProfile | None) -> dict[str, int] | None:
    family = family_of(firmware.chip)
    place = family.filesystem_place(firmware, board, None)
    if place is not None:
        return _place_data(place)
    # The header of an ESP8266's release names 512 KB, and is made to fit when it is flashed.
    board = board or profiles().get(firmware.chip.name)
    if board is None or board.flash_size is not None:
        return None
    place = family.filesystem_place(firmware, board, _USUAL_FLASH)
    return {**_place_data(place), "flash_size": _USUAL_FLASH} if place is not None else None


def _place_data(place: FilesystemPlace) -> dict[str, int]:
    return {"offset": place.offset, "size": place.size, "blocks": place.blocks}
