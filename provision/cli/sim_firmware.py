"""`provision sim firmware`: a small image for virtual boards."""

from __future__ import annotations

import re
from pathlib import Path

import click

from provision.cli.files import write_output
from provision.core.chips.registry import chip_named
from provision.errors import UsageError
from provision.sim.families import MODELS

# As MicroPython names its versions: 1.24.1, 1.25.0-preview.42.g0123abcde, with a v or without.
DATE = "2024-11-29"
_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?(-[A-Za-z0-9.-]+)?")


@click.command("firmware")
@click.option("--chip", type=click.Choice([chip.name for chip in MODELS]), required=True)
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
    help="Flash size that the image is built for; 4 MB by default, 2 MB on an RP2040.",
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

    Headers, checksums, layout and banner are as in a MicroPython release (a .bin, or a UF2 for an
    RP2040 or RP2350); the program itself is missing, so a real board cannot run it.
    """
    if not _VERSION.fullmatch(version):
        raise UsageError(
            f"{version!r} is not a MicroPython version", hint="write --version 1.24.1, for example"
        )
    version = version.removeprefix("v")
    model = MODELS[chip_named(chip)]
    try:
        machine = model.machine(board, flash_size)
    except ValueError as error:
        raise UsageError(str(error), hint="give another --chip or --board") from None
    image = model.image(version, machine=machine, flash_size=flash_size, date=date, size=size)
    write_output(output, image)
    click.echo(f"{output}: {len(image)} bytes, MicroPython v{version} on {date}; {machine}")
    return 0
