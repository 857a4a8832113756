"""`python -m provision.sim.process.board_process NAME QUERY`: the process of one board.

It reports on its standard output that the board listens, and keeps running when its starter ends:
as with a real board, the app goes on between two openings of the port. It sleeps between events.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from provision.atomic_files import private_directory
from provision.errors import SimulatorError
from provision.sim import inotify, paths
from provision.sim.app.application import Application
from provision.sim.chip.board import Board
from provision.sim.chip.flash import Flash
from provision.sim.chip.model import ChipModel
from provision.sim.client import NoSuchBoard, failure
from provision.sim.event_loop import EventLoop
from provision.sim.families import model_of
from provision.sim.line.wire import Wire
from provision.sim.process.connection import Connection
from provision.sim.process.control import Control
from provision.sim.setup import BoardSetup

SETUP_FILE = "board.json"
_START = 5.0  # seconds for a program to start, unless the machine is choking
NAME_FILE = "name"  # under which a running board is plugged in


class BoardProcess:
    """The board, its socket and whoever is connected."""

    def __init__(self, name: str, query: dict[str, str]) -> None:
        self.home = paths.home()
        self.name = name
        self.loop = EventLoop()
        self._lock = _lock(self.home / name, name)
        self.setup = _load(self.home / name, name, query)
        self._listener = _listen(self.home, name)
        self.loop.watch(self._listener.fileno(), self._accept)
        self.connections: list[Connection] = []
        self.waker: tuple[socket.socket, socket.socket] | None = None  # signals come through it
        # What a process that was killed has left.
        shutil.rmtree(self.setup.directory / paths.VOLUMES, ignore_errors=True)
        self.board = _build(self.setup, self.loop)
        self.control: Control = Control(self)
        self._removal = inotify.watch(self.setup.directory, inotify.REMOVED)
        if self._removal is not None:
            # Somebody removed the board from under its process.
            self.loop.watch(self._removal, self.loop.stop)
        self._write_name()

    def start(self) -> None:
        """Give the board power, as it is taken to have had all along: somebody who opens its port
        finds what a running board shows."""
        self.board.power_on()
        over: list[bool] = []
        timer = self.loop.after(_START, lambda: over.append(True))
        while not (self.board.settled or over or self.loop.stopped):
            self.loop.step()
        timer.cancel()

    def serve(self) -> None:
        self.loop.run()
        self.close()

    def stop(self) -> None:
        """Leave the loop once what runs now has answered."""
        self.loop.after(0, self.loop.stop)

    def rename(self, name: str) -> None:
        """Be found under another name from now on. SimulatorError for that of another board: a
        cable's name is free only where no board has it, plugged in or not."""
        if (self.home / name).exists() and (self.home / name).resolve() != self.setup.directory:
            raise SimulatorError(
                f"another virtual board is called {name!r}",
                hint=f"plug it in by a name that no board has, or remove that one: "
                f"`provision sim rm {name}`",
            )
        listener = _listen(self.home, name)
        self.loop.watch(listener.fileno(), self._accept)
        alias = self.home / name
        if not alias.exists():
            alias.symlink_to(self.setup.directory, target_is_directory=True)
        self._stop_listening()
        self._listener, self.name = listener, name
        self._write_name()

    def close(self) -> None:
        self.control.close()
        for connection in list(self.connections):
            connection.close()
        self.board.close()
        self._stop_listening()
        os.close(self._lock)

    def notice_hang_ups(self) -> None:
        """Let hosts that have closed the port already be seen to have."""
        for connection in list(self.connections):
            if connection.port:
                connection.notice_hang_up()

    def _write_name(self) -> None:
        (self.setup.directory / NAME_FILE).write_text(self.name + "\n", encoding="utf-8")

    def _stop_listening(self) -> None:
        self.loop.unwatch(self._listener.fileno())
        paths.socket_path(self.home, self.name).unlink(missing_ok=True)
        self._listener.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        self.connections.append(
            Connection(
                connection=connection,
                loop=self.loop,
                board=self.board,
                requests=self.control,
                on_close=self.connections.remove,
            )
        )


def _build(setup: BoardSetup, loop: EventLoop) -> Board:
    flash = Flash(setup.flash_path, setup.flash_size)
    return Board(
        setup=setup,
        model=model_of(setup.chip),
        flash=flash,
        loop=loop,
        make_application=Application,
        make_wire=Wire,
    )


