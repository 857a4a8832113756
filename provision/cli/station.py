"""`provision station`: make boards that are plugged in one after the other."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from provision import api
from provision.cli.options import manifest_argument, offline_option, secrets_option
from provision.output.style import is_terminal
from provision.station.shift import Shift, ShiftOptions, open_shift
from provision.station.telling import JsonLines, Lines, Teller

INTERRUPTED = 130


@click.command("station")
@manifest_argument
@secrets_option
@offline_option
@click.option(
    "--ledger",
    "ledger_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The record of the units, in place of the manifest's.",
)
@click.option(
    "--station",
    "name",
    metavar="NAME",
    help="This station's name, for the ledger and {{ station }}; the computer's if left out.",
)
@click.option("--operator", metavar="NAME", help="Who is at work, for the ledger; you if left out.")
@click.option("-y", "--yes", is_flag=True, help="Erase boards whatever is on them.")
@click.option("--rework", is_flag=True, help="Make boards again that are done.")
@click.option("--dry", is_flag=True, help="Only say what would be made: write nothing.")
@click.option("--allow-hooks", is_flag=True, help="Run the programs that the manifest names.")
@click.option(
    "--stop-after",
    type=click.IntRange(min=1),
    metavar="BOARDS",
    help="End after so many boards; else Ctrl-C ends it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print changes as JSON lines.")
@click.option("--plain", is_flag=True, help="Print lines on a terminal, too.")
def command(
    *,
    manifest: str | None,
    secrets: Path | None,
    offline: bool,
    ledger_path: Path | None,
    name: str | None,
    operator: str | None,
    yes: bool,
    rework: bool,
    dry: bool,
    allow_hooks: bool,
    stop_after: int | None,
    as_json: bool,
    plain: bool,
) -> int:
    """Make each board that is plugged in like the template of MANIFEST's `station:`, with a number
    of its own; say PASS or FAIL; remember it in the ledger. Ctrl-C ends the shift.

    A board that is done is recognised by its MAC, keeps its number, and is only looked at.
    """
    opened = api.open_station(manifest, secrets=secrets, offline=offline)
    options = ShiftOptions(
        ledger=ledger_path,
        station=name,
        operator=operator,
        yes=yes,
        rework=rework,
        dry=dry,
        allow_hooks=allow_hooks,
        stop_after=stop_after,
    )
    with open_shift(opened, options) as shift:
        teller = _teller(shift, as_json=as_json, plain=plain)
        try:
            result = shift.run(teller)
        finally:
            teller.close()
    return INTERRUPTED if result.cut else 0


def _teller(shift: Shift, *, as_json: bool, plain: bool) -> Teller:
    """The whole screen on a terminal, else lines."""

    def write(text: str) -> None:
        click.echo(text)
        sys.stdout.flush()

    if as_json:
        return JsonLines(write)
    if plain or not is_terminal(sys.stdout, os.environ):
        return Lines(write)
    from provision.station.screen import Screen

    title = f"{shift.opened.fleet}, station {shift.station}"
    return Screen(sys.stdout, title, sockets=shift.sockets)
