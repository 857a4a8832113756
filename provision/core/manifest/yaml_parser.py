"""From the text of a YAML file to a tree that knows its lines and columns: the flow's first step.

PyYAML's scanner and parser do the reading (libyaml's where it is present); the tree is built here
from their events and never by a constructor, so no input can make a Python object. What a
manifest has no use for is refused: unknown tags, duplicate keys, keys that are no text, several
documents, and anything that would grow out of proportion (nesting, aliases, size).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import yaml
from yaml.reader import Reader

from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text, dotted
from provision.errors import Problem
from provision.model.language import record

MAX_CHARACTERS = 32 * 1024 * 1024
MAX_NODES = 4_000_000
MAX_DEPTH = 40
# Aliases may make a document this many times larger than what was written, and no more.
MAX_GROWTH = 20
FREE_GROWTH = 10_000

TAGS = ("!secret", "!env")
_UNRESOLVED = (
    "keep the lines that are to hold and delete the <<<<<<<, ======= and >>>>>>> lines, then try "
    "`provision validate`"
)
# What libyaml says, and what that comes of.
_CAUSES = {
    "did not find expected key": "its indentation is that of no line above it; keys of one table "
    "stand below one another",
    "mapping values are not allowed": "a colon where none can be: the line above lacks its own, "
    "this one is indented too far, or a text with a colon in it needs quotes",
    "could not find expected ':'": "a colon is missing; write `key: value`",
    "did not find expected '-' indicator": "it stands among the lines of a list; begin it with "
    "`- `, or indent it as the table above",
    "while parsing a quoted scalar": "in double quotes a backslash is no letter of a path; write "
    "/, or single quotes",
    "found unexpected end of stream": "the quotation mark that begins here has no end",
}
_CONFLICT = re.compile(r"^<{7}( .*)?$", re.MULTILINE)
_NO_BREAK_SPACES = "\u00a0\u2007\u202f\u3000"
_STRING_TAGS = ("tag:yaml.org,2002:str", "!")
# Anything that YAML does not allow would end libyaml with no place told.
_UNPRINTABLE: re.Pattern[str] = Reader.NON_PRINTABLE


@record
class Parsed:
    """What came of a text: the top-level table if there is one, every problem met, and the names
    that `!env` asks for anywhere in it (their values are secrets). `nodes` is how many values there
    are, with those of the files before."""

    document: Document
    tree: Table | None
    problems: tuple[Problem, ...]
    environment: frozenset[str] = frozenset()
    nodes: int = 0


class _Unreadable(Exception):
    """Reading cannot go on; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def parse(text: str, file: str) -> Parsed:
    """Read one YAML document whose top is a mapping.

    `file` is the name that problems carry. Duplicate keys, bad keys and unknown tags are
    collected; what makes the rest unreadable ends the reading with one problem more.
    """
    return parse_document(Document(file, text))


def parse_document(document: Document, nodes: int = 0) -> Parsed:
    """As `parse`, of one file among several; they have so many `nodes` already."""
    problems: list[Problem] = []
    tree: Table | None = None
    environment: frozenset[str] = frozenset()
    file = document.file
    try:
        _check_text(document)
        builder = _Builder(document, problems, nodes)
        top = builder.build()
        nodes = builder.nodes
        environment = frozenset(builder.environment)
        if isinstance(top, Table):
            tree = top
        elif top is None or (isinstance(top, Text) and top.null):
            problems.append(document.problem_at(1, 1, "", f"{file} is empty"))
        else:
            problems.append(document.problem(top, "", "expected `key: value` lines at the top"))
    except _Unreadable as stop:
        problems.append(stop.problem)
    return Parsed(
        document=document,
        tree=tree,
        problems=tuple(problems),
        environment=environment,
        nodes=nodes,
    )


