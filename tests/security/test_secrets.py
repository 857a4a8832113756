"""A secret reaches its board and nothing else, whatever a board says and however it is written:
not a message, a trace, a terminal, a log, a record, a report or a traceback.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import tempfile
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import example, given, settings
from hypothesis import strategies as st

from provision.core.manifest.redact import Redactor
from provision.core.wording import excerpt
from provision.device.micropython.board_repl import BoardRepl
from provision.errors import ProvisionError
from provision.interfaces import ScanRequest
from provision.model.event import (
    ActionDone,
    DeviceFinished,
    DevicePlanned,
    Event,
    FileDiffed,
    ManualActionNeeded,
    Notice,
    RunFinished,
    RunStarted,
    StageStarted,
    Trace,
)
from provision.model.plan import DeleteFile, Plan, Refusal, RunCheck
from provision.model.state import Check
from provision.output.setup import open_outputs
from tests.fakes.line import MemoryPort, VirtualClock
from tests.fakes.micropython import MicroPython
from tests.fakes.work import transfer_of, write_file
from tests.html_page import parsed
from tests.secret_forms import FORMS, secrets, shown_of

forms = st.sampled_from(sorted(FORMS))
# In no form of a secret.
surroundings = st.text("ΩΨΔ", max_size=300)


@given(
    secret=secrets,
    name=forms,
    before=surroundings,
    after=surroundings,
    limit=st.integers(1, 400),
    end=st.booleans(),
    data=st.data(),
)
def test_an_excerpt_holds_no_part_of_a_secret(
    secret: str,
    name: str,
    before: str,
    after: str,
    limit: int,
    end: bool,
    data: st.DataObject,
) -> None:
    """Wherever it is cut, and wherever a buffer has cut it before."""
    text = before + FORMS[name](secret) + after
    start = data.draw(st.integers(0, len(text)))
    text = text[start : data.draw(st.integers(start, len(text)))]
    shown = excerpt(text, Redactor([secret]).text, limit, end=end)
    assert len(shown) <= limit
    assert shown_of(secret, shown, 4) == set()


@given(
    secret=secrets,
    name=st.sampled_from(["as it is", "repr", "repr in ASCII", "JSON", "HTML", "URL", "hex"]),
    before=surroundings,
    after=surroundings,
    limit=st.integers(1, 400),
    end=st.booleans(),
)
def test_what_was_not_cut_before_is_masked_before_it_is(
    secret: str, name: str, before: str, after: str, limit: int, end: bool
) -> None:
    """Not one character is left."""
    text = before + FORMS[name](secret) + after
    shown = excerpt(text, Redactor([secret]).text, limit, end=end)
    assert set(shown) <= set("ΩΨΔ*…")


class Exchange:
    """What the host asks of a board, and what comes of it: messages and traces."""

    def __init__(self, secret: str, said: list[tuple[bytes, bytes]]) -> None:
        self.told: list[str] = []
        self._said = said
        self._secret = secret

    def ask(self, what: str, deflates: bool) -> str:
        clock = VirtualClock()
        board = MicroPython(clock, lies=itertools.cycle(self._said))
        repl = BoardRepl(
            MemoryPort(board, clock=clock),
            clock=clock,
            trace=lambda _level, text: self.told.append(text),
            redact=Redactor([self._secret]).text,
        )
        repl.deflates = deflates
        try:
            repl.enter()
            self._ask(repl, what)
        except ProvisionError as error:
            self.told += [error.message, error.hint]
        finally:
            board.close()
        return "\n".join(self.told)

    @staticmethod
    def _ask(repl: BoardRepl, what: str) -> None:
        match what:
            case "observe":
                repl.observe(ScanRequest(paths=("/main.py",), expected={}))
            case "transfer":
                work, contents = transfer_of([write_file("/main.py", b"x")])
                repl.transfer(work, contents, lambda _done, _total: None)
            case "evaluate":
                repl.evaluate("app.ready()", 1.0)
            case "read":
                repl.read("/main.py", 10)
            case _:
                repl.disable_startup()


@settings(max_examples=60)
@example("abcdefghijkmnp\rq\xa0", "HTML in ASCII", "observe", False, "", False)
@given(
    secret=secrets,
    name=forms,
    what=st.sampled_from(["observe", "transfer", "evaluate", "read", "disable"]),
    deflates=st.booleans(),
    before=st.text("ΩΨΔ ", max_size=150),
    raised=st.booleans(),
)
def test_no_message_and_no_trace_of_a_board_holds_a_secret(
    secret: str, name: str, what: str, deflates: bool, before: str, raised: bool
) -> None:
    said = (before + FORMS[name](secret)).encode()
    traceback = b'Traceback (most recent call last):\r\n  File "main.py"\r\nValueError: ' + said
    lies = [(b"", traceback + b"\r\n")] if raised else [(said + b"\r\n", b"")]
    told = Exchange(secret, lies).ask(what, deflates)
    assert shown_of(secret, told, 4) == set()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run_that_says(text: str) -> tuple[Event, ...]:
    """Every event, with the text wherever one of a board or a manifest may stand."""
    refusal = Refusal(kind="kind", message=text, hint=text)
    actions = (DeleteFile(path="/a", reason=text), RunCheck(check=Check(console=text), reason=text))
    return (
        RunStarted(task="apply", changes_boards=True, fleet="fleet", devices=("a", "b")),
        StageStarted(device="a", stage="flash", detail=text),
        ManualActionNeeded(device="a", instructions=text, seconds=5.0),
        DevicePlanned(device="a", plan=Plan(device="a", actions=actions)),
        DevicePlanned(device="b", plan=Plan(device="b", refusals=(refusal,))),
        FileDiffed(device="a", path="/a", lines=("--- a", "+++ b", f"-{text}", f"+{text}")),
        ActionDone(device="a", action=actions[1]),
        Notice(message=text),
        Notice(message=text, device="a"),
        Trace(device="a", level=1, text=text),
        Trace(device="a", level=2, text=text),
        DeviceFinished(
            device="a", outcome="failed", seconds=1.0, error=text, hint=text, board_state=text
        ),
        DeviceFinished(device="b", outcome="refused", seconds=1.0, error=f"{text} {text}"),
        RunFinished(seconds=1.0, exit_code=4, outcomes={"a": "failed", "b": "refused"}),
    )


def strings(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for each in value for text in strings(each)]
        case dict():
            return strings(list(value.values()))
        case _:
            return []


@settings(max_examples=25)
@given(secret=secrets, name=forms, before=surroundings, after=surroundings)
def test_no_output_holds_a_secret(secret: str, name: str, before: str, after: str) -> None:
    """Neither as its bytes are, nor as a program reads them."""
    events = run_that_says(before + FORMS[name](secret) + after)
    said = []
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        for number, (stream, as_json) in enumerate(
            ((io.StringIO, True), (io.StringIO, False), (Terminal, False))
        ):
            out, err = stream(), stream()
            with open_outputs(
                stdout=out,
                stderr=err,
                json_lines=as_json,
                verbosity=2,
                log_file=room / f"{number}.log",
                junit=room / f"{number}.xml",
                html=room / f"{number}.html",
                redact=Redactor([secret]).text,
                environment={"PROVISION_STATE_DIR": folder, "TERM": "xterm", "COLUMNS": "80"},
            ) as outputs:
                for event in events:
                    outputs.handle(event)
            said += [out.getvalue(), err.getvalue()]
            if as_json:
                said += strings([json.loads(line) for line in out.getvalue().splitlines()])
        kept = [path for path in room.rglob("*") if path.is_file()]
        assert len(kept) == 12, "a log, two reports and a record of each"
        for path in kept:
            text = path.read_text("utf-8")
            text = re.sub("(?s)<style>.*</style>", "", text)  # a colour can look like hex
            # `&quot;` is the format's own word, also where a secret has a quotation mark.
            said.append(unescape(text) if path.suffix in (".xml", ".html") else text)
            if path.suffix == ".xml":
                root = ElementTree.fromstring(text)
                said += [
                    each for one in root.iter() for each in (one.text, *one.attrib.values()) if each
                ]
            elif path.suffix == ".html":
                said += parsed(text).itertext()
    told = re.sub(r"[T ]\d\d:\d\d:\d\d", "", "\n".join(said))  # a time can look like hex
    assert shown_of(secret, told, 6) == set()
    assert told.count("***") > 3 * len(events)
