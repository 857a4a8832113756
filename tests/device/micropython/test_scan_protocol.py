"""What is asked of a board has one size; what it answers is read without trust."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.device.micropython import agent_source
from provision.device.micropython.replies import MalformedReply, read_identity
from provision.device.micropython.scan_protocol import (
    ScanQuery,
    passes,
    read_listing,
    read_scan_reply,
)
from provision.errors import BoardError
from provision.interfaces import ScanRequest
from provision.model.state import FileState


def state(data: bytes) -> FileState:
    return FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def request_for(count: int) -> ScanRequest:
    expected = {f"/lib/pkg{i % 7}/module_{i}.py": state(b"%d" % i) for i in range(count)}
    return ScanRequest(paths=tuple(expected), expected=expected)


@pytest.mark.parametrize("count", [0, 1, 10, 25, 50, 75, 100, 150, 200, 300, 5000])
def test_a_look_at_a_board_costs_the_same_however_many_files(count: int) -> None:
    """A kilobyte, and what keeps it out of a working directory whose host is gone."""
    query = ScanQuery(request=request_for(count))
    code = agent_source.program(
        "facts", "scan", call="_scan", arguments=query.arguments, deflate=True
    )
    around = len(b"\r\x03\x03\x01\x05A\x01" + b"\x04" + b"\r\x02")
    assert len(code) - len(agent_source.HOME) + around <= 1024


@given(st.sets(st.text(min_size=1).map(lambda name: "/" + name), max_size=400))
def test_the_filter_passes_all_that_is_asked_for(names: set[str]) -> None:
    query = ScanQuery(request=ScanRequest(paths=tuple(names), expected={}))
    assert all(passes(query.bloom, path) for path in query.known)


def test_the_filter_keeps_nearly_all_else_out() -> None:
    query = ScanQuery(request=request_for(60))
    strangers = [f"/lib/other{i}.py" for i in range(2000)]
    assert sum(passes(query.bloom, path) for path in strangers) < 120


@pytest.mark.parametrize("count", range(1, 400, 7))
def test_what_is_on_every_board_is_kept_out_by_the_size_of_the_filter(count: int) -> None:
    query = ScanQuery(request=request_for(count))
    assert not any(passes(query.bloom, path) for path in ("/boot.py", "/main.py"))
    wanted = ScanQuery(request=ScanRequest(paths=("/boot.py", "/main.py"), expected={}))
    assert all(passes(wanted.bloom, path) for path in ("/boot.py", "/main.py"))


def test_one_changed_byte_changes_what_is_wanted() -> None:
    before = request_for(25)
    changed = dict(before.expected) | {"/lib/pkg0/module_0.py": state(b"other")}
    after = ScanRequest(paths=before.paths, expected=changed)
    assert ScanQuery(request=before).wanted != ScanQuery(request=after).wanted


@given(st.text())
def test_no_answer_makes_the_readers_fail_otherwise(text: str) -> None:
    for read in (read_listing, read_scan_reply):
        with contextlib.suppress(MalformedReply, BoardError):
            read(text)


@pytest.mark.parametrize(
    "line",
    [
        "__import__('os').system('true')",
        "('\\x02', 'v1', 'ESP32', b'123456', 1, __import__('os'))",
        "(" * 500,
        "'" + "a" * 5000 + "'",
        "('relative.py', 0, (1,), b'')",
        "('/x', 0, (1,), b'QUJD')",
    ],
)
def test_an_answer_is_never_evaluated(line: str) -> None:
    for read in (read_identity, read_listing):
        with pytest.raises(MalformedReply):
            read(line)


@pytest.mark.parametrize(
    "line",
    [
        "('\x02', b'AAAA', (4096, 4096, 512, 100), 512)",  # too few sums
        "('\x02', b'', (4096, 4096, 512, None), 512)",
        "('\x02', b'" + 172 * "A" + "', (4096, 4096, 512, 100))",
    ],
)
def test_a_reply_with_sums_of_another_length_is_malformed(line: str) -> None:
    with pytest.raises(MalformedReply):
        read_scan_reply(line)
