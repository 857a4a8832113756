"""A page of the documentation as a script: what its blocks and its comments say is to be run.

A block of ```` ```console ```` has commands behind `$ `, each followed by what it prints, or by
nothing where that is not shown. Comments, which no reader sees, say what a command needs:

- `<!-- setup`, then lines for bash: run here. All of it must succeed.
- `<!-- file NAME -->`: the next block becomes this file.
- `<!-- not run: REASON -->`: the next block of commands is not run.
- `<!-- while COMMAND`, then one step a line, for the command of the next block that begins so (the
  last one, if none is named): `run COMMAND` in place of the command that is shown, `terminal` to
  run it on one but for its standard output, `screen` for that too, `await TEXT` in what it prints,
  `type TEXT` and Enter, `key HEX` for bytes, `do COMMAND` beside it, `interrupt` for Ctrl-C.

A block without a `$ ` is an excerpt of what `run` prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

_PART = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<block>.*?)^(?P=indent)```$|<!--(?P<comment>.*?)-->",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Lines for bash, run where they stand."""

    line: int
    script: str


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file of the page's folder."""

    line: int
    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a reader types, the lines that are shown of its output (none: it is not shown), and
    what happens meanwhile."""

    line: int
    text: str
    shown: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NotRun:
    """A block that cannot be run where the tests are, and why."""

    line: int
    reason: str


Step = Setup | NewFile | Command | NotRun


@dataclass
class PageScript:
    """Everything of a page in its order."""

    path: Path
    steps: list[Step] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> PageScript:
        """Read a page; ValueError for a comment that nothing follows."""
        made = cls(path)
        text = path.read_text("utf-8")
        waiting: list[tuple[str, str]] = []
        for part in _PART.finditer(text):
            line = text.count("\n", 0, part.start()) + 1
            if part["comment"] is not None:
                word, rest = _directive(part["comment"])
                if word == "setup":
                    made.steps.append(Setup(line=line, script=rest))
                elif word:
                    waiting.append((word, rest))
                continue
            block = re.sub(rf"^{part['indent']}", "", part["block"], flags=re.MULTILINE)
            made.steps += _steps(line, part["language"], block, waiting)
        if waiting:
            raise ValueError(f"{path}: nothing follows {waiting}")
        return made

    @property
    def not_run(self) -> list[NotRun]:
        return [step for step in self.steps if isinstance(step, NotRun)]

    @property
    def commands(self) -> list[Command]:
        return [step for step in self.steps if isinstance(step, Command)]


def _directive(comment: str) -> tuple[str, str]:
    """The word that a comment begins with, if it is one of ours, and the rest."""
    text = comment.strip()
    for word in ("setup", "file", "not run:", "while"):
        if text == word or text.startswith((f"{word} ", f"{word}\n")):
            return word.rstrip(":"), text.removeprefix(word).lstrip(" ").rstrip()
    return "", ""


def _steps(line: int, language: str, block: str, waiting: list[tuple[str, str]]) -> Iterator[Step]:
    """What a block says to do, and the comments before it that are about it."""
    for word, rest in [*waiting]:
        if word == "file":
            waiting.remove((word, rest))
            yield NewFile(line=line, name=rest, text=block)
    if language != "console":
        return
    given = [*waiting]
    waiting.clear()
    reasons = [rest for word, rest in given if word == "not run"]
    if reasons:
        yield NotRun(line=line, reason=reasons[0])
        return
    # A block without a command is what another command goes on to print.
    commands = list(_commands(line, block)) or [
        Command(line=line, text="", shown=tuple(block.splitlines()))
    ]
    for _, rest in given:
        named, *steps = (each.strip() for each in rest.splitlines())
        fitting = [each for each in commands if each.text.startswith(named)]
        if not fitting:
            raise ValueError(f"no command of the block in line {line} begins with '{named}'")
        chosen = fitting[0] if named else fitting[-1]
        commands[commands.index(chosen)] = replace(chosen, steps=tuple(filter(None, steps)))
    yield from commands


def _commands(line: int, block: str) -> Iterator[Command]:
    """The commands of a block with their output; lines that end in a backslash go on."""
    text, shown, start = "", [], 0
    for number, each in enumerate(block.splitlines(), line + 1):
        if each.startswith("$ "):
            if text:
                yield Command(line=start, text=text, shown=tuple(shown))
            text, shown, start = each.removeprefix("$ "), [], number
        elif text.endswith("\\") and not shown:
            text += "\n" + each
        elif text:
            shown.append(each)
    if text:
        yield Command(line=start, text=text, shown=tuple(shown))
