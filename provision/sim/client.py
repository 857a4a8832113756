"""The client of a board's process: reaches it over its socket, starting it where none runs yet.

The `sim://` handler opens ports through it, `provision sim` sends requests. A connection starts
with one JSON line each way; what follows on an open port is described in `port_frames`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provision.atomic_files import private_directory
from provision.errors import SimulatorError
from provision.model.language import record
from provision.sim import paths

if sys.platform != "win32":
    import fcntl
    import pwd

ANSWER_LIMIT = 1 << 20
_START_LOCKS = 16
_POLL = 0.01  # seconds
_CLOSED = "it closed the connection"
_TIMEOUT = 20.0  # seconds: a board answers at once, unless the machine is choking


class NoSuchBoard(SimulatorError):
    """Neither a process nor a directory goes by that name, or its cable is not plugged in."""

    code = "no-virtual-board"


class BoardTaken(SimulatorError):
    """Somebody else has the board's port open."""

    code = "virtual-board-taken"


_KINDS: dict[str, type[SimulatorError]] = {"taken": BoardTaken, "unplugged": NoSuchBoard}


def failure(error: SimulatorError) -> dict[str, Any]:
    """The answer of a board's process that raises this error again at the client."""
    kind = next((kind for kind, raised in _KINDS.items() if isinstance(error, raised)), "refused")
    return {"error": error.message, "hint": error.hint, "kind": kind}


def raise_failure(answer: dict[str, Any]) -> None:
    """Raise the error that an answer tells of, if it does."""
    if "error" in answer:
        raise _KINDS.get(answer.get("kind", ""), SimulatorError)(
            answer["error"], hint=answer["hint"]
        )


def open_port(name: str, query: dict[str, str], **line: Any) -> tuple[socket.socket, bool]:
    """Open the port of a board, made and started if need be; `line` is dtr, rts and baud. Also
    whether it is the board's own USB, which holds a writer back."""
    query = _absolute(query)
    connection = _connect_or_start(name, query)
    try:
        answer = _send_request(connection, {"do": "open", "query": query, **line}, name)
    except BaseException:
        connection.close()
        raise
    return connection, bool(answer["native_usb"])


def request(name: str, do: str, /, **arguments: Any) -> dict[str, Any]:
    """Send one request to a running board; its answer. NoSuchBoard if none runs by that name."""
    with _connect(name) as connection:
        return _send_request(connection, {"do": do, **arguments}, name)


def ensure(name: str, query: dict[str, str]) -> dict[str, Any]:
    """Start the board unless it runs; its status. The query must not contradict what exists."""
    query = _absolute(query)
    with _connect_or_start(name, query) as connection:
        try:
            return _send_request(connection, {"do": "status", "query": query}, name)
        except SimulatorError:
            if running(name):
                raise
    # Its process was just about to end when it took the connection.
    with _connect_or_start(name, query) as connection:
        return _send_request(connection, {"do": "status", "query": query}, name)


@record(kw_only=False)
class Volume:
    """The volume that a board shows to its host: the folder that stands for it, and the USB serial
    number of its device."""

    name: str
    path: Path
    serial: str


def volumes() -> list[Volume]:
    """Of the boards that run now, by their names."""
    if not paths.home().is_dir():
        return []
    found = []
    for entry in sorted(paths.home().iterdir()):
        if entry.is_dir() and not entry.is_symlink() and any((entry / paths.VOLUMES).glob("*")):
            with contextlib.suppress(SimulatorError, OSError):
                name = (entry / "name").read_text(encoding="utf-8").strip()
                status = request(name, "status")
                if status["volume"]:
                    found.append(Volume(name, Path(status["volume"]), status["download_serial"]))
    return found


def running(name: str) -> bool:
    try:
        _connect(name).close()
    except NoSuchBoard:
        return False
    return True


def _absolute(query: dict[str, str]) -> dict[str, str]:
    """Paths are relative to whoever gives them, not to the board's process."""
    firmware = query.get("firmware")
    return {**query, "firmware": str(Path(firmware).absolute())} if firmware else query


