"""The fallback transfer, for firmware that takes no stream: what ends it, and how that is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provision.device.micropython.board_repl import BoardRepl
from provision.errors import BoardError, NoAnswer
from tests.fakes.line import LineFaults, MemoryPort, Unplugged, VirtualClock
from tests.fakes.micropython import TEMPORARY_NAME, Flash, MicroPython
from tests.fakes.work import (
    Step,
    delete_file,
    make_directory,
    remove_directory,
    transfer_of,
    write_file,
)


class Worn(Flash):
    """Keeps the first byte of no file, and says errno `fails` to what changes a name, or
    `fails_rename` to a rename."""

    def __init__(
        self, *, loses: bool = False, fails: int | None = None, fails_rename: int | None = None
    ) -> None:
        super().__init__()
        self.loses, self.fails, self.fails_rename = loses, fails, fails_rename

    def set(self, path: str, data: bytes | None) -> None:
        super().set(path, data[1:] if data and self.loses else data)

    def _name(self) -> None:
        if self.fails is not None:
            raise OSError(self.fails)

    def mkdir(self, path: str) -> None:
        self._name()
        super().mkdir(path)

    def remove(self, path: str) -> None:
        self._name()
        super().remove(path)

    def rmdir(self, path: str) -> None:
        self._name()
        super().rmdir(path)

    def rename(self, old: str, new: str) -> None:
        if self.fails_rename is not None:
            raise OSError(self.fails_rename)
        super().rename(old, new)


class Bench:
    def __init__(self, flash: Flash) -> None:
        self.flash = flash
        self.clock = VirtualClock()
        self.board = MicroPython(self.clock, flash=flash, deflates=False)
        self.port = MemoryPort(self.board, clock=self.clock)
        self.repl = BoardRepl(self.port, clock=self.clock)
        self.repl.enter()


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(getattr(request, "param", None) or Flash())
    yield made
    made.board.close()


def ignore(_done: int, _total: int) -> None:
    pass


@pytest.mark.parametrize("bench", [Worn(loses=True)], indirect=True, ids=["worn"])
def test_a_flash_that_keeps_other_bytes_leaves_the_old_file(bench: Bench) -> None:
    bench.flash.files["/main.py"] = b"old"
    with pytest.raises(BoardError, match="not what was sent"):
        bench.repl.transfer(*transfer_of([write_file("/main.py", b"new")]), ignore)
    assert bench.flash.files == {"/main.py": b"old"}


@pytest.mark.parametrize(
    "operation", [make_directory("/lib"), delete_file("/old.py"), remove_directory("/lib")], ids=str
)
@pytest.mark.parametrize(
    "bench", [Worn(fails=5), Worn(fails=84)], indirect=True, ids=["EIO", "LittleFS' corrupt"]
)
def test_a_name_that_cannot_be_changed_is_an_error(bench: Bench, operation: Step) -> None:
    with pytest.raises(BoardError, match=operation[0].path):
        bench.repl.transfer(*transfer_of([operation]), ignore)


@pytest.mark.parametrize("bench", [Worn(fails_rename=21)], indirect=True, ids=["EISDIR"])
def test_a_rename_that_fails_is_told_and_leaves_no_rest(bench: Bench) -> None:
    bench.flash.files["/main.py"] = b"old"
    with pytest.raises(BoardError, match=r"/main\.py: the board says OSError: 21"):
        bench.repl.transfer(*transfer_of([write_file("/main.py", b"new")]), ignore)
    assert bench.flash.files == {"/main.py": b"old"}


def test_names_that_are_as_they_shall_be_are_none(bench: Bench) -> None:
    bench.flash.folders = {"/lib", "/lib/a"}
    work = [make_directory("/lib"), delete_file("/old.py"), remove_directory("/lib")]
    bench.repl.transfer(*transfer_of(work), ignore)
    assert bench.flash.folders == {"/lib", "/lib/a"}  # what is not empty stays


def test_a_cable_that_is_pulled_is_the_ports_error(bench: Bench) -> None:
    def pull(_done: int, _total: int) -> None:
        bench.port.there = LineFaults(cut=0)

    with pytest.raises(Unplugged):
        bench.repl.transfer(*transfer_of([write_file("/main.py", b"x" * 2000)]), pull)
    assert set(bench.flash.files) <= {"/" + TEMPORARY_NAME}


def test_a_board_that_falls_silent_with_the_last_byte_is_told(bench: Bench) -> None:
    """The prompt behind the last operation is what never comes."""
    bench.repl.transfer(*transfer_of([make_directory("/lib")]), ignore)
    heard = bench.port.back = LineFaults()
    bench.repl.transfer(*transfer_of([make_directory("/lib")]), ignore)
    bench.port.back = LineFaults(drops=frozenset(range(heard.passed - 1, heard.passed + 9)))
    with pytest.raises(NoAnswer, match="stopped answering"):
        bench.repl.transfer(*transfer_of([make_directory("/lib")]), ignore)


def test_a_board_that_falls_silent_is_told(bench: Bench) -> None:
    def silence(_done: int, _total: int) -> None:
        bench.port.back = LineFaults(drops=frozenset(range(10_000)))

    with pytest.raises(NoAnswer, match=r"/main\.py: the board stopped answering"):
        bench.repl.transfer(*transfer_of([write_file("/main.py", b"x" * 2000)]), silence)
