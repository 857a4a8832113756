"""Runs programs of the user's side by side, each with a time-out, and reads what they print.

Each is in a session of its own and is killed with all that it has started there: none can ask for a
password at the terminal, or go on when nobody waits for it any more. What they print goes through
pipes and is on no disk.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import IO

from provision.core.wording import memory_size
from provision.model.language import record

AT_ONCE = 8
_MOST_COMPLAINT = 64 * 1024  # bytes of its standard error that are kept, from the end


@record
class Ended:
    """A program that was run, or could not be: `why` it did not end well, None where it did, and
    what it printed to its standard output and error."""

    why: str | None
    output: bytes = b""
    complaint: bytes = b""


def run_all(
    lines: Sequence[Sequence[str]], *, timeout: float, most: int, folder: Path
) -> Sequence[Ended]:
    """Run command lines in a folder, without input; each may take `timeout` seconds and print
    `most` bytes. Whatever ends this one, Ctrl-C too, ends them; SIGKILL does not."""
    if not lines:
        return []
    running = _Running()
    from concurrent.futures import ThreadPoolExecutor  # here, since few runs need it

    with ThreadPoolExecutor(min(AT_ONCE, len(lines)), "provision-secrets") as pool:
        try:
            asked = [pool.submit(_run, line, timeout, most, folder, running) for line in lines]
            return [one.result() for one in asked]
        except BaseException:
            running.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Running:
    """The processes under way."""

    def __init__(self) -> None:
        self.stopped = False
        self._lock = Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()

    def start(self, command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.stopped:
                raise OSError(None, "the run was stopped")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                start_new_session=True,
            )
            self._processes.add(process)
            return process

    def over(self, process: subprocess.Popen[bytes]) -> None:
        """What it has started ends with it."""
        kill_group(process)
        process.wait()
        with self._lock:
            self._processes.discard(process)

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            for process in self._processes:
                kill_group(process)


def _run(line: Sequence[str], timeout: float, most: int, folder: Path, running: _Running) -> Ended:
    until = monotonic() + timeout
    try:
        command = [find_program(line[0]), *line[1:]]
        process = running.start(command, folder)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Ended(why=f"cannot be run: {reason}")
    assert process.stdout is not None
    assert process.stderr is not None
    output = _Reading(process.stdout, most + 1, too_much=lambda: kill_group(process))
    complaint = _Reading(process.stderr, _MOST_COMPLAINT, too_much=None)
    in_time = True
    try:
        process.wait(max(0.0, until - monotonic()))
    except subprocess.TimeoutExpired:
        in_time = False
    running.over(process)
    # What has left its session may hold the pipes open.
    whole = output.ended(0.0 if running.stopped else max(1.0, until - monotonic()))
    complaint.ended(0.0 if running.stopped else 1.0)
    why = None
    if len(output.data) > most:
        why = f"printed more than {memory_size(most)}"
    elif not in_time:
        why = f"was not done after {timeout:g} s, and was ended"
    elif process.returncode < 0:
        why = f"was ended by {_signal_name(-process.returncode)}"
    elif process.returncode:
        why = f"ended with {process.returncode}"
    elif not whole:
        why = "left a program running that holds its output open"
    return Ended(why=why, output=bytes(output.data[:most]), complaint=bytes(complaint.data))


class _Reading:
    """Reads a pipe to its end: with `too_much` its first bytes, and that is called where there are
    more; else its last."""

    def __init__(self, pipe: IO[bytes], most: int, too_much: Callable[[], object] | None) -> None:
        self.data = bytearray()
        self._pipe = pipe
        self._most = most
        self._too_much = too_much
        self._thread = Thread(target=self._read, name="provision-pipe", daemon=True)
        self._thread.start()

    def ended(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _read(self) -> None:
        with self._pipe:
            while part := os.read(self._pipe.fileno(), 1 << 16):
                self.data += part
                if self._too_much is None:
                    del self.data[: -self._most]
                elif len(self.data) >= self._most:
                    self._too_much()
                    return


def find_program(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The file of a program: itself, or in the folders of PATH that are named from / on. The one
    that a project has is none, even where PATH has an empty part or the system looks there first;
    FileNotFoundError."""
    if Path(name).is_absolute():
        return name
    endings = [""]
    if sys.platform == "win32":
        endings += environment.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").lower().split(";")
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        if not Path(folder).is_absolute():
            continue
        for ending in endings:
            path = Path(folder, name + ending)
            if path.is_file() and os.access(path, os.X_OK):
                return str(path)
    raise FileNotFoundError(None, f"there is no {name} in PATH")


def kill_group(process: subprocess.Popen[bytes]) -> bool:
    """End a process that leads a session, and all in it; whether anything was left of them."""
    if sys.platform == "win32":  # which knows no such groups
        return kill_tree(process)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of none but the dead
        return False
    return True


def kill_tree(process: subprocess.Popen[bytes]) -> bool:
    """End a process and what it has started, as far as that can be seen: whatever lost its parent
    is nobody's. Whether the process was still running."""
    import psutil

    below = []
    with suppress(psutil.Error):
        below = psutil.Process(process.pid).children(recursive=True)
    left = process.poll() is None
    for one in below:
        with suppress(psutil.Error):
            one.kill()
    process.kill()
    return left


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
