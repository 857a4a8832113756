"""A filesystem image built on the host is what a real MicroPython mounts, and the other way."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from provision.device.flashing.littlefs import build_filesystem
from provision.model.firmware import FilesystemPlace
from tests.filesystems import read_filesystem

pytest.importorskip("micropython_unix")

# Runs in MicroPython: mounts the file as a flash, prints what it sees, then writes something.
ON_BOARD = """
import os, sys, vfs, hashlib, json

class Flash:
    def __init__(self, path, blocks):
        self.file = open(path, "r+b")
        self.blocks = blocks
    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buffer)
    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            self.ioctl(6, block)
            offset = 0
        self.file.seek(block * 4096 + offset)
        self.file.write(buffer)
    def ioctl(self, operation, argument):
        if operation == 3:
            self.file.flush()
        if operation == 4:
            return self.blocks
        if operation == 5:
            return 4096
        if operation == 6:
            self.file.seek(argument * 4096)
            self.file.write(b"\\xff" * 4096)
            return 0

flash = Flash(sys.argv[1], int(sys.argv[2]))
vfs.mount(vfs.VfsLfs2(flash), "/flash")
seen = {}

def walk(directory):
    for entry in os.ilistdir("/flash" + directory):
        path = directory + "/" + entry[0]
        if entry[1] == 0x4000:
            walk(path)
        else:
            with open("/flash" + path, "rb") as file:
                seen[path] = hashlib.sha256(file.read()).digest().hex()

walk("")
os.remove("/flash/main.py")
with open("/flash/lib/written.bin", "wb") as file:
    for i in range(200):
        file.write(bytes([i]) * 50)
with open("/flash/boot.py", "a") as file:
    file.write("# appended on the board\\n")
vfs.umount("/flash")
flash.ioctl(3, 0)
print(json.dumps(seen))
"""


@pytest.mark.parametrize(
    "geometry",
    [
        FilesystemPlace(offset=0x200000, blocks=512),  # ESP32, 4 MB
        FilesystemPlace(offset=0x100000, blocks=763),  # ESP8266, 4 MB
        FilesystemPlace(offset=0x99000, blocks=98),  # ESP8266, 1 MB
    ],
    ids=["esp32", "esp8266", "esp8266-1m"],
)
def test_micropython_mounts_it_and_we_read_what_it_wrote(
    geometry: FilesystemPlace, tmp_path: Path
) -> None:
    generator = random.Random(3)
    files = {f"/app/m{i}.py": generator.randbytes(997 * i) for i in range(10)}
    files |= {f"/lib/s{i}": generator.randbytes(i) for i in (0, 1, 31, 127, 128, 129, 512, 4095)}
    files |= {"/boot.py": b"# boot\n", "/main.py": b"print(1)\n"}
    flash = tmp_path / "flash"
    # Leftovers everywhere but in the blocks that are written, as after an older filesystem.
    data = bytearray(generator.randbytes(geometry.size))
    for region in build_filesystem(geometry, files).regions():
        start = region.offset - geometry.offset
        data[start : start + len(region.data)] = region.data
    flash.write_bytes(data)
    script = tmp_path / "on_board.py"
    script.write_text(ON_BOARD)
    command = [sys.executable, "-m", "micropython_unix", str(script), str(flash)]
    result = subprocess.run(
        [*command, str(geometry.blocks)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    assert seen == {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    expected = dict(files)
    del expected["/main.py"]
    expected["/lib/written.bin"] = b"".join(bytes([i]) * 50 for i in range(200))
    expected["/boot.py"] += b"# appended on the board\n"
    assert read_filesystem(flash.read_bytes()) == expected
