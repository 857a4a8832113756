"""A filesystem that a real MicroPython has made, read and edited in the flash of a virtual board:
what a scan through the REPL says is said, and what is written there the firmware takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.core.chips.esp.family import FAMILY
from provision.device.flashing.esptool.flasher import EsptoolFlasher
from provision.device.flashing.filesystem_store import LittleFsStore
from provision.device.micropython.board_repl import BoardRepl
from provision.device.transport.serial_port import open_port
from provision.interfaces import ScanRequest, StoredFilesystem
from provision.model.board_path import STARTUP_FILES, TEMPORARY_NAME
from provision.model.chip import Chip
from provision.model.endpoint import Endpoint
from provision.model.state import FileState, Filesystem
from tests.bench_of_boards import Bench, bench
from tests.device.micropython.test_board_repl import Unit, files_of, ignore, make
from tests.fakes.work import make_directory, transfer_of, write_file
from tests.flashers import connected
from tests.images import profile
from tests.virtual_ports import virtual_ports

__all__ = ["bench", "make", "virtual_ports"]

FILES = {
    "/boot.py": b"started = 'boot'\n",
    "/main.py": b"started += ' main'\n",
    "/lib/helper.py": b"# helper\n" * 2000,
    "/lib/small.py": b"x",
    "/data/own.db": b"an app's own",
    "/lib/" + TEMPORARY_NAME: b"half",
}


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "locks"))


@contextmanager
def attached(unit: Unit, chip: Chip) -> Iterator[EsptoolFlasher]:
    port = open_port(Endpoint(address=unit.address), device="unit")
    try:
        yield connected(port, profile(chip, flash_size=4 << 20))
    finally:
        port.close()


def stored(flasher: EsptoolFlasher, chip: Chip) -> StoredFilesystem:
    place = FAMILY.filesystem_in_flash(chip, flasher.read, 4 << 20, None)
    assert place is not None
    found = LittleFsStore().read(flasher.read, place)
    assert found is not None
    return found


def as_expected(*paths: str) -> dict[str, FileState]:
    return {
        path: FileState(size=len(FILES[path]), sha256=hashlib.sha256(FILES[path]).hexdigest())
        for path in paths
    }


REQUESTS = {
    "a fleet's": ScanRequest(
        paths=("/gone", "/lib/small.py"),
        trees=("/lib",),
        expected={
            **as_expected("/boot.py", "/lib/helper.py"),
            "/main.py": FileState(size=1, sha256="0" * 64),
            "/new/x.py": FileState(size=1, sha256="0" * 64),
        },
    ),
    "everything": ScanRequest(
        paths=(), trees=("/",), expected={"/x": FileState(size=1, sha256="1" * 64)}
    ),
    "single files": ScanRequest(paths=("/data/own.db", "/data"), expected=as_expected("/main.py")),
}


@pytest.mark.parametrize("disabled", [False, True], ids=["", "app disabled"])
@pytest.mark.parametrize("chip", [ESP32, ESP8266], ids=str)
def test_the_flash_tells_what_a_scan_tells(
    bench: Bench, make: Callable[..., Unit], chip: Chip, disabled: bool
) -> None:
    unit = make(chip)
    with unit.repl() as repl:
        work = [make_directory(path) for path in ("/lib", "/data", "/data/empty")]
        files = [
            write_file(path, data) for path, data in FILES.items() if TEMPORARY_NAME not in path
        ]
        repl.transfer(*transfer_of([*work, *files]), ignore)
        half = f"open('/lib/{TEMPORARY_NAME}', 'w')"
        repl.evaluate(f"(lambda file: (file.write('half'), file.close()))({half})", 5)
        if disabled:
            repl.disable_startup()
        scanned = {name: files_of(repl, request) for name, request in REQUESTS.items()}
    with attached(unit, chip) as flasher:
        filesystem = stored(flasher, chip)
        for name, request in REQUESTS.items():
            seen = filesystem.observe(request)
            assert told(seen) == told(scanned[name])
            free = scanned[name].free
            # MicroPython's statvfs counts the two blocks of each directory twice.
            assert free is None or seen.free == free + 2 * 3 * seen.block
        assert filesystem.contents().files.keys() >= {"/data/own.db", "/lib/helper.py"}
        assert filesystem.contents().directories == {"/lib", "/data", "/data/empty"}


def told(seen: Filesystem) -> Filesystem:
    """Without what a scan that finds all as expected does not ask for."""
    files = {
        path: state if state.sha256 is not None else FileState(size=None, sha256=None)
        for path, state in seen.files.items()
    }
    return replace(seen, files=files, free=None)


@pytest.mark.parametrize("chip", [ESP32, ESP8266], ids=str)
def test_an_app_that_is_disabled_in_flash_does_not_start(
    bench: Bench, make: Callable[..., Unit], chip: Chip
) -> None:
    unit = make(chip)
    unit.run_app(b"print('app', 'runs')\nwhile True: pass\n", until=b"app runs")
    with attached(unit, chip) as flasher:
        regions = stored(flasher, chip).startup_disabled(STARTUP_FILES)
        assert regions
        flasher.write(regions, ignore)
        assert stored(flasher, chip).observe(ScanRequest()).disabled
        flasher.restart()
    with unit.port() as port:
        repl = BoardRepl(port)
        assert repl.await_prompt(20)
        repl.enter()
        assert "/main.py" in files_of(repl, REQUESTS["single files"]).disabled
        repl.restore_startup()
        repl.soft_reset()
        repl.raw.serial.read_until(b"app runs", timeout=10)
