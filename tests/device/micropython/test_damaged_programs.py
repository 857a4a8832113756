"""Programs that change a board, on a line that flips a bit of them.

Deflated text with a flipped bit is now and then other text, and now and then that is a program. No
such program may run: each is proved by a digest first.
"""

from __future__ import annotations

import ast
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest

from provision.device.micropython import agent_source
from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.raw_repl import RAW_PASTE
from provision.device.micropython.transfer import small_file
from provision.errors import BoardError, ProvisionError
from provision.interfaces import ScanRequest
from tests.device.micropython.test_line_faults import Station, converges, ignore
from tests.fakes.line import LineFaults
from tests.fakes.micropython import TEMPORARY_NAME
from tests.fakes.work import transfer_of, write_file

NEW = b"y = 2\n" * 20
SMALL = write_file("/old.py", NEW)
OTHERS = {
    "/old.py": b"y = 1\n",
    "/nld.py": b"",
    "/old.pz": b"",
    "/oldnpy": b"",
    "/.provisiom~": b"",
    "/boot.py": b"y = 1\n",
}
PACKED = re.compile(rb'BytesIO\(b"(.*?)"\),1,', re.DOTALL)


def inflated(code: bytes) -> bytes | None:
    """What a board makes of the literal in a program; None of none, or what is not deflated."""
    found = PACKED.search(code)
    if found is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that are none
            content = ast.literal_eval('"' + found[1].decode("latin-1") + '"')
        inflater = zlib.decompressobj(-15)
        text = inflater.decompress(content.encode("latin-1"))
        return text if inflater.eof else None
    except (SyntaxError, ValueError, zlib.error):
        return None


def still_programs(code: bytes, length: int | None = None) -> Iterator[tuple[int, int]]:
    """Each bit (place, value) whose flip makes another program of the first `length` bytes of what
    is deflated in `code`, all of them by default."""
    sound = inflated(code)
    assert sound is not None
    begin = code.index(b"BytesIO(") + len(b'BytesIO(b"')
    for place in range(begin, code.index(b'"),1,')):
        for bit in (1 << number for number in range(8)):
            damaged = code[:place] + bytes([code[place] ^ bit]) + code[place + 1 :]
            text = inflated(damaged)
            if text is None or text[:length] == sound[:length]:
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    compile(text[:length], "", "exec", ast.PyCF_ONLY_AST)
            except (SyntaxError, ValueError):
                continue
            yield place, bit


def some(places: Iterable[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """A dozen of them, from all over: each is stopped by the same line of the program."""
    found = list(places)
    assert len(found) > 12, "what the test is about does not come about"
    return found[:: len(found) // 12]


class Recorder(LineFaults):
    """A line that damages nothing."""

    heard = b""

    def __call__(self, data: bytes) -> bytes:
        self.heard += data
        return data


def sent(work: Callable[[BoardRepl], object]) -> bytes:
    """The first program that the host sends for some work on a board with `OTHERS`."""
    station = Station()
    station.flash.files = dict(OTHERS)
    with station.repl() as (repl, _), station.timed():
        repl.enter()
        repl.observe(ScanRequest())
        station.port.there = recorder = Recorder()
        work(repl)
    return recorder.heard.removeprefix(RAW_PASTE).partition(b"\x04")[0]


def damaged(place: int, bit: int, work: Callable[[BoardRepl], object]) -> Station:
    """The station after `work`, whose first program had one bit flipped."""
    position = len(RAW_PASTE) + place
    station = Station(there=LineFaults(flips=frozenset([position]), bit=bit))
    station.flash.files = dict(OTHERS)
    with station.repl() as (repl, _), station.timed():
        station.there.active = lambda: False
        repl.enter()
        repl.observe(ScanRequest())
        station.there.active = lambda: True
        try:
            work(repl)
        except ProvisionError as error:
            assert error.message.isprintable()
    return station


def of_a_small_file(place: int, bit: int) -> Station:
    """Whatever comes of it, no other path is touched, and the file is its old or its new self."""
    station = damaged(place, bit, lambda repl: repl.transfer(*transfer_of([SMALL]), ignore))
    left = {path: data for path, data in station.flash.files.items() if path != TEMPORARY_NAME}
    assert left in (OTHERS, {**OTHERS, "/old.py": NEW})
    return station


FILE_PROGRAM = small_file.program(b"/old.py", NEW)
SOURCE = len(agent_source.source("put"))


@pytest.mark.parametrize("part", range(2))
def test_a_flipped_bit_in_a_small_file_touches_no_other_path(part: int) -> None:
    for place in range(part * 20, len(FILE_PROGRAM), 40):
        converges(of_a_small_file(place, 1 << place % 8), {"/old.py": NEW})


def test_no_flipped_bit_makes_another_program_of_the_one_that_writes_a_file() -> None:
    told: list[str] = []
    for place, bit in some(still_programs(FILE_PROGRAM, SOURCE)):
        told += of_a_small_file(place, bit).told
    proved = sum(agent_source.DAMAGED in text for text in told)
    assert proved >= 6, "the others do not inflate to their end"


@pytest.mark.slow
@pytest.mark.parametrize("bit", [1 << number for number in range(8)])
def test_no_flipped_bit_in_a_small_file_touches_another_path(bit: int) -> None:
    for place in range(len(FILE_PROGRAM)):
        converges(of_a_small_file(place, bit), {"/old.py": NEW})


def rename(repl: BoardRepl) -> None:
    repl.disable_startup()


def test_no_flipped_bit_has_another_file_renamed() -> None:
    renamed = {path.replace("/boot.py", "/.provision~boot.py"): OTHERS[path] for path in OTHERS}
    for place, bit in some(still_programs(sent(rename))):
        station = damaged(place, bit, rename)
        assert station.flash.files == renamed, (place, bit)
        assert "a program arrived damaged, and was not run" in station.told


def send(repl: BoardRepl) -> None:
    repl.transfer(*transfer_of([SMALL, write_file("/lib.py", b"x")]), ignore)


def test_a_receiver_that_arrives_as_another_program_is_sent_again() -> None:
    for place, bit in some(still_programs(sent(send))):
        station = damaged(place, bit, send)
        assert station.flash.files == {**OTHERS, "/old.py": NEW, "/lib.py": b"x"}
        assert "the stream was damaged (its receiver arrived as another program); " \
            "trying once more" in station.told  # fmt: skip


class EachProgram(LineFaults):
    """A line that damages every program, at the same place."""

    def __call__(self, data: bytes) -> bytes:
        if data.startswith(RAW_PASTE):
            self.passed = 0
        return super().__call__(data)


def test_a_line_that_damages_each_program_is_told_and_nothing_is_renamed() -> None:
    place, bit = next(still_programs(sent(rename)))
    flips = frozenset([len(RAW_PASTE) + place])
    station = Station()
    station.flash.files = dict(OTHERS)
    with station.repl() as (repl, _), station.timed():
        repl.enter()
        repl.observe(ScanRequest())
        station.there = station.port.there = EachProgram(flips=flips, bit=bit)
        with pytest.raises(BoardError, match="the line damages what is sent to the board"):
            rename(repl)
    assert station.flash.files == OTHERS
