"""Which changes go within a program, and what becomes of those that a board does not take so."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import pytest

from provision.device.micropython.transfer import small_file
from tests.device.micropython.test_line_faults import Station, ignore
from tests.fakes.micropython import TEMPORARY_NAME, Flash
from tests.fakes.work import Step, delete_file, transfer_of, write_file

NOISE = random.Random(1).randbytes(4096)


@pytest.mark.parametrize(
    ("work", "goes"),
    [
        ([write_file("/a.py", b"a = 1\n" * 682)], True),
        ([write_file("/a.py", b"")], True),
        ([delete_file("/old.py")], False),
        ([write_file("/a.py", b"a"), write_file("/b.py", b"b")], False),
        ([write_file("/a.py", bytes(4097))], False),
        ([write_file("/a.bin", NOISE)], False),
        ([write_file("/" + "é" * 128, b"")], False),
    ],
    ids=["small", "empty", "delete", "two", "large", "does not deflate", "long path"],
)
def test_one_small_file_goes_within_a_program_and_nothing_else_does(
    work: Sequence[Step], goes: bool
) -> None:
    station = Station()
    with station.repl() as (repl, _):
        repl.enter()
        assert small_file.transfer(repl.raw, *transfer_of(work), ignore) is goes
    actions, contents = transfer_of(work)
    assert station.flash.files == (
        {actions[0].path: contents[actions[0].path].data} if goes else {}
    )


class Tight(Flash):
    """On a board that has no memory for it the first time."""

    tried = 0

    def open(self, path: str, mode: str = "r") -> io.BytesIO:
        self.tried += path.endswith(TEMPORARY_NAME)
        if self.tried == 1:
            raise MemoryError
        return super().open(path, mode)


def test_what_a_board_has_no_memory_for_goes_as_a_stream() -> None:
    said: list[str] = []
    station = Station(flash=Tight())
    with station.repl() as (repl, _):
        repl.enter()
        repl.raw.trace = lambda _, text: said.append(text)
        repl.transfer(*transfer_of([write_file("/a.py", b"a = 1\n")]), ignore)
    assert station.flash.files == {"/a.py": b"a = 1\n"}
    assert "/a.py does not go within a program: MemoryError:" in said
