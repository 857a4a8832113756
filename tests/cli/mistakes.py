"""Mistakes that people make, as data: what was typed, and what has to be in the message.

Each is run through the command line. `python -m tests.cli.mistake_cases` writes docs/mistakes.md of
what was seen; `test_mistakes.py` holds both to it.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from provision.cli import run

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/mistakes.md"
COMMAND = "python -m tests.cli.mistake_cases"
KITCHEN = "devices:\n  kitchen:\n    board: esp32\n"
VALIDATE = ("validate",)
PLAN = ("plan",)

Content = str | bytes | None
"""Of a file; None makes a folder."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """`where`, `why` and `then` are parts of the message, each a judgement of it: the place or the
    device, the cause, and what to do or type next. `before` are commands that set the scene."""

    title: str
    files: Mapping[str, Content] = field(default_factory=dict)
    words: Sequence[str] = VALIDATE
    code: int = 3
    where: str
    why: str
    then: str
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Seen:
    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def seen(mistake: Mistake, folder: Path) -> Seen:
    """Make the mistake in an empty folder, whose name is taken out of what is said."""
    work = folder / "work"
    work.mkdir()
    for name, content in mistake.files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    environment = {
        **{key: value for key, value in os.environ.items() if key not in _LEFT_OUT},
        **{
            f"PROVISION_{name}": str(folder / name.lower())
            for name in ("STATE_DIR", "CACHE_DIR", "RUNTIME_DIR", "SIM_HOME")
        },
        "XDG_CONFIG_HOME": str(folder / "config"),
        **mistake.environment,
    }
    with _place(work, environment):
        try:
            for words in mistake.before:
                scene = _run(words)
                assert scene.code == 0, scene.text
            told = _run(mistake.words)
        finally:
            if mistake.before:
                _run(("sim", "rm", "--all"))
    text = told.text.replace(f"{work}/", "")
    for pattern, shown in _OWN:
        text = pattern.sub(shown, text)
    return Seen(told.code, text)


_LEFT_OUT = {
    "NO_COLOR", "FORCE_COLOR", "PROVISION_MANIFEST", "PROVISION_CONFIG", "PROVISION_FORKS",
    "PROVISION_SECRETS", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy",
}  # fmt: skip
# What is another one each time.
_OWN = (
    (re.compile(r"\b\d+\.\d s\b"), "0.1 s"),
    (re.compile(r" +0\.1 s"), " 0.1 s"),
)


@contextmanager
def _place(work: Path, environment: Mapping[str, str]) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(work)
    try:
        with patch.dict(os.environ, environment, clear=True):
            yield
    finally:
        os.chdir(before)


def _run(words: Sequence[str]) -> Seen:
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with ExitStack() as stack:
        stdin = stack.enter_context(Path(os.devnull).open(encoding="utf-8"))
        for name, value in (
            ("stdout", said), ("stderr", said), ("stdin", stdin), ("argv", ["provision", *words])
        ):  # fmt: skip
            stack.enter_context(patch.object(sys, name, value))
        code = 0
        try:
            run()
        except SystemExit as end:
            code = int(end.code or 0)
    buffer = said.buffer
    assert isinstance(buffer, io.BytesIO)
    return Seen(code, buffer.getvalue().decode())


def kitchen(more: str, files: Mapping[str, Content] | None = None) -> dict[str, Content]:
    """A manifest with one device, of which this is said besides."""
    return {"fleet.yaml": KITCHEN + more, **(files or {})}


CORRECT = "correct the lines named above, then try `provision validate`"
GONE = kitchen("    port: /dev/ttyUSB7\n")
ESP32_IMAGE = ("sim", "firmware", "--chip", "esp32", "--version", "1.24.1", "-o", "fw.bin")


def page(chapters: Mapping[str, Sequence[Mistake]]) -> str:
    """docs/mistakes.md, of what is seen now."""
    lines = [
        "# Fifty mistakes, and what is said of them",
        "",
        "Each of these was typed, and this is what came back. A message has to say what is wrong,",
        "where, why, and what to do next; the parts that do so are in the last column, and a test",
        "looks for them. The messages are those of the last run of",
        f"`{COMMAND}`, which writes this page; a test compares them.",
        "",
    ]
    number = 0
    for title, mistakes in chapters.items():
        lines += [f"## {title}", ""]
        lines += ["| mistake | what is said | where; why; what next |", "| --- | --- | --- |"]
        for mistake in mistakes:
            number += 1
            with tempfile.TemporaryDirectory() as folder:
                told = seen(mistake, Path(folder))
            lines.append(row(number, mistake, told))
        lines.append("")
    return "\n".join(lines)


def row(number: int, mistake: Mistake, told: Seen) -> str:
    said = [_code(f"$ provision {' '.join(mistake.words)}"), *map(_code, told.lines)]
    judged = "; ".join(_code(part) for part in (mistake.where, mistake.why, mistake.then))
    return f"| {number}. {mistake.title} | {'<br>'.join(said)} | {judged} |"


def _code(line: str) -> str:
    line = " ".join(line.split()).replace("|", "\\|")
    fence = "``" if "`" in line else "`"
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}" if line else ""
