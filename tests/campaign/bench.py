"""Virtual boards that stay from run to run, and the tool as a process that can be disturbed.

A board's flash is put in place while it has no power. The tool is a process of its own: started
anew where it is disturbed, else forked from this one with its modules loaded already, which saves
most of a run's time and changes nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.core.rehearsal.faults import CABLE
from provision.errors import SimulatorError
from provision.model.chip import Chip
from provision.rehearsal.twins import mend
from provision.sim import client

ROOT = Path(__file__).resolve().parents[2]
BOUND = 240.0  # seconds within which the tool must end, whatever happens; minutes below a hang
MOVED = "-moved"  # what a port is called, after its board's name, once it was renamed
RENAMING = 10.0  # seconds for which a port may be between two names, on a busy computer
_DROP_CAPABILITY = 24  # prctl: PR_CAPBSET_DROP
_OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@dataclass(frozen=True)
class Ended:
    """A run of the tool that is over; `code` is negative for a signal, None when it was beyond
    its bound and was killed for that. `happened` names what was ordered and came about."""

    code: int | None
    out: str
    err: str
    seconds: float
    happened: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Happening:
    """Do `acts`, `apart` seconds from one to the next, `delay` seconds after the tool has said
    `lines` lines, and `words` in any of them. Each is given the number of the tool's process."""

    name: str
    acts: tuple[Callable[[int], None], ...]
    lines: int
    delay: float
    apart: float = 0.3
    words: bytes = b""


def send(number: int) -> Callable[[int], None]:
    """The act of sending a signal."""

    def act(process: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)

    return act


@dataclass
class Bench:
    """Boards by chip, called `node-<chip>`, and one called `other` that nothing may touch."""

    home: Path
    boards: dict[str, Path] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)

    def board(self, name: str, chip: Chip, **settings: str) -> Path:
        """The flash file of a board, made at the first call."""
        if name not in self.boards:
            query = {"chip": str(chip), "flash": "4MB", "timing": "on", "scale": "20", **settings}
            status = client.ensure(name, query)
            self.boards[name] = Path(status["directory"]) / "flash.bin"
            self.macs[name] = status["mac"]
        return self.boards[name]

    def status(self, name: str) -> dict[str, Any]:
        """Of a board, whatever its port is called by now; one that is just getting another name
        has none, or ends what was begun by the old one."""
        end = time.monotonic() + RENAMING
        while True:
            for called in (name, name + MOVED):
                try:
                    return client.request(called, "status")
                except SimulatorError:
                    if time.monotonic() >= end and called != name:
                        raise
            time.sleep(0.05)

    def order(self, name: str, do: str, **arguments: Any) -> dict[str, Any]:
        return client.request(name, do, **arguments)

    def fault(self, name: str, fault: str, /, **arguments: Any) -> None:
        client.request(name, "fault", fault=fault, arguments=arguments)

    def power(self, name: str, on: bool) -> None:
        client.request(name, "power", on=on)

    def mend(self, name: str) -> None:
        """Take back every fault that waits, as a person would who looks after the cable."""
        end = time.monotonic() + 2 * CABLE
        while not self.status(name)["plugged"] and time.monotonic() < end:
            time.sleep(0.05)  # it may be on its way back, under another name
        if not client.running(name):
            client.request(name + MOVED, "replug", name=name)
            self.status(name)
        mend(name)
        self.fault(name, "exchange", mac=self.macs[name])
        self.power(name, True)

    def put(self, name: str, flash: bytes) -> None:
        """Have a board stand there with this flash, powered."""
        self.mend(name)
        self.power(name, False)
        with self.boards[name].open("r+b") as file:
            file.write(flash)
        self.power(name, True)

    def flash(self, name: str) -> bytes:
        return self.boards[name].read_bytes()

    def close(self) -> None:
        for name in self.boards:
            client.stop(name)


