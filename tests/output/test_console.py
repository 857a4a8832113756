"""What boards print, as people read it: lines of many devices at once, and files of each."""

from __future__ import annotations

import io
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.redact import Redactor
from provision.errors import UsageError
from provision.model.event import ConsoleLine, DeviceFinished, Event, Printed, RunStarted
from provision.output.console import ConsoleFiles, ConsoleText
from provision.output.fanout import Fanout
from provision.output.jsonlines import JsonLines
from provision.output.plain import Plain
from provision.output.run_log import RunRecord
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


printed_blocks = st.builds(
    Printed,
    device=st.sampled_from(["shed", "kitchen"]),
    lines=st.lists(
        st.sampled_from(["", "a", "hunter2", "x hunter2\x1b[2J y", "grün", "\x9b1m", "…"]),
        min_size=1,
    ).map(tuple),
    ended=st.booleans(),
)


@given(blocks=st.lists(printed_blocks, max_size=5))
def test_lines_that_come_at_once_are_shown_as_one_by_one(blocks: list[Printed]) -> None:
    """By each output of a console, masked and harmless, and after a question as before it."""
    redact = Redactor(["hunter2"]).text
    shown: list[list[str]] = []
    for at_once in (True, False):
        streams = [io.StringIO() for _ in range(4)]
        outputs = (
            ConsoleText(streams[0]),
            ConsoleText(streams[1], style=Style(True)),
            JsonLines(streams[2], clock=lambda: 0.0),
            Plain(streams[3], console=True),
        )
        with (
            TemporaryDirectory() as folder,
            Fanout([*outputs, ConsoleFiles(Path(folder), clock=lambda: 0.0)], redact) as fanout,
        ):
            for number, block in enumerate(blocks):
                with fanout.paused() if number == 2 else nullcontext():
                    if at_once:
                        fanout.handle_printed(block)
                    else:
                        for event in block.each():
                            fanout.handle(event)
            fanout.close()
            files = [path.read_text("utf-8") for path in sorted(Path(folder).iterdir())]
        shown.append([*(stream.getvalue() for stream in streams), *files])
    assert shown[0] == shown[1]
    assert "hunter2" not in "".join(shown[0])
    assert "\x1b[2J" not in "".join(shown[0])


def test_of_what_boards_print_no_record_is_kept(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    with Fanout([record]) as fanout:
        fanout.handle_printed(Printed(device="shed", lines=("a", "b")))
    assert record.path.read_text(encoding="utf-8") == ""


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be made"):
        ConsoleFiles(tmp_path / "file")
