"""`provision sim firmware`: a small image for virtual boards."""

from __future__ import annotations

import re
from pathlib import Path

import click

from provision.cli.files import write_output
from provision.core.chips.esp.chips import CHIPS
from provision.core.chips.registry import chip_named
from provision.errors import UsageError
from provision.model.chip import Chip
from provision.sim.esp.firmware import DATE, MACHINES, build, default_machine

# As MicroPython names its versions: 1.24.1, 1.25.0-preview.42.g0123abcde, with a v or without.
_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?(-[A-Za-z0-9.-]+)?")


@click.command("firmware")
@click.option("--chip", type=click.Choice([chip.name for chip in CHIPS]), required=True)
@click.option(
    "--version",
    required=True,
    metavar="VERSION",
    help="The MicroPython version in its banner: 1.24.1",
)
@click.option(
    "--board",
    metavar="NAME",
    help="A release name (ESP32_GENERIC_C3), or the board's name in the banner.",
)
@click.option(
    "--flash-size",
    type=int,
    metavar="BYTES",
    help="Flash size in the image header; 4 MB by default.",
)
@click.option(
    "--date", default=DATE, show_default=True, metavar="DATE", help="Build date in the banner."
)
@click.option("--size", type=int, metavar="BYTES", help="Pad the image to about this size.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Where to write the image.",
)
def command(  # noqa: PLR0917  # click passes them by name
    chip: str,
    version: str,
    board: str | None,
    flash_size: int | None,
    date: str,
    size: int | None,
    output: Path,
) -> int:
    """Build a small valid firmware image for virtual boards.

    Header, checksums, partition table and banner are as in a MicroPython release; the program
    itself is missing, so a real board cannot run it.
    """
    if not _VERSION.fullmatch(version):
        raise UsageError(
            f"{version!r} is not a MicroPython version", hint="write --version 1.24.1, for example"
        )
    version = version.removeprefix("v")
    kind = chip_named(chip)
    machine = _machine(board, kind) if board is not None else default_machine(kind, flash_size)
    image = build(kind, version, machine=machine, flash_size=flash_size, date=date, size=size)
    write_output(output, image)
    click.echo(f"{output}: {len(image)} bytes, MicroPython v{version} on {date}; {machine}")
    return 0


def _machine(board: str, chip: Chip) -> str:
    name, _, variant = board.partition("-")
    machine = MACHINES.get((name, variant or None), board)
    if machine != board and not machine.replace("-", "").endswith(chip.name.upper()):
        raise UsageError(
            f"{board} is not a release for the {chip.label}", hint="give another --chip or --board"
        )
    return machine
