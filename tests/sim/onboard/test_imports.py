"""What `import` finds on a virtual board: files before most of the modules, as on a chip."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from provision.sim.process.flash_faults import put_file
from tests.sim.bench import Bench

BOTH = pytest.mark.parametrize("chip", [ESP32, ESP8266])
FILE = b"whose = 'file'\n"


def whose(bench: Bench, name: str) -> bytes:
    """`file`, or `firmware`, or what the import raised."""
    text = bench.type(
        b"import %s as m;print('is', getattr(m, 'whose', 'firmware'))\r" % name.encode()
    )
    return text.replace(b"\r", b"").split(b"is ")[-1].split(b"\n")[0]


@BOTH
@pytest.mark.parametrize("folder", ["", "/lib"])
def test_a_file_is_found_before_most_of_the_firmwares_modules(
    tmp_path: Path, chip: Chip, folder: str
) -> None:
    files_first = ("os", "io", "json", "hashlib", "binascii", "struct", "time", "machine")
    never = ("sys", "micropython", "gc", "deflate", "vfs", "network", "esp")
    with Bench(tmp_path, chip) as bench:
        bench.boot()
        if folder:
            bench.type(b"import uos;uos.mkdir('/lib')\r")
        for name in (*files_first, *never):
            put_file(bench.setup, bench.flash, f"{folder}/{name}.py", FILE)
        bench.boot()
        for name in files_first:
            assert whose(bench, f"u{name}") == b"firmware", name
            assert whose(bench, name) == b"file", name
        for name in never:
            assert whose(bench, name) == b"firmware", name


def test_before_1_21_a_file_is_found_before_sys_and_what_came_later(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32, "1.19.1") as bench:
        for name in ("sys", "os", "deflate", "vfs"):
            put_file(bench.setup, bench.flash, f"/{name}.py", FILE)
        bench.boot()
        for name in ("sys", "os", "deflate", "vfs"):
            assert whose(bench, name) == b"file", name
        assert whose(bench, "usys") == whose(bench, "uos") == b"firmware"
        assert b"ImportError" in bench.type(b"import udeflate\r")


def test_the_firmwares_own_modules_are_not_in_sys_modules(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32) as bench:
        bench.boot()
        text = bench.type(b"import os, time, machine, sys;print(sorted(sys.modules))\r")
        assert b"['flashbdev']\r\n" in text
        assert b"AttributeError" in bench.type(b"os.listdir = None\r")
        lines = bench.type(b"import nothing_here\r").split(b"\r\n")
        assert lines[1:4] == [
            b"Traceback (most recent call last):",
            b'  File "<stdin>", line 1, in <module>',
            b"ImportError: no module named 'nothing_here'",
        ]
