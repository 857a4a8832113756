"""A shift at a station, for the command line and for a page: the ledger opened, the station's name
taken, the sockets laid out; then run until it is cancelled.

`open_shift` refuses what cannot begin, before anything is shown. `Shift.run` tells a `Teller` what
changes; another thread ends it through its `cancel`.
"""

from __future__ import annotations

import getpass
import platform
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from provision import api
from provision.atomic_files import lock_path, project_root, take_lock
from provision.core.wording import harmless_line, listed
from provision.errors import UsageError
from provision.interfaces import PortInfo
from provision.model.language import record
from provision.model.station import StationSettings, TableSettings
from provision.station.ledger import Ledger
from provision.station.machine import Counts
from provision.station.numbers import Counter, Numbers, Table
from provision.station.orders import Orders
from provision.station.runner import Layout, Station, seen_port
from provision.station.telling import Teller


@record
class ShiftOptions:
    """What whoever starts a station says. `ledger` is in place of the manifest's; `station` and
    `operator` are the computer's name and the user's when left out; `yes`: boards may be erased;
    `rework`: those that are done are made again; `dry`: nothing is written; `allow_hooks`: the
    manifest's programs are run; `stop_after`: it ends by itself after so many boards."""

    ledger: Path | None = None
    station: str | None = None
    operator: str | None = None
    yes: bool = False
    rework: bool = False
    dry: bool = False
    allow_hooks: bool = False
    stop_after: int | None = None


@record
class ShiftResult:
    """What a shift came to, and how many boards were stopped in the middle."""

    counts: Counts
    cut: int


@record(slots=False)
class Shift:
    """A station that may begin. `sockets` are those that the manifest names, in its order."""

    opened: api.StationManifest
    ledger: Ledger
    station: str
    options: ShiftOptions

    @property
    def sockets(self) -> tuple[str, ...]:
        return tuple(self.opened.settings.sockets)

    def run(self, teller: Teller, *, cancel: api.Cancellation | None = None) -> ShiftResult:
        """Until `cancel` is cancelled, from any thread, or Ctrl-C: what must not be cut is finished
        first. The teller is told from this thread, and closed by whoever made it."""
        options = self.options
        self._greet(teller)
        if not options.dry:
            for unit in self.ledger.close_attempts_of(self.station):
                teller.said(
                    f"{unit.number} was in work when this station ended; plug its board in again "
                    f"({unit.mac})"
                )
        ports = _Listing(self.opened)
        station = Station(
            Orders(
                manifest=self.opened,
                ledger=self.ledger,
                numbers=_numbers(self.opened),
                station=self.station,
                operator=harmless_line(options.operator or _user()),  # bytes that are no text, too
                yes=options.yes,
                rework=options.rework,
                dry=options.dry,
                hooks=options.allow_hooks,
                cancel=cancel or api.Cancellation(),
            ),
            _layout(self.opened.settings, ports),
            ports,
            teller,
            stop_after=options.stop_after,
        )
        station.run()
        return ShiftResult(counts=station.counts, cut=station.cut)

    def _greet(self, teller: Teller) -> None:
        for warning in self.opened.warnings:
            teller.said(f"warning: {warning}")
        where = f"at {listed(list(self.sockets), 20)}" if self.sockets else "anywhere"
        teller.said(
            f"station {self.station}: plug boards in {where}; the ledger is {self.ledger.path}"
        )


@contextmanager
def open_shift(opened: api.StationManifest, options: ShiftOptions) -> Iterator[Shift]:
    """The ledger opened, made where there is none, and the station's name taken until this ends.

    UsageError for hooks that nobody has allowed, a name that is none, or a station of this name
    that is at work with this ledger; LedgerError for a ledger that cannot be used.
    """
    _refuse_hooks(opened.settings, allowed=options.allow_hooks or options.dry)
    station = _station_name(options.station)
    path, root = ledger_of(opened.path, opened.settings, options.ledger)
    with _ledger(path, root, dry=options.dry) as ledger:
        lock = take_lock(lock_path("station", f"{path.resolve()}\0{station}"), wait=False)
        if lock is None:
            raise UsageError(
                f"another station of the name {station} is at work with {path}",
                hint="end it, or give this one a name of its own with --station",
            )
        with lock:
            yield Shift(opened=opened, ledger=ledger, station=station, options=options)


def ledger_of(
    manifest: Path, settings: StationSettings | None, named: Path | None = None
) -> tuple[Path, Path | None]:
    """Where the ledger is, and what it must lie in: one that the manifest names in its project."""
    if named is not None:
        return named, None
    own = settings.ledger if settings is not None else None
    path = manifest.parent / own if own is not None else manifest.with_suffix(".ledger")
    return path, project_root(manifest.parent)


def _refuse_hooks(settings: StationSettings, *, allowed: bool) -> None:
    """A manifest is somebody else's text: it runs a program only where somebody has said so."""
    hooks = [hook for hook in (settings.before, settings.after) if hook is not None]
    if hooks and not allowed:
        programs = listed([" ".join(hook.command) for hook in hooks])
        raise UsageError(
            f"the manifest wants to run programs of its own for each unit: {programs}",
            hint="look at them, then start the station with --allow-hooks",
        )


def _numbers(opened: api.StationManifest) -> Numbers:
    serial = opened.settings.serial
    if isinstance(serial, TableSettings):
        return Table(file=serial.file, rows=opened.table)
    return Counter(start=serial.start, end=serial.end, format=serial.format)


def _layout(settings: StationSettings, ports: _Listing) -> Layout:
    """Without named sockets, what is plugged in already is somebody's and is left alone."""
    if settings.sockets:
        return Layout(sockets=settings.sockets)
    there = map(seen_port, ports())
    return Layout(sockets={}, left_alone=dict.fromkeys(there, time.monotonic()))


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
