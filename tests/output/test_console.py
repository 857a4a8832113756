"""What boards print, as people read it: lines of many devices at once, and files of each."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from provision.errors import UsageError
from provision.model.event import ConsoleLine, DeviceFinished, Event, RunStarted
from provision.output.console import ConsoleFiles, ConsoleText
from provision.output.style import Style


def line(device: str, text: str, *, ended: bool = True, traceback: bool = False) -> ConsoleLine:
    return ConsoleLine(device=device, text=text, ended=ended, traceback=traceback)


def printed(*events: Event, colour: bool = False) -> str:
    stream = io.StringIO()
    console = ConsoleText(stream, style=Style(colour))
    console.handle(
        RunStarted(task="run", changes_boards=True, fleet="f", devices=("shed", "kitchen"))
    )
    for event in events:
        console.handle(event)
    console.close()
    return stream.getvalue()


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ((line("shed", "a"), line("kitchen", "")), "shed    | a\nkitchen | \n"),
        ((line("shed", "a", ended=False), line("shed", "b")), "shed    | ab\n"),
        ((line("shed", "a", ended=False), line("kitchen", "b"), line("shed", "c")),
         "shed    | a\nkitchen | b\nshed    | c\n"),
        ((line("shed", "a", ended=False), line("shed", "Traceback", traceback=True)),
         "shed    | a\nshed    | Traceback\n"),
        ((line("shed", ">>> ", ended=False),), "shed    | >>> \n"),
        ((line("shed", "a", ended=False), DeviceFinished(device="shed", outcome="ok", seconds=1.0),
          line("shed", "b")), "shed    | a\nshed    | b\n"),
    ],
)  # fmt: skip
def test_lines_of_many_devices(events: tuple[Event, ...], text: str) -> None:
    assert printed(*events) == text


def test_devices_have_colours_where_there_are_any() -> None:
    text = printed(line("shed", "a"), line("kitchen", "b"), colour=True)
    heads = [each.partition(" | ")[0] for each in text.splitlines()]
    assert [head.partition("m")[2].partition("\x1b")[0].strip() for head in heads] == [
        "shed",
        "kitchen",
    ]
    assert len({head.partition("m")[0] for head in heads}) == 2


def test_a_file_for_each_device(tmp_path: Path) -> None:
    logs = tmp_path / "new" / "logs"
    for _ in range(2):  # it is appended to
        files = ConsoleFiles(logs, clock=lambda: 0.0)
        for event in (
            line("shed", "a", ended=False),
            line("../up:7", "b"),
            line("shed", "c"),
            line("shed", "d", ended=False),
        ):
            files.handle(event)
        files.close()
    assert sorted(path.name for path in logs.iterdir()) == ["..%2Fup%3A7.log", "shed.log"]
    lines = (logs / "shed.log").read_text(encoding="utf-8").splitlines()
    assert [each.partition(" ")[2] for each in lines] == ["ac", "d"] * 2
    assert len({each.partition(" ")[0] for each in lines}) == 1


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be made"):
        ConsoleFiles(tmp_path / "file")
