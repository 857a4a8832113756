"""Streams: what a browser gets that is quick, slow, gone for a while, or back after a restart."""

from __future__ import annotations

import asyncio
import re

import pytest
from starlette.types import Message

from provision.web.live import Streams, Topic, message
from tests.web.client import play


class Browser:
    """Reads a stream as ASGI sends it. `reads` is cleared by one that stops reading."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.ended = asyncio.Event()
        self.came = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, part: Message) -> None:
        await self.reads.wait()
        if part["type"] == "http.response.body":
            self.received.append(part["body"].decode())
            self.came.set()
            if not part["more_body"]:
                self.ended.set()

    async def next(self) -> str:
        """The next message that says something."""
        while True:
            found = [each for each in self.received if each.startswith("event:")]
            if found:
                self.received.clear()
                return "".join(found)
            self.came.clear()
            await self.came.wait()


def topic() -> tuple[Topic, dict[str, int], list[str]]:
    """A topic of numbers, and which of them were rendered."""
    numbers: dict[str, int] = {}
    rendered: list[str] = []

    def render(key: str) -> str:
        rendered.append(key)
        return f"<p id={key}>{numbers[key]}</p>"

    return Topic(render), numbers, rendered


def mark_in(said: str) -> str:
    return re.findall(r"^id: (\S+)$", said, re.MULTILINE)[-1]


def test_each_change_arrives_as_it_is_when_it_is_sent() -> None:
    async def scene() -> None:
        live, numbers, rendered = topic()
        browser, streams = Browser(), Streams()
        answering = asyncio.ensure_future(
            streams.answer(live, live.mark)({}, browser.receive, browser.send)
        )
        for number in range(1000):
            numbers["a"] = number
            live.touch(["a"])
        said = await browser.next()
        assert "data: <p id=a>999</p>" in said
        assert len(rendered) < 10
        assert streams.open == 1
        browser.left.set()
        await answering
        assert streams.open == 0

    play(scene)


def test_who_comes_back_gets_what_was_missed_once() -> None:
    live, numbers, _ = topic()
    for key in ("a", "b", "c"):
        numbers[key] = 1
        live.touch([key])
    mark = live.mark
    assert live.since(mark) == (mark, [])
    live.touch(["c", "a", "c"])
    assert live.since(mark)[1] == ["a", "c"]
    assert live.since(live.mark)[1] == []


@pytest.mark.parametrize("mark", ["x", "-", "deadbeef-3", "deadbeef-", "٣", "1-1"])
def test_a_page_of_another_start_is_loaded_anew(mark: str) -> None:
    async def scene() -> None:
        live, _, rendered = topic()
        live.touch(["a"])
        browser = Browser()
        await Streams().answer(live, mark)({}, browser.receive, browser.send)
        assert "event: gone" in "".join(browser.received)
        assert browser.ended.is_set()
        assert rendered == []

    play(scene)


def test_pieces_are_rendered_once_for_everybody() -> None:
    async def scene() -> None:
        live, numbers, rendered = topic()
        streams = Streams()
        browsers = [Browser() for _ in range(50)]
        answering = [
            asyncio.ensure_future(streams.answer(live, "")({}, each.receive, each.send))
            for each in browsers
        ]
        numbers["a"] = 7
        live.touch(["a"])
        said = [await browser.next() for browser in browsers]
        assert len(set(said)) == 1
        assert rendered == ["a"]
        live.close()
        await asyncio.gather(*answering)

    play(scene)


def test_a_browser_that_does_not_read_is_left_and_holds_nobody_up() -> None:
    async def scene() -> None:
        live, numbers, _ = topic()
        streams = Streams(stalled=0.5)
        slow, quick = Browser(), Browser()
        answering = [
            asyncio.ensure_future(streams.answer(live, live.mark)({}, each.receive, each.send))
            for each in (slow, quick)
        ]
        numbers["a"] = 1
        live.touch(["a"])
        mark = mark_in(await slow.next())
        await quick.next()
        slow.reads.clear()
        for number in range(2, 5):
            numbers["a"] = number
            live.touch(["a"])
            assert f">{number}<" in await quick.next()
        await answering[0]
        assert slow.received == []
        assert streams.open == 1
        again = Browser()
        answering[0] = asyncio.ensure_future(
            streams.answer(live, mark)({}, again.receive, again.send)
        )
        assert ">4<" in await again.next()
        live.close()
        await asyncio.gather(*answering)

    play(scene)


def test_a_stream_that_ends_has_sent_the_last_word() -> None:
    async def scene() -> None:
        live, numbers, _ = topic()
        browser = Browser()
        answering = asyncio.ensure_future(
            Streams().answer(live, live.mark)({}, browser.receive, browser.send)
        )
        await asyncio.sleep(0)
        numbers["a"] = 3
        live.touch(["a"])
        live.close()
        await answering
        assert ">3<" in "".join(browser.received)
        assert browser.ended.is_set()

    play(scene)


def test_a_mistake_in_a_piece_is_told() -> None:
    async def scene() -> None:
        live, _, _ = topic()
        browser, streams = Browser(), Streams()
        live.touch(["nobody has this"])
        with pytest.raises(KeyError):
            await streams.answer(live, "")({}, browser.receive, browser.send)
        assert streams.open == 0

    play(scene)


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\rb", "a\u2028b", "a\n\nevent: b"])
def test_no_text_breaks_out_of_its_message(text: str) -> None:
    said = message("e-1", [text]).decode()
    head, _, rest = said.partition("\n")
    assert head == "event: update"
    assert rest.endswith("\n\n")
    assert rest.count("\n\n") == 1
    assert "\r" not in said
    assert all(line.startswith(("id: e-1", "data: ")) for line in rest.strip("\n").split("\n"))