def decode(data: bytes, file: str) -> str:
    """UTF-8 with or without a byte order mark, as text; raises ValueError saying where not."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8-sig", "replace")) + 1
        raise NotText(file, line, column, data[error.start]) from None


class NotText(ValueError):
    """A file is not UTF-8 text."""

    def __init__(self, file: str, line: int, column: int, byte: int) -> None:
        super().__init__(f"{file} is not UTF-8 text: byte 0x{byte:02x}")
        self.problem = Document(file, "").problem_at(
            line, column, "", f"not UTF-8 text: byte 0x{byte:02x}; save the file as UTF-8"
        )


def _check_text(document: Document) -> None:
    text = document.text
    if len(text) > MAX_CHARACTERS:
        limit = MAX_CHARACTERS // (1024 * 1024)
        message = f"the file is larger than {limit} million characters"
        raise _Unreadable(document.problem_at(1, 1, "", message))
    found = _UNPRINTABLE.search(text)
    if found:
        before = text[: found.start()]
        line = before.count("\n") + 1
        column = found.start() - before.rfind("\n")
        message = f"the character U+{ord(found.group()):04X} is not allowed in YAML"
        raise _Unreadable(document.problem_at(line, column, "", message))


class _Frame:
    """A collection being read: the node, the key that waits for its value, its anchor, and how
    many nodes it amounts to with aliases counted out."""

    __slots__ = ("anchor", "fetched", "key", "merges", "node", "skipped", "weight")

    def __init__(self, node: Table | Items, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: Text | None = None
        self.skipped = False  # the next value belongs to a key that was refused
        self.merges: list[tuple[Text, Node]] = []
        self.weight = 1
        self.fetched = 0


class _Builder:
    """Turns parser events into nodes, one document's worth."""

    def __init__(self, document: Document, problems: list[Problem], nodes: int = 0) -> None:
        self.document = document
        self.problems = problems
        self.first_line = document.before + 1
        self.frames: list[_Frame] = []
        self.anchors: dict[str, tuple[Node, int] | None] = {}
        self.top: Node | None = None
        self.environment: set[str] = set()
        self.nodes = nodes
        self.aliased = 0

    def build(self) -> Node | None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.document.text)
        try:
            self._run(loader.get_event)
        except yaml.MarkedYAMLError as error:
            raise _Unreadable(self._syntax(error)) from None
        except yaml.YAMLError as error:
            reason = str(error).splitlines()[0] if str(error) else "unreadable"
            raise _Unreadable(self.document.problem_at(1, 1, "", f"not YAML: {reason}")) from None
        finally:
            loader.dispose()
        return self.top

    def _run(self, get_event: Callable[[], Any]) -> None:  # events are PyYAML's, untyped
        scalar_event = yaml.ScalarEvent
        first_line = self.first_line
        documents = 0
        while True:
            event = get_event()
            kind = type(event)
            if kind is scalar_event:
                mark = event.start_mark
                text = Text(event.value)
                text.line = mark.line + first_line
                text.column = mark.column + 1
                text.plain = not event.style  # None, or '' from libyaml
                text.tag = None
                if event.tag is not None:
                    self._tag(text, event.tag)
                self._add(text, 1, event.anchor)
            elif kind is yaml.MappingStartEvent:
                self._open(Table(), event)
            elif kind is yaml.SequenceStartEvent:
                self._open(Items(), event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise self._stop(event, "a second document starts here; keep one per file")
            elif kind is yaml.StreamEndEvent or event is None:
                return

    # -- nodes ---------------------------------------------------------------------------------

    def _open(self, node: Table | Items, event: Any) -> None:
        mark = event.start_mark
        node.line = mark.line + self.first_line
        node.column = mark.column + 1
        if event.tag is not None and event.tag not in (
            "tag:yaml.org,2002:map",
            "tag:yaml.org,2002:seq",
            "!",
        ):
            shown = _shown_tag(event.tag)
            message = (
                f"{shown} takes one name"
                if shown in TAGS
                else f"unknown tag {shown}; only !secret and !env are known"
            )
            self._problem(node, message)
        if len(self.frames) >= MAX_DEPTH:
            raise self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor is not None:
            self.anchors[event.anchor] = None  # known, and not finished
        self.frames.append(_Frame(node, event.anchor))

    def _close(self) -> None:
        frame = self.frames.pop()
        if frame.merges:
            self._merge(frame)
        self._add(frame.node, frame.weight, frame.anchor)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if name not in self.anchors:
            raise self._stop(event, f"there is no anchor &{name} before this alias")
        found = self.anchors[name]
        if found is None:
            raise self._stop(event, f"*{name} is used inside &{name} itself")
        node, weight = found
        self.aliased += weight
        if self.aliased > FREE_GROWTH + MAX_GROWTH * self.nodes:
            raise self._stop(event, "the aliases make this document too large (an alias bomb?)")
        self._add(node, weight, None, alias=True)

    def _add(self, node: Node, weight: int, anchor: str | None, *, alias: bool = False) -> None:
        """Hand a finished node to the collection it stands in."""
        if not alias:
            self.nodes += 1
            if self.nodes > MAX_NODES:
                message = f"more than {MAX_NODES:,} values"
                raise _Unreadable(self.document.problem(node, "", message))
            if anchor is not None:
                self.anchors[anchor] = (node, weight)
        if not self.frames:
            self.top = node
            return
        frame = self.frames[-1]
        frame.weight += weight
        inside = frame.node
        if isinstance(inside, Items):
            inside.append(node)
        elif frame.key is not None:
            if frame.key == "<<" and frame.key.plain:
                frame.merges.append((frame.key, node))
            else:
                inside[frame.key] = node
            frame.key = None
        elif frame.skipped:
            frame.skipped = False
        else:
            self._take_key(frame, inside, node)

    def _take_key(self, frame: _Frame, table: Table, node: Node) -> None:
        if not isinstance(node, Text) or node.tag is not None:
            frame.skipped = True
            written = self.document.line(node.line - self.document.before) or ""
            if written[node.column - 1 : node.column + 1] == "{{":
                return  # the inner brace was told of
            message = "a key must be plain text"
            if written[max(0, node.column - 2) : node.column] == "{{":
                message = "{{ … }} begins a mapping in YAML; write it in quotes"
            self._problem(node, message)
        elif node in table:
            first = table.key(node)
            line = first.line - self.document.before if first is not None else 0
            where = f" (first on line {line})" if first is not None else ""
            self._problem(node, f"duplicate key '{node}'{where}", key=node)
            frame.skipped = True
        elif node.null:
            self._problem(node, "a key is missing before the colon")
            frame.skipped = True
        else:
            frame.key = node

    def _merge(self, frame: _Frame) -> None:
        """`<<: *base`: keys of the base that are not written here."""
        table = frame.node
        if not isinstance(table, Table):
            return
        for key, value in frame.merges:
            bases = value if isinstance(value, Items) else [value]
            for base in bases:
                if not isinstance(base, Table):
                    self._problem(key, "`<<` takes a mapping or a list of mappings")
                    break
                for name, node in base.items():
                    table.setdefault(name, node)

    def _tag(self, text: Text, tag: str) -> None:
        if tag in _STRING_TAGS:
            text.plain = False
        elif tag in TAGS:
            text.tag = tag
            if tag == "!env":
                self.environment.add(text.strip())
            if not text.strip():
                self._problem(text, f"{tag} takes a name")
        else:
            text.plain = False
            message = f"unknown tag {_shown_tag(tag)}; only !secret and !env are known"
            self._problem(text, message)

    # -- problems ------------------------------------------------------------------------------

    def _path(self, key: str | None = None) -> str:
        """The dotted path of what is being read."""
        parts: list[str | int] = []
        for frame in self.frames:
            if isinstance(frame.node, Items):
                parts.append(len(frame.node))
            elif frame.key is not None:
                parts.append(frame.key)
        if key is not None:
            parts.append(key)
        return dotted(parts)

    def _problem(self, node: Node, message: str, *, key: str | None = None) -> None:
        self.problems.append(self.document.problem(node, self._path(key), message))

    def _stop(self, event: Any, message: str) -> _Unreadable:
        mark = event.start_mark
        return _Unreadable(
            self.document.problem_at(mark.line + 1, mark.column + 1, self._path(), message)
        )

    def _syntax(self, error: yaml.MarkedYAMLError) -> Problem:
        mark = error.problem_mark or error.context_mark
        if error.context_mark is not None and "end of stream" in (error.problem or ""):
            mark = error.context_mark  # where it begins, not where the file ends
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        what = " ".join(part for part in (error.problem, error.context) if part)
        conflict = _CONFLICT.search(self.document.text)
        if conflict is not None:
            number = self.document.text.count("\n", 0, conflict.start()) + 1
            message = "a merge of version control was left unresolved here"
            return replace(self.document.problem_at(number, 1, "", message), hint=_UNRESOLVED)
        text = self.document.line(line) or ""
        strange = next((each for each in text[:column] if each in _NO_BREAK_SPACES), None)
        if strange is not None and not text[: text.index(strange)].strip():
            message = "not YAML: a space that is none (U+{:04X}); indent with plain ones"
            column = text.index(strange) + 1
            return self.document.problem_at(line, column, "", message.format(ord(strange)))
        tab = text[column - 1 : column] == "\t" or text[: column - 1].strip(" ") == "\t"
        if tab and "found character" in what:
            what = "a tab; indent with spaces"
        cause = next((why for said, why in _CAUSES.items() if said in what), None)
        return self.document.problem_at(
            line, column, "", f"not YAML: {cause or what or 'unreadable'}"
        )


def _shown_tag(tag: str) -> str:
    return (
        "!!" + tag.removeprefix("tag:yaml.org,2002:")
        if tag.startswith("tag:yaml.org,2002:")
        else tag
    )
