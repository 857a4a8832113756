"""`provision station`: make boards that are plugged in one after the other."""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from provision import api
from provision.atomic_files import lock_path, project_root, take_lock
from provision.cli.options import manifest_argument, offline_option, secrets_option
from provision.core.wording import harmless_line, listed
from provision.errors import UsageError
from provision.interfaces import PortInfo
from provision.model.station import StationSettings, TableSettings
from provision.output.style import is_terminal
from provision.station.ledger import Ledger
from provision.station.numbers import Counter, Numbers, Table
from provision.station.records import Unit
from provision.station.runner import Layout, Station, seen_port
from provision.station.telling import JsonLines, Lines, Teller
from provision.station.worker import Orders

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
    settings = opened.settings
    _refuse_hooks(settings, allowed=allow_hooks or dry)
    station = _station_name(name)
    path, root = _ledger_of(opened, ledger_path)
    with _ledger(path, root, dry=dry) as ledger:
        lock = take_lock(lock_path("station", f"{path.resolve()}\0{station}"), wait=False)
        if lock is None:
            raise UsageError(
                f"another station of the name {station} is at work with {path}",
                hint="end it, or give this one a name of its own with --station",
            )
        with lock:
            teller = _teller(opened, station, as_json=as_json, plain=plain)
            try:
                _greet(opened, station, path, teller)
                if not dry:
                    _tell_cut(ledger.close_attempts_of(station), teller)
                running = Station(
                    Orders(
                        manifest=opened,
                        ledger=ledger,
                        numbers=_numbers(opened),
                        station=station,
                        operator=harmless_line(operator or _user()),  # bytes that are no text, too
                        yes=yes,
                        rework=rework,
                        dry=dry,
                        hooks=allow_hooks,
                    ),
                    _layout(opened),
                    _ports(opened),
                    teller,
                    stop_after=stop_after,
                )
                running.run()
            finally:
                teller.close()
    return INTERRUPTED if running.cut else 0


def _refuse_hooks(settings: StationSettings, *, allowed: bool) -> None:
    """A manifest is somebody else's text: it runs a program only where somebody has said so."""
    hooks = [hook for hook in (settings.before, settings.after) if hook is not None]
    if hooks and not allowed:
        programs = listed([" ".join(hook.command) for hook in hooks])
        raise UsageError(
            f"the manifest wants to run programs of its own for each unit: {programs}",
            hint="look at them, then start the station with --allow-hooks",
        )


def _ledger_of(opened: api.StationManifest, named: Path | None) -> tuple[Path, Path | None]:
    """Where the ledger is, and what it must lie in: one that the manifest names in its project."""
    if named is not None:
        return named, None
    own = opened.settings.ledger
    path = opened.folder / own if own is not None else opened.path.with_suffix(".ledger")
    return path, project_root(opened.folder)


def _numbers(opened: api.StationManifest) -> Numbers:
    serial = opened.settings.serial
    if isinstance(serial, TableSettings):
        return Table(file=serial.file, rows=opened.table)
    return Counter(start=serial.start, end=serial.end, format=serial.format)


def _layout(opened: api.StationManifest) -> Layout:
    """Without named sockets, what is plugged in already is somebody's and is left alone."""
    sockets = opened.settings.sockets
    if sockets:
        return Layout(sockets=sockets)
    there = map(seen_port, _ports(opened)())
    return Layout(sockets={}, left_alone=dict.fromkeys(there, time.monotonic()))


def _ports(opened: api.StationManifest) -> _Listing:
    return _Listing(opened)


class _Listing:
    """The ports that a unit may be at: none of a device of the manifest's, nor of the computer."""

    def __init__(self, opened: api.StationManifest) -> None:
        self._opened = opened

    def __call__(self) -> list[PortInfo]:
        found = (one.port for one in api.discover() if not one.built_in)
        return [port for port in found if not self._opened.is_a_devices(port)]


@contextmanager
def _ledger(path: Path, root: Path | None, *, dry: bool) -> Iterator[Ledger]:
    """The ledger; of a station that is dry and has none, one that is gone with it."""
    with ExitStack() as stack:
        if dry and not path.exists():
            folder = stack.enter_context(TemporaryDirectory())
            path, root = Path(folder) / path.name, None
        yield stack.enter_context(Ledger.open(path, root=root, create=True, check=True))


def _tell_cut(units: Sequence[Unit], teller: Teller) -> None:
    for unit in units:
        teller.said(
            f"{unit.number} was in work when this station ended; plug its board in again "
            f"({unit.mac})"
        )


def _greet(opened: api.StationManifest, station: str, path: Path, teller: Teller) -> None:
    for warning in opened.warnings:
        teller.said(f"warning: {warning}")
    sockets = opened.settings.sockets
    where = f"at {listed(list(sockets), 20)}" if sockets else "anywhere"
    teller.said(f"station {station}: plug boards in {where}; the ledger is {path}")


def _teller(opened: api.StationManifest, station: str, *, as_json: bool, plain: bool) -> Teller:
    """The whole screen on a terminal, else lines."""

    def write(text: str) -> None:
        click.echo(text)
        sys.stdout.flush()

    if as_json:
        return JsonLines(write)
    if plain or not is_terminal(sys.stdout, os.environ):
        return Lines(write)
    from provision.station.screen import Screen

    sockets = list(opened.settings.sockets)
    return Screen(sys.stdout, f"{opened.fleet}, station {station}", sockets=sockets)


def _station_name(named: str | None) -> str:
    name = named or re.sub(r"[^\w.-]", "-", platform.node(), flags=re.ASCII) or "station"
    if not re.fullmatch(r"[\w.-]{1,100}", name, re.ASCII):
        raise UsageError(
            "--station cannot be a name of a station",
            hint="use letters, digits, _, . and -",
        )
    return name


def _user() -> str:
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return "somebody"
