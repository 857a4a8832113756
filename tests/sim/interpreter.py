"""A bare MicroPython in a subprocess, its root a LittleFS in memory, for the agent's own tests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

BOARD = b"""
import sys, os, vfs
class Flash:
    # In a file, so that the heap is the board's own.
    def __init__(self, blocks):
        self.blocks = blocks
        self.file = open(IMAGE, "w+b")
        for n in range(blocks):
            self.ioctl(6, n)
    reads = 0
    def readblocks(self, n, buf, off=0):
        self.reads += 1
        self.file.seek(n * 4096 + off)
        self.file.readinto(buf)
    def writeblocks(self, n, buf, off=None):
        if off is None:
            self.ioctl(6, n)
            off = 0
        self.file.seek(n * 4096 + off)
        self.file.write(buf)
    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return 4096
        if op == 6:
            self.file.seek(arg * 4096)
            self.file.write(BLANK)
            return 0
BLANK = b"\\xff" * 4096
flash = Flash(BLOCKS)
vfs.VfsLfs2.mkfs(flash)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(flash), "/")
os.chdir("/")
class Module:
    pass
proxy = Module()
for name in dir(os):
    setattr(proxy, name, getattr(os, name))
proxy.uname = lambda: ("esp32", "esp32", "1.24.1", "v1.24.1 on 2024-11-29", MACHINE)
machine = Module()
machine.unique_id = lambda: UNIQUE
esp = Module()
esp.flash_size = lambda: 4194304
network = Module()
class WLAN:
    def config(self, key):
        return bytes([0x5C, 0xCF, 0x7F, 1, 2, 3])
network.WLAN = WLAN
flashbdev = Module()
flashbdev.bdev = flash
for name, module in (
    ("uos", proxy), ("umachine", machine), ("esp", esp), ("network", network),
    ("flashbdev", flashbdev),
):
    sys.modules[name] = module
def put(path, data):
    parent = ""
    for part in path.split("/")[1:-1]:
        parent += "/" + part
        try:
            os.mkdir(parent)
        except OSError:
            pass
    with open(path, "wb") as file:
        file.write(data)
"""

DUMP = b"""
def dump(parent):
    for entry in os.ilistdir(parent or "/"):
        path = parent + "/" + entry[0]
        if entry[1] & 0x4000:
            print(repr((path, None)))
            dump(path)
        else:
            with open(path, "rb") as file:
                print(repr((path, file.read())))
dump("")
"""


def board(
    files: Mapping[str, bytes] | None = None,
    *,
    machine: str = "Generic ESP32 module with ESP32",
    unique: bytes = b"\x24\x6f\x28\x01\x02\x03",
    blocks: int = 128,
) -> bytes:
    """A script that sets a board up with these files, its flash in `IMAGE`."""
    script = b"BLOCKS = %d\nMACHINE = %a\nUNIQUE = %a\n" % (blocks, machine, unique) + BOARD
    for path, data in (files or {}).items():
        script += b"put(%a, %a)\n" % (path, data)
    return script


def start(script: bytes, *, heap: str = "1M") -> subprocess.Popen[bytes]:
    """MicroPython running a script, its stdin, stdout and stderr pipes.

    The script travels over stdin, ahead of what it reads there, so that it may hold any byte.
    """
    options = ["-X", f"heapsize={heap}"]
    loader = "from micropython_unix import main; import sys; sys.exit(main())"
    with tempfile.TemporaryFile() as image:
        script = b"IMAGE = '/dev/fd/%d'\n" % image.fileno() + script
        process = subprocess.Popen(
            [sys.executable, "-c", loader, *options, "-c", _LOAD.format(size=len(script))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[image.fileno()],
        )
    pipe(process.stdin).write(script)
    pipe(process.stdin).flush()
    return process


_LOAD = "import sys\ns=b''\nwhile len(s)<{size}:s+=sys.stdin.buffer.read({size}-len(s))\nexec(s)"


def run(script: bytes, *, heap: str = "1M") -> str:
    """What a script prints; fails when it raises."""
    process = start(script, heap=heap)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out + err).decode("utf-8", "replace")
    return out.decode()


def stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        with suppress(BrokenPipeError):
            pipe(stream).close()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