def _lock(directory: Path, name: str) -> int:
    private_directory(directory)
    if directory.stat().st_uid == os.getuid():
        directory.chmod(0o700)  # whatever the umask of those who made it
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        renamed = _current_name(directory)
        if renamed and renamed != name:
            raise NoSuchBoard(
                f"no virtual board {name!r}: it is plugged in as {renamed!r} now",
                hint=f"open sim://{renamed}",
            ) from None
        raise SimulatorError(
            f"the virtual board {name!r} is running but cannot be reached",
            hint=f"run `provision sim rm {name}`, then try again",
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)  # whom `client.stop` ends if nothing else helps
    return lock


def _current_name(directory: Path) -> str | None:
    """The name under which the board of a directory was last plugged in; None if it never was."""
    with contextlib.suppress(OSError):
        return (directory / NAME_FILE).read_text(encoding="utf-8").strip() or None
    return None


def _load(directory: Path, name: str, query: dict[str, str]) -> BoardSetup:
    """The setup the board was made with, or a new board; SimulatorError if they differ."""
    directory = directory.resolve()
    path = directory / SETUP_FILE
    if path.exists():
        saved = json.loads(path.read_text(encoding="utf-8"))
        setup = BoardSetup.from_query(directory.name, saved, directory)
        setup.refuse(query)
        return setup
    if "chip" not in query:
        shutil.rmtree(directory)
        raise NoSuchBoard(
            f"there is no virtual board {name!r}",
            hint=f"create it: `provision sim up --chip CHIP {name}`, `provision sim up` for all "
            f"of a manifest, or give its chip in the address: sim://{name}?chip=CHIP",
        )
    try:
        setup = BoardSetup.from_query(name, query, directory)
        _preload(setup, model_of(setup.chip))
    except SimulatorError:
        shutil.rmtree(directory)  # no half a board
        raise
    path.write_text(setup.to_json() + "\n", encoding="utf-8")
    return setup


def _preload(setup: BoardSetup, model: ChipModel) -> None:
    """Have the firmware in flash, at the place where the chip looks for it."""
    if not setup.firmware:
        return
    try:
        image = Path(setup.firmware).read_bytes()
    except OSError as error:
        raise SimulatorError(
            f"sim://{setup.name}: cannot read the firmware {setup.firmware}: {error.strerror}",
            hint="firmware= must be the path of an image file",
        ) from error
    flash = Flash(setup.flash_path, setup.flash_size)
    try:
        model.install(flash, image)
    except ValueError as error:
        raise SimulatorError(
            f"sim://{setup.name}: {setup.firmware} does not fit into the flash: {error}",
            hint="create the board with more flash (flash=16MB), or use a smaller image",
        ) from error
    finally:
        flash.close()


def _listen(home: Path, name: str) -> socket.socket:
    path = paths.socket_path(home, name)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(16)
    listener.setblocking(False)
    return listener


def main(arguments: list[str]) -> NoReturn:
    """Start in the background: return 0 once the board listens, 1 with the reason as JSON."""
    name, query = arguments[0], json.loads(arguments[1])
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with os.fdopen(reader) as said:
            answer = said.read()
        print(answer, flush=True)  # noqa: T201
        os._exit(0 if answer == "{}" else 1)
    os.close(reader)
    os.setsid()
    try:
        process = BoardProcess(name, query)
        _detach(process)
    except SimulatorError as error:
        _send_answer(writer, failure(error))
        os._exit(1)
    except OSError as error:
        why = SimulatorError(
            f"the virtual board {name!r} cannot start: {error}",
            hint=f"see that {paths.home()} can be written to and has room, then try again",
        )
        _send_answer(writer, failure(why))
        os._exit(1)
    process.start()
    _send_answer(writer, {})
    process.serve()
    os._exit(0)


def _send_answer(writer: int, answer: dict[str, Any]) -> None:
    os.write(writer, json.dumps(answer).encode())
    os.close(writer)


def _detach(process: BoardProcess) -> None:
    """Depend on nothing of whoever started this: no terminal, no directory, no open files."""
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(
        process.setup.directory / "board.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
    )
    for fd, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, fd)
    os.close(null)
    os.close(log)
    waker, woken = socket.socketpair()
    for end in (waker, woken):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.loop.stop())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    process.waker = (waker, woken)
    process.loop.watch(woken.fileno(), lambda: _drain(woken))


def _drain(woken: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        woken.recv(100)


if __name__ == "__main__":
    main(sys.argv[1:])