@dataclass(frozen=True)
class Limits:
    """What the tool may not do: write files longer than `file_size`, or into directories whose
    mode forbids it (`mortal`, also where this runs as root)."""

    file_size: int | None = None
    mortal: bool = False

    def take(self) -> None:
        if self.file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_size, self.file_size))
        if self.mortal and os.geteuid() == 0:
            libc = ctypes.CDLL(None, use_errno=True)
            for capability in _OVERRIDES:
                libc.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)


def tool(
    *words: str,
    folder: Path,
    environment: Mapping[str, str],
    limits: Limits | None = None,
    disturb: Sequence[Happening] = (),
    anew: bool = False,
) -> Ended:
    """Run `provision` in a folder. `anew`: a new interpreter; the capabilities that `Limits` takes
    away go with one only, and one that is disturbed is as a user starts it."""
    arguments = [sys.executable, "-m", "provision", *words]

    def become() -> None:
        os.chdir(folder)
        os.environ.update(environment)
        if limits is not None:
            limits.take()
        if anew or limits is not None or disturb:
            os.execve(sys.executable, arguments, dict(os.environ))
        _be_provision(list(words))

    return _watch(become, disturb)


def _be_provision(words: list[str]) -> None:
    from provision.__main__ import main

    sys.argv = ["provision", *words]
    # The worker's own are of other files than these descriptors are now.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    try:
        main()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _watch(become: Callable[[], None], disturb: Sequence[Happening]) -> Ended:
    """Fork, `become` the tool in the child, and read what it says until it has ended."""
    pipes = {"out": os.pipe(), "err": os.pipe()}
    sys.stdout.flush()
    sys.stderr.flush()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(pipes["out"][1], 1)
            os.dup2(pipes["err"][1], 2)
            os.closerange(3, 256)
            become()
        except BaseException:  # noqa: BLE001 - it would be lost with the process
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(97)
    said = {"out": bytearray(), "err": bytearray()}
    readers = {}
    for name, (reader, writer) in pipes.items():
        os.close(writer)
        readers[reader] = name
    watcher = _Watcher(child, disturb)
    try:
        while readers:
            ready, _, _ = select.select(list(readers), [], [], watcher.patience())
            for reader in ready:
                data = os.read(reader, 1 << 16)
                said[readers[reader]] += data
                watcher.heard(data)
                if not data:
                    del readers[reader]
                    os.close(reader)
            watcher.act()
    finally:
        for reader in readers:
            os.close(reader)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    out, err = (bytes(said[name]).decode("utf-8", "replace") for name in ("out", "err"))
    return Ended(
        code=None if watcher.overdue else code,
        out=out,
        err=err,
        seconds=time.monotonic() - started,
        happened=tuple(watcher.happened),
    )


@dataclass
class _Due:
    what: Happening
    acts: list[Callable[[int], None]]
    at: float | None = None  # once the tool has said enough


class _Watcher:
    """Has what was ordered happen to a child, and ends it when it does not end."""

    def __init__(self, child: int, disturb: Sequence[Happening]) -> None:
        self.child = child
        self.happened: list[str] = []
        self.overdue = False
        self._end = time.monotonic() + BOUND
        self._lines = 0
        self._said = bytearray()
        self._waiting = [_Due(what, list(what.acts)) for what in disturb]
        self.heard(b"")

    def heard(self, data: bytes) -> None:
        self._lines += data.count(b"\n")
        self._said += data
        for due in self._waiting:
            said_all = self._lines >= due.what.lines and due.what.words in self._said
            if due.at is None and said_all:
                due.at = time.monotonic() + due.what.delay

    def patience(self) -> float:
        ends = min([self._end, *(due.at for due in self._waiting if due.at is not None)])
        return max(0.0, ends - time.monotonic())

    def act(self) -> None:
        now = time.monotonic()
        for due in list(self._waiting):
            if due.at is None or now < due.at:
                continue
            due.acts.pop(0)(self.child)
            if due.what.name not in self.happened:
                self.happened.append(due.what.name)
            due.at = now + due.what.apart
            if not due.acts:
                self._waiting.remove(due)
        if now >= self._end:
            self.overdue = True
            self._end = now + 5
            send(signal.SIGCONT)(self.child)
            send(signal.SIGKILL)(self.child)
