"""A MicroPython at the end of a line in memory: its prompts, its raw REPL, and its programs.

The programs that the host sends are run as they are, under this Python, with a file system in
memory in place of the board's and `deflate` in place of zlib; so it is the agent itself that meets
the damaged lines. What real MicroPython does differently is for `tests/sim` to show. The board
takes turns with the host in a thread of its own: one of the two runs, never both.
"""

from __future__ import annotations

import builtins
import io
import re
import threading
import types
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from posixpath import dirname
from typing import Any

from tests.fakes.line import VirtualClock

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
FRIENDLY = b"\r\nMicroPython v1.24.1 on 2024-11-29; Generic ESP32 module with ESP32\r\n>>> "
RING = 256
TEMPORARY_NAME = ".provision~"
FOLDER = 0x4000


class _Gone(BaseException):
    """The test is over."""


class Flash:
    """Files in memory. `history` has every state that one path was ever seen in."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self.history: dict[str, list[bytes | None]] = {}
        self.room = 1 << 20
        self.busy: Callable[[], None] = lambda: None

    def open(self, path: str, mode: str = "r") -> io.BytesIO:
        if mode == "rb":
            if path not in self.files:
                raise OSError(2)
            return io.BytesIO(self.files[path])
        assert mode == "wb", "files are only ever replaced"
        if dirname(path) not in self.folders | {"/"}:
            raise OSError(2)
        if path in self.folders:
            raise OSError(21)
        self.set(path, b"")
        return _Writing(self, path)

    def set(self, path: str, data: bytes | None) -> None:
        if data is None:
            self.files.pop(path, None)
        else:
            self.files[path] = data
        self.history.setdefault(path, []).append(data)

    def rename(self, old: str, new: str) -> None:
        if old not in self.files:
            raise OSError(2)
        self.busy()
        data = self.files[old]
        self.set(old, None)
        self.set(new, data)

    def stat(self, path: str) -> tuple[int, ...]:
        if path not in self.files and path not in self.folders:
            raise OSError(2)
        return (FOLDER if path in self.folders else 0x8000,)

    def remove(self, path: str) -> None:
        self.busy()
        if path not in self.files:
            raise OSError(2)
        self.set(path, None)

    def mkdir(self, path: str) -> None:
        self.busy()
        if path in self.folders or path in self.files:
            raise OSError(17)
        if dirname(path) not in self.folders | {"/"}:
            raise OSError(2)
        self.folders.add(path)

    def rmdir(self, path: str) -> None:
        if path not in self.folders:
            raise OSError(2)
        if any(dirname(one) == path for one in (*self.files, *self.folders)):
            raise OSError(39)
        self.folders.discard(path)

    def ilistdir(self, path: str) -> list[tuple[Any, ...]]:
        return [
            *(
                (one.rpartition("/")[2], FOLDER, 0, 0)
                for one in self.folders
                if dirname(one) == path
            ),
            *(
                (one.rpartition("/")[2], 0x8000, 0, len(data))
                for one, data in self.files.items()
                if dirname(one) == path
            ),
        ]

    def statvfs(self, _path: str) -> tuple[int, ...]:
        used = sum(-(-len(data) // 4096) for data in self.files.values())
        return (4096, 4096, self.room // 4096, self.room // 4096 - used)


class _Writing(io.BytesIO):
    def __init__(self, flash: Flash, path: str) -> None:
        super().__init__()
        self._flash, self._path = flash, path

    def write(self, data: Any) -> int:
        self._flash.busy()
        if sum(map(len, self._flash.files.values())) + len(data) > self._flash.room:
            raise OSError(28)
        count = super().write(data)
        self._flash.set(self._path, self.getvalue())
        return count


class MicroPython:
    """Implements `Peer`. `answers`, where given, are printed in place of what programs would do.

    `slow` is how long, in seconds, the flash keeps the board from reading; what comes meanwhile
    goes into a ring of `ring` bytes, and past it into `lost`.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        flash: Flash | None = None,
        deflates: bool = True,
        pastes: bool = True,
        lies: Iterable[tuple[bytes, bytes]] | None = None,
        ring: int = RING,
    ) -> None:
        self.clock = clock
        self.flash = flash or Flash()
        self.flash.busy = self._busy
        self.slow: list[float] = []
        self.lost = 0
        self.left_deaf = False  # a program ended with the interrupt character off
        self._deflates = deflates
        self._pastes = pastes
        self._lies = iter(lies) if lies is not None else None
        self._ring = bytearray()
        self._ring_size = ring
        self._said = bytearray()
        self._interrupt = -1
        self._pending = False
        self._running = False
        self._globals: dict[str, Any] = {}
        self._over = False
        self._board = threading.Semaphore(0)
        self._host = threading.Semaphore(0)
        self._sleeping_until = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._turn()

    # The host's side

    def hear(self, data: bytes) -> None:
        for start in range(0, len(data), 64):
            self._arrive(data[start : start + 64])
            self._turn()

    def say(self) -> bytes:
        self._turn()
        said = bytes(self._said)
        self._said.clear()
        return said

    @property
    def streaming(self) -> bool:
        """Whether a program takes every byte as data."""
        return self._running and self._interrupt == -1

    def close(self) -> None:
        """End its thread."""
        self._over = True
        self._board.release()
        self._thread.join()

    def _arrive(self, data: bytes) -> None:
        for byte in data:
            if byte == self._interrupt:
                self._pending = True
            elif len(self._ring) < self._ring_size:
                self._ring.append(byte)
            else:
                self.lost += 1

    def _turn(self) -> None:
        if self.clock.now >= self._sleeping_until:
            self._board.release()
            self._host.acquire()

    # The board's side: all below runs in its thread

    def _run(self) -> None:
        with suppress(_Gone):
            self._board.acquire()
            self._check()
            self._reset()
            while True:
                self._friendly()
                self._raw()
        if not self._over:  # it crashed: let the host go on, and fail
            self._host.release()

    def _pause(self) -> None:
        self._host.release()
        self._board.acquire()
        self._check()

    def _check(self) -> None:
        if self._over:
            raise _Gone

    def _busy(self) -> None:
        """Deaf while the flash works."""
        if self.slow:
            self._sleeping_until = self.clock.now + self.slow.pop()
            self._pause()

    def _take(self, seconds: float | None = None) -> int | None:
        deadline = None if seconds is None else self.clock.now + seconds
        while True:
            if self._pending:
                self._pending = False
                raise KeyboardInterrupt
            if self._ring:
                return self._ring.pop(0)
            if deadline is not None and self.clock.now >= deadline:
                return None
            self._pause()

    def _byte(self) -> int:
        taken = self._take()
        assert taken is not None
        return taken

    def _reset(self) -> None:
        self._globals = {"__builtins__": self._builtins()}
        self._interrupt = -1
        self._pending = False

    def _friendly(self) -> None:
        self._said += FRIENDLY
        while True:
            match self._byte():
                case 1:
                    return
                case 3 | 13:
                    self._said += b"\r\n>>> "
                case 4:
                    self._reset()
                    self._said += b"\r\nMPY: soft reboot" + FRIENDLY

    def _raw(self) -> None:
        self._said += BANNER
        line = bytearray()
        while True:
            match self._byte():
                case 1:
                    self._said += BANNER
                    line.clear()
                case 2:
                    return
                case 3:
                    line.clear()
                case 4:
                    if not line:
                        self._reset()
                        self._said += b"OK\r\nMPY: soft reboot\r\n" + BANNER
                        continue
                    self._said += b"OK"
                    self._execute(bytes(line))
                    self._said += b">"
                    line.clear()
                case 5 if not line:
                    first, second = self._byte(), self._byte()
                    if (first, second) == (0x41, 1) and self._pastes:
                        self._paste()
                        self._said += b">"
                    elif (first, second) == (0x41, 1):
                        self._said += b"R\x00"
                    else:
                        line += bytes([5, first, second])
                case byte:
                    line.append(byte)

    def _paste(self) -> None:
        self._said += b"R\x01\x80\x00"
        code = bytearray()
        while True:
            byte = self._byte()
            if byte == 3:
                self._said += b"\x04Traceback\r\nKeyboardInterrupt: \r\n\x04"
                return
            if byte == 4:
                break
            code.append(byte)
            if len(code) % 128 == 0:
                self._said += b"\x01"
        self._said += b"\x04"
        self._execute(bytes(code))

    def _execute(self, code: bytes) -> None:
        problem = b""
        if self._lies is not None:
            said, problem = next(self._lies, (b"", b""))
            self._said += said
        else:
            self._interrupt = 3
            self._running = True
            try:
                # CPython wants ASCII in its bytes literals.
                text = re.sub(rb"[\x80-\xff]", lambda m: b"\\x%02x" % m[0][0], code)
                exec(compile(text.decode(), "<stdin>", "exec"), self._globals)
            except _Gone:
                raise
            except BaseException as error:  # noqa: BLE001 - it is the board's, not ours
                name = type(error).__name__
                problem = f"Traceback (most recent call last):\r\n{name}: {error}\r\n".encode()
            finally:
                self.left_deaf = self.left_deaf or self._interrupt == -1
                self._interrupt = -1
                self._running = False
        self._said += b"\x04" + problem + b"\x04"

    # What programs find there

    def _builtins(self) -> dict[str, Any]:
        modules = self._modules()

        def load(name: str, *_others: object) -> Any:
            if name in modules:
                return modules[name]
            raise ImportError(f"no module named '{name}'")

        def write(*values: object, sep: str = " ", end: str = "\n") -> None:
            self._write((sep.join(map(str, values)) + end).replace("\n", "\r\n"))

        opened = modules["uio"].open
        return {**vars(builtins), "__import__": load, "print": write, "open": opened}

    def _write(self, text: str) -> int:
        self._said += text.encode()
        return len(text)

    def _modules(self) -> dict[str, Any]:
        board = self

        class Input:
            def readinto(self, buffer: Any) -> int:
                for at in range(len(buffer)):
                    buffer[at] = board._byte()
                return len(buffer)

            def read(self, count: int) -> bytes:
                return bytes(board._byte() for _ in range(count))

        class Inflater:
            """`deflate.DeflateIO`: takes a byte only when the next symbol needs it."""

            def __init__(self, source: Any, _kind: int, window: int) -> None:
                self._source, self._inflater = source, zlib.decompressobj(-window)
                self._held = b""

            def _more(self) -> bool:
                byte = self._source.read(1)
                if not byte or self._inflater.eof:
                    return False
                try:
                    self._held += self._inflater.decompress(byte)
                except zlib.error:
                    raise OSError(22) from None
                return True

            def readinto(self, buffer: Any) -> int:
                while len(self._held) < len(buffer):
                    if self._inflater.eof or not self._more():
                        raise OSError(22)
                buffer[:], self._held = self._held[: len(buffer)], self._held[len(buffer) :]
                return len(buffer)

            def read(self, count: int = -1) -> bytes:
                while not self._inflater.eof and (count < 0 or len(self._held) < count):
                    if not self._more():
                        break
                data = self._held if count < 0 else self._held[:count]
                self._held = self._held[len(data) :]
                return data

        class Poll:
            def register(self, *_what: object) -> None:
                pass

            def poll(self, milliseconds: int) -> list[int]:
                byte = board._take(milliseconds / 1000)
                if byte is None:
                    return []
                board._ring.insert(0, byte)
                return [1]

        def kbd_intr(character: int) -> None:
            board._interrupt = character

        def text(path: str | bytes) -> str:
            return path.decode() if isinstance(path, bytes) else path

        def taking(call: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *paths: call(*map(text, paths))

        def opened(path: str | bytes, mode: str = "r") -> io.BytesIO:
            return self.flash.open(text(path), mode)

        def ilistdir(path: str | bytes) -> list[tuple[Any, ...]]:
            entries = self.flash.ilistdir(text(path).rstrip("/.") or "/")
            if isinstance(path, str):
                return entries
            return [(name.encode(), *others) for name, *others in entries]

        def view(_bdev: object, **_options: int) -> Any:
            """`os.VfsLfs2`."""
            return module(ilistdir=ilistdir, open=opened)

        def ioctl(_operation: int, _argument: int) -> int:
            return self.flash.statvfs("/")[2]

        def module(**names: object) -> types.SimpleNamespace:
            return types.SimpleNamespace(**names)

        flash = self.flash
        inputs = module(buffer=Input(), read=Input().read)
        found: dict[str, Any] = {
            "os": module(
                **{
                    name: taking(getattr(flash, name))
                    for name in ("rename", "remove", "stat", "mkdir", "rmdir", "statvfs")
                },
                ilistdir=ilistdir,
                VfsLfs2=view,
                uname=lambda: (
                    "esp32", "esp32", "1.24.1", "v1.24.1 on 2024-11-29",
                    "Generic ESP32 module with ESP32",
                ),
            ),
            "sys": module(
                stdin=inputs,
                stdout=module(write=self._write),
                implementation=module(_mpy=11014),
            ),
            "machine": module(
                unique_id=lambda: b"\x24\x6f\x28\x00\x00\x01",
                mem32=defaultdict(int),  # no fuse is burned
            ),
            "esp": module(flash_size=lambda: 4 << 20),
            "flashbdev": module(bdev=module(ioctl=ioctl)),
            "micropython": module(kbd_intr=kbd_intr),
            "select": module(poll=Poll),
            "io": module(BytesIO=io.BytesIO, open=opened),
            **{name: builtins.__import__(name) for name in ("gc", "hashlib", "binascii")},
        }  # fmt: skip
        for name in ("os", "sys", "machine", "select", "io", "hashlib", "binascii"):
            found[f"u{name}"] = found[name]
        if self._deflates:
            found["deflate"] = module(DeflateIO=Inflater)
        return found
