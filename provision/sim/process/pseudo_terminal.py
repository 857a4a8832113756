"""A board's port as a pseudo-terminal, for programs that need a device file.

A pseudo-terminal has no DTR and RTS, and nothing here replaces them: its user has to press the
board's buttons. Its name is a symbolic link that stays the same. It can be opened beside another
port of the board: both then receive the board's output.
"""

from __future__ import annotations

import os
import pty
import termios
import tty
from contextlib import suppress
from pathlib import Path

from provision.sim import inotify
from provision.sim.chip.board import Board
from provision.sim.event_loop import EventLoop
from provision.sim.line.write_buffer import WriteBuffer
from provision.sim.process.backpressure import Backpressure

_CHUNK = 65536
_USB_CHUNK = 512

_RATES = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdigit() and name != "B0"
}


class Terminal:
    """One pseudo-terminal. Bytes sent while nobody has it open are lost, as on any port."""

    def __init__(self, *, board: Board, loop: EventLoop, link: Path) -> None:
        self._board = board
        self._loop = loop
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        attributes = termios.tcgetattr(self._slave)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        self.device = os.ttyname(self._slave)
        self.link = link
        os.set_blocking(self._master, False)
        self._output = WriteBuffer(loop, self._master)
        self._watcher = inotify.watch(self.device, inotify.OPENED | inotify.CLOSED)
        if self._watcher is not None:
            loop.watch(self._watcher, self._openings)
        else:
            self._attach()
        self._backpressure = Backpressure(
            board=board, loop=loop, fd=self._master, readable=self._readable
        )
        self._place_link()

    @property
    def yields(self) -> bool:
        """Where the system does not tell of openings (macOS; Linux where this user's watchers are
        all in use) and nobody is seen to have it open."""
        return self._watcher is None and not _in_use(self.device)

    @property
    def full(self) -> bool:
        return self._output.full

    def deliver(self, data: bytes) -> None:
        self._output.put(data)

    def unplugged(self) -> None:
        """Only a new terminal comes after this one: the device file is gone for good."""
        self.close()

    def close(self) -> None:
        if self._master < 0:
            return
        self._output.clear()
        self._backpressure.close()
        if self._watcher is not None:
            self._loop.unwatch(self._watcher)
            os.close(self._watcher)
            self._watcher = None
        self._board.closed(self)
        if self.link.is_symlink() and str(self.link.readlink()) == self.device:
            self.link.unlink()
        os.close(self._slave)
        os.close(self._master)
        self._master = -1

    def _place_link(self) -> None:
        self.link.parent.mkdir(parents=True, exist_ok=True)
        beside = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        beside.unlink(missing_ok=True)
        beside.symlink_to(self.device)
        beside.replace(self.link)

    def _openings(self) -> None:
        if self._watcher is None:
            return
        masks = [mask for mask, _ in inotify.happened(self._watcher)]
        if not masks:
            return
        # They cannot be counted: two that are alike and not read yet are told as one.
        if not any(mask & inotify.CLOSED for mask in masks) or _in_use(self.device):
            self._attach()
        else:
            self._readable()  # what was written just before the last one closed
            self._output.clear()
            termios.tcflush(self._slave, termios.TCIFLUSH)
            self._board.closed(self)

    def _attach(self) -> None:
        if not self._board.has(self):
            # The lines of a port without any are at rest.
            self._board.open(self, dtr=False, rts=False, baud=self.rate())

    def _readable(self) -> None:
        if self._master < 0:
            return
        try:
            data = os.read(self._master, _USB_CHUNK if self._board.native_usb else _CHUNK)
        except (BlockingIOError, OSError):
            return
        self._attach()
        self._board.from_host(data)
        if self._master >= 0 and self._board.native_usb:
            self._backpressure.apply()

    def rate(self) -> int:
        """As its user has set it: a pseudo-terminal tells nobody, it must be asked."""
        return _RATES.get(termios.tcgetattr(self._master)[5], self._board.host_baud)


def _in_use(device: str) -> bool:
    """Whether another process of this user has it open."""
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            with suppress(OSError):  # another user's, or gone meanwhile
                for held in os.scandir(process / "fd"):
                    with suppress(OSError):
                        if str(Path(held.path).readlink()) == device:
                            return True
    return False
