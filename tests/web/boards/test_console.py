"""Listening to a board: begun when asked, ended when nobody looks, never in a run's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from provision.api import Cancellation
from provision.errors import PortBusy
from provision.model.event import ConsoleLine, DeviceFinished, Event, Notice
from provision.web.boards.console import KEPT, MOST_TEXT, Consoles, ConsoleTopic

PATIENCE = 60.0


def until_cancelled(cancel: Cancellation) -> None:
    """As a real listener does, between two reads: a cancellation has no event."""
    while not cancel.cancelled():
        time.sleep(0.005)


class Board:
    """Stands for `api.logs` of one board: says a line, and listens until it is cancelled."""

    def __init__(self) -> None:
        self.listening = threading.Event()
        self.times = 0

    def __call__(self, device: str, cancel: Cancellation, heard: Callable[[Event], None]) -> None:
        self.times += 1
        heard(ConsoleLine(device=device, text=f"time {self.times}"))
        self.listening.set()
        until_cancelled(cancel)
        self.listening.clear()


@contextmanager
def consoles(
    listen: Callable[..., None], grace: float = PATIENCE, expected: Sequence[str] = ()
) -> Iterator[Consoles]:
    bugs: list[Exception] = []
    made = Consoles(
        listen, lambda device, key: f"{device} {key}", tell_bug=bugs.append, grace=grace
    )
    try:
        yield made
    finally:
        made.shut()
    assert [str(bug) for bug in bugs] == [*expected]


def said(topic: ConsoleTopic) -> str:
    return "".join(topic.pieces())


def test_nothing_is_listened_to_unasked_and_once_whoever_asks() -> None:
    board = Board()
    with consoles(board) as made:
        with made.watching("x"):
            assert made.state("x") == "closed"
        assert board.times == 0
        made.open("x")
        made.open("x")
        assert board.listening.wait(PATIENCE)
        assert made.state("x") == "listening"
        assert said(made.topic("x")) == '<span class="said">time 1\n</span>'
    assert not board.listening.is_set()


def test_a_run_has_the_port_and_listening_goes_on_afterwards() -> None:
    board = Board()
    with consoles(board) as made:
        made.open("x")
        assert board.listening.wait(PATIENCE)
        with made.held(["x", "z"]):
            assert not board.listening.is_set()
            assert made.state("x") == "held"
            made.open("z")
            assert made.state("z") == "held"
            assert board.times == 1
        assert board.listening.wait(PATIENCE)
        assert made.state("x") == made.state("z") == "listening"


def test_it_ends_when_nobody_looks_any_more() -> None:
    ended = threading.Event()

    def listen(_device: str, cancel: Cancellation, _heard: Callable[[Event], None]) -> None:
        until_cancelled(cancel)
        ended.set()

    with consoles(listen, grace=0.01) as made:
        with made.watching("x"):
            made.open("x")
            with made.watching("x"):
                pass
            assert made.state("x") == "listening"
            assert not ended.is_set()
        assert ended.wait(PATIENCE)


def test_what_ends_it_is_said_and_it_may_be_begun_again() -> None:
    def busy(device: str, _cancel: Cancellation, heard: Callable[[Event], None]) -> None:
        heard(Notice(device=device, message="<gone>"))
        heard(DeviceFinished(
            device=device, outcome="unreachable", seconds=0, error="no port", hint="plug it in",
        ))  # fmt: skip
        raise PortBusy("it is taken", hint="end it")

    with consoles(busy) as made:
        topic = made.topic("x")
        for number in (1, 2):
            mark = topic.mark
            made.open("x")
            while made.state("x") != "closed":
                topic.since(mark)
            text = said(topic)
            assert text.count("&lt;gone&gt;") == number
            assert text.count("no port; plug it in") == number
            assert text.count("it is taken; end it") == number


def test_a_mistake_of_this_tool_ends_it_and_the_page_says_so() -> None:
    def broken(_device: str, _cancel: Cancellation, _heard: Callable[[Event], None]) -> None:
        raise LookupError("no such thing")

    with consoles(broken, expected=["no such thing"]) as made:
        mark = made.topic("x").mark
        made.open("x")
        while made.state("x") != "closed":
            made.topic("x").since(mark)
        assert "internal: LookupError: no such thing" in said(made.topic("x"))


def test_pieces_are_sent_once_each_and_a_gap_is_said() -> None:
    topic = ConsoleTopic(lambda key: f"[{key}]")
    first = topic.mark
    topic.say("a<b", "said", ended=False)
    topic.say("c", "bad")
    mark, keys = topic.since(first)
    (html,) = map(topic.html, keys)
    assert html == (
        '<div hx-swap-oob="beforeend:#console"><span class="said">a&lt;b</span>'
        '<span class="bad">c\n</span></div>'
    )
    assert topic.since(mark) == (mark, [])
    topic.touch(["state"])
    mark, keys = topic.since(mark)
    assert [topic.html(key) for key in keys] == ["[state]"]
    for _ in range(KEPT + 10):
        topic.say("x" * (MOST_TEXT + 1), "said")
    _, keys = topic.since(mark)
    assert "(some output was left out)" in topic.html(keys[0])
    assert len(topic.pieces()) == KEPT
    assert len(topic.pieces()[-1]) < MOST_TEXT + 60
    assert topic.since("0" * 5000 + "-" + "1" * 5000)[1], "a mark of nobody is one of the start"