def _connect(name: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Of a socket that blocks the system itself waits while a board has too many callers to take
    # another; one with Python's timeout does not block, and would be turned away.
    limit = struct.pack("@ll", int(_TIMEOUT), 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    try:
        connection.connect(str(paths.socket_path(paths.home(), name)))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        raise NoSuchBoard(
            f"no virtual board {name!r} is running",
            hint="`provision sim list` shows all of them, `provision sim up` starts them",
        ) from None
    except BlockingIOError as error:
        connection.close()
        raise SimulatorError(
            f"the virtual board {name!r} accepts no connection: too many are waiting",
            hint=f"see {paths.directory(name) / 'board.log'}",
        ) from error
    except BaseException:
        connection.close()
        raise
    connection.settimeout(_TIMEOUT)
    return connection


def _connect_or_start(name: str, query: dict[str, str]) -> socket.socket:
    with contextlib.suppress(NoSuchBoard):
        return _connect(name)
    with _start_lock(name):
        # Another process may have started it while this one waited.
        with contextlib.suppress(NoSuchBoard):
            return _connect(name)
        _start(name, query)
        return _connect(name)


def _send_request(connection: socket.socket, request: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(_read_line(connection))
    except (OSError, ValueError) as error:
        raise SimulatorError(
            f"the virtual board {name!r} does not answer: {str(error) or _CLOSED}",
            hint=f"see {paths.directory(name) / 'board.log'}",
        ) from error
    raise_failure(answer)
    return answer


def _read_line(connection: socket.socket) -> bytes:
    """Exactly the first line: what follows belongs to the open port."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte or len(line) > ANSWER_LIMIT:
            raise OSError(_CLOSED)
        line += byte
    return bytes(line)


@contextlib.contextmanager
def _start_lock(name: str) -> Iterator[None]:
    """Let one process at a time start the boards of this name."""
    home = paths.home()
    private_directory(home)
    # A few locks for all names: they are left behind.
    path = home / f".starting-{zlib.crc32(name.encode()) % _START_LOCKS}"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _start(name: str, query: dict[str, str]) -> None:
    """Start a board's process and wait until it listens; SimulatorError says why it does not."""
    environment = dict(os.environ)
    here = str(Path(__file__).parents[2])
    known = environment.get("PYTHONPATH", "")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (here, known)))
    environment[paths.HOME_VARIABLE] = str(paths.home())
    done = subprocess.run(
        [sys.executable, "-m", "provision.sim.process.board_process", name, json.dumps(query)],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = done.stdout.strip()
        try:
            answer = json.loads(output)
        except ValueError:
            answer = {"error": done.stderr.strip() or f"exit code {done.returncode}", "hint": None}
        raise_failure(answer)


def stop(name: str) -> None:
    """Stop a board and wait until its process is gone; one that does not run is no error.

    One that cannot be asked to, as its socket is gone or it hangs, is ended by a signal.
    SimulatorError for one that is another user's, or that even so does not end.
    """
    directory = paths.directory(name).resolve()
    try:
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:
        raise _not_ours(name, directory) from error
    try:
        if _is_free(lock):
            return
        if not _asked_to_stop(name, directory):
            _signal_holder(lock, signal.SIGTERM, name, directory)
        if not _freed(lock, _TIMEOUT):
            _signal_holder(lock, signal.SIGKILL, name, directory)
        if not _freed(lock, _TIMEOUT):
            raise SimulatorError(
                f"the process of the virtual board {name!r} does not end",
                hint=f"its number is in {directory / 'lock'}; end it, then run "
                f"`provision sim rm {name}` again",
            )
    finally:
        os.close(lock)


def _asked_to_stop(name: str, directory: Path) -> bool:
    """Ask the board of a directory to end. What listens by its name may be another board, which
    was given that name and is none of ours to stop."""
    with contextlib.suppress(OSError):
        name = (directory / "name").read_text(encoding="utf-8").strip()
    try:
        if request(name, "status")["directory"] != str(directory):
            return False
        request(name, "stop")
    except (SimulatorError, OSError):
        return False
    return True


def _is_free(lock: int) -> bool:
    """Whether no process holds a board's lock, as the board's does as long as it lives."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _freed(lock: int, seconds: float) -> bool:
    """Wait until a lock is free, or for so long."""
    deadline = time.monotonic() + seconds
    while not _is_free(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)  # a lock cannot be waited for with a limit
    return True


def _signal_holder(lock: int, number: signal.Signals, name: str, directory: Path) -> None:
    """Signal the process that holds a board's lock. It may be on its way out already, or have just
    begun and not yet noted its number."""
    with contextlib.suppress(ValueError, ProcessLookupError):
        process = int(os.pread(lock, 20, 0))
        try:
            os.kill(process, number)
        except PermissionError as error:
            raise _not_ours(name, directory) from error


def _not_ours(name: str, directory: Path) -> SimulatorError:
    owner = "another user"
    with contextlib.suppress(OSError, KeyError):  # no way in, or a user without a name
        owner = f"the user {pwd.getpwuid(directory.stat().st_uid).pw_name}"
    return SimulatorError(
        f"the virtual board {name!r} belongs to {owner}",
        hint=f"as that user, run `provision sim rm {name}`; for boards of your own, set "
        f"{paths.HOME_VARIABLE} to a directory of yours",
    )
