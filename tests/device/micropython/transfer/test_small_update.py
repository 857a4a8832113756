"""Small files with the proof of them in one program: on the board that is meant and its flash, or
not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.transfer import small_update
from provision.interfaces import ScanRequest
from provision.model.chip import Chip
from provision.model.state import FileState, Filesystem
from tests.bench_of_boards import Bench, bench
from tests.device.micropython.test_board_repl import AWAY
from tests.device.micropython.unit import Unit
from tests.fakes.work import Lie, Step, make_directory, transfer_of, write_content, write_file

pytest.importorskip("micropython_unix")

__all__ = ["bench"]

OLD, NEW = b"print('old')\n", b"print('new')\n" * 150
STEPS = [make_directory("/lib"), write_file("/lib/a.py", b"a = 1\n"), write_file("/main.py", NEW)]


@pytest.fixture
def make(bench: Bench) -> Callable[..., Unit]:
    def made(chip: Chip = ESP32, version: str = "1.24.1") -> Unit:
        unit = Unit(bench.work, chip, version, "")
        with unit.repl() as repl:
            repl.transfer(*transfer_of([write_file("/main.py", OLD)]), ignore)
        return unit

    return made


def ignore(_done: int, _total: int) -> None:
    """The progress of a test that does not look."""


def update(repl: BoardRepl, steps: list[Step], chip: Chip, mac: str | None = None) -> bool:
    own = repl.identify().mac
    assert own is not None
    actions, contents = transfer_of(steps)
    return small_update.update(
        repl.raw, mac or own, actions, contents, ignore, chip=chip, lossless=False
    )


def main_of(repl: BoardRepl) -> str | None:
    data = FileState(size=len(NEW), sha256=hashlib.sha256(NEW).hexdigest())
    seen = repl.observe(ScanRequest(paths=("/main.py",), expected={"/main.py": data})).filesystem
    assert isinstance(seen, Filesystem)
    return {
        hashlib.sha256(OLD).hexdigest(): "old", data.sha256: "new"
    }.get(seen.files["/main.py"].sha256)  # fmt: skip


@pytest.mark.parametrize("chip", [ESP32, ESP8266])
def test_files_are_written_and_proved(make: Callable[..., Unit], chip: Chip) -> None:
    unit = make(chip)
    with unit.repl() as repl:
        assert update(repl, STEPS, chip)
        assert update(repl, STEPS, chip)  # again, which changes nothing
        assert main_of(repl) == "new"
        assert repl.read("/lib/a.py", 100) == b"a = 1\n"


def test_another_board_gets_nothing(make: Callable[..., Unit]) -> None:
    with make().repl() as repl:
        assert not update(repl, STEPS, ESP32, "24:6f:28:00:00:99")
        assert main_of(repl) == "old"


@pytest.mark.parametrize("away", AWAY)
def test_what_is_not_the_flash_gets_nothing(make: Callable[..., Unit], away: str) -> None:
    with make().repl() as repl:
        repl.identify()
        repl.raw.execute(AWAY[away].encode(), timeout=10)
        assert not update(repl, STEPS, ESP32)
        if away == "RAM disk":
            assert repl.raw.execute(b"print(os.listdir('/'))", timeout=10).strip() == "[]"
        assert main_of(repl) == "old"  # by a look at the flash, wherever the app has it


def test_what_does_not_become_what_it_must_be_is_not_called_so(make: Callable[..., Unit]) -> None:
    with make().repl() as repl:
        assert not update(repl, [write_content("/main.py", Lie(data=NEW))], ESP32)
        assert main_of(repl) == "old"


def test_a_firmware_without_deflate_is_left_to_others(make: Callable[..., Unit]) -> None:
    with make(ESP32, "1.20.0").repl() as repl:
        assert not update(repl, STEPS, ESP32)
        assert main_of(repl) == "old"
