"""A manifest with the files that it includes, and the tables that its devices come from.

Each is read like the manifest itself: a file of the project, links followed inside of it, bounded.
A file that several include is taken once. What it says of paths is meant from its own folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from provision.atomic_files import plain_file, project_root, read_plain_file
from provision.core.manifest.device_checks import uses_variables
from provision.core.manifest.parts.csv_text import MAX_BYTES, CsvTable, decode_csv, parse_csv
from provision.core.manifest.parts.merge import INCLUDE, merged
from provision.core.manifest.resolve.destinations import missing_source
from provision.core.manifest.yaml_parser import (
    MAX_CHARACTERS,
    NotText,
    decode,
    parse_document,
)
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text, dotted, path_from
from provision.core.wording import quoted
from provision.errors import Problem
from provision.model.language import record
from provision.model.state import Content
from provision.project.parts.main_file import MOST, STDIN_FILE, SUFFIXES
from provision.project.schema_passes import SchemaPasses
from provision.project.secrets_files import FILE_NAME as SECRETS_NAME

MAX_FILES = 200
MAX_DEPTH = 10
_TABLES = (".csv", ".tsv", ".txt")
_ELSEWHERE = re.compile(r"/|\\|[A-Za-z]:[\\/]")
_IN_EXCEL = ", in Excel as `CSV UTF-8`"
_SECRETS = "holds secrets, and is no part of a manifest; name one in it with `!secret NAME`"


@dataclass(kw_only=True)
class ManifestText:
    """A manifest as it is written, in one file or in several. `tree` is all of it, None where one
    of them cannot be read; `contents` are the other files and tables, by their paths from the
    `folder`, and `looked_for` those that there are or should be."""

    document: Document
    folder: Path
    tree: Table | None = None
    unusable: frozenset[int] = frozenset()
    environment: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)
    tables: dict[str, CsvTable] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    looked_for: set[Path] = field(default_factory=set)
    trees: list[Table] = field(default_factory=list)  # nodes are known by their identities

    def changed(self) -> bool:
        """Whether one of the files beside the manifest is not any more what was read."""
        return any(self._read(path) != content.data for path, content in self.contents.items())

    def _read(self, path: str) -> bytes | None:
        try:
            root = project_root(self.folder)
            return read_plain_file(self.folder / path, most=MOST, root=root)
        except OSError:
            return None


def read_parts(
    file: str, folder: Path, data: bytes, *, passes: SchemaPasses, secrets: Path | None = None
) -> ManifestText:
    """What a manifest's file, and all that it names of its kind, say. NotText for a manifest that
    is no text. `secrets`: the file of them that the user has named."""
    document = Document(file, decode(data, file))
    reader = _Reader(document, folder, passes, secrets)
    reader.take(_Part(document, (), (Path(os.path.realpath(file)),)), data)
    return reader.finished()


@record(kw_only=False)
class _Part:
    """A file, where it is included (`rooms/a.yaml:3`, the last first), and the real places of those
    that lead to it, itself included."""

    document: Document
    by: tuple[str, ...]
    chain: tuple[Path, ...]


class _Unusable(Exception):
    """Why a file cannot be included, or no devices come from it."""


class _Reader:
    def __init__(
        self, document: Document, folder: Path, passes: SchemaPasses, secrets: Path | None
    ) -> None:
        self.document = document
        self.passes = passes
        self.made = ManifestText(document=document, folder=folder)
        self.nodes = 0
        self.characters = 0
        self.table_bytes = 0
        self.unreadable = False
        self.seen: set[Path] = set()
        places = [folder / SECRETS_NAME, *([secrets] if secrets is not None else [])]
        # Whatever the case of a name: some systems have one file for all of them.
        self.secrets = {os.path.realpath(place).casefold() for place in places}

    def take(self, part: _Part, data: bytes) -> None:
        """A file that was read, and what it includes, one after the other."""
        self.seen.add(part.chain[-1])
        document = part.document
        self.characters += len(document.text)
        parsed = parse_document(document, self.nodes)
        self.nodes = parsed.nodes
        made = self.made
        made.problems += parsed.problems
        made.environment |= parsed.environment
        if parsed.tree is None:
            self.unreadable = True
            return
        report = self.passes.judge(parsed.tree, document, data)
        made.problems += report.problems
        made.unusable |= report.unusable
        made.trees.append(parsed.tree)
        included = parsed.tree.value(INCLUDE)
        if included is not None and not isinstance(included, Items):
            self.unreadable = True  # the schema has said so, and so below
            return
        for position, item in enumerate(included or ()):
            if not isinstance(item, Text) or item.tag is not None or id(item) in made.unusable:
                self.unreadable = True
                continue
            try:
                self._include(item, part)
            except _Unusable as error:
                self.unreadable = True
                self._problem(item, dotted([INCLUDE, position]), str(error))

    def finished(self) -> ManifestText:
        """All of it, and the tables."""
        made = self.made
        if self.unreadable:  # what is missing would be missed everywhere
            return made
        made.tree, twice = merged(made.trees, self.document)
        made.problems += twice
        devices = made.tree.value("devices")
        for name, body in devices.items() if isinstance(devices, Table) else ():
            text = body.value("csv") if isinstance(body, Table) else None
            if isinstance(text, Text) and text.tag is None and id(text) not in made.unusable:
                try:
                    self._table(text)
                except _Unusable as error:
                    self._problem(text, dotted(["devices", name, "csv"]), str(error))
        return made

    def _include(self, item: Text, part: _Part) -> None:
        path = path_from(part.document.folder, item)
        place, data = self._file(item, path, SUFFIXES, "a manifest's", MOST)
        if place in part.chain:
            what = "is this very file" if place == part.chain[-1] else "includes this file in turn"
            raise _Unusable(f"{quoted(item)} {what}")
        if place in self.seen:
            return
        if len(part.chain) > MAX_DEPTH:
            raise _Unusable(f"included files include others deeper than {MAX_DEPTH} times")
        by = (f"{part.document.file}:{item.line - part.document.before}", *part.by)
        document = self._document(path, data, f" (included by {', included by '.join(by)})")
        if document is None:
            self.unreadable = True
            return
        if self.characters + len(document.text) > MAX_CHARACTERS:
            limit = MAX_CHARACTERS // (1024 * 1024)
            raise _Unusable(f"all files together are larger than {limit} million characters")
        self.take(_Part(document, by, (*part.chain, place)), data)

    def _table(self, text: Text) -> None:
        path = str(self.document.source(text))
        if path in self.made.contents:
            return
        _, data = self._file(text, path, _TABLES, "a table's", MAX_BYTES - self.table_bytes)
        self.table_bytes += len(data)
        part = self.document.part(text)
        note = f" (read by {part.file}:{text.line - part.before})"
        document = self._document(path, data, note, table=True)
        if document is None:
            return
        table, problems = parse_csv(document)
        self.made.problems += problems
        if table is not None:
            self.made.tables[path] = table

    def _file(
        self, text: Text, path: str, suffixes: tuple[str, ...], whose: str, most: int
    ) -> tuple[Path, bytes]:
        """Where a file really is, and what is in it; _Unusable."""
        if "://" in text:
            raise _Unusable(f"{quoted(text)} is on the web; have a copy of it in the project")
        if _ELSEWHERE.match(text):
            message = f"{quoted(text)} is not relative to the file that names it"
            raise _Unusable(f"{message}; files of the project are named so, with /")
        if uses_variables(text) or "*" in text:
            raise _Unusable(f"{quoted(text)}: each file is named as it is, without patterns")
        made = self.made
        root = project_root(made.folder)
        try:
            self._check_name(text, path, suffixes, whose)
            made.looked_for.add(made.folder / path)
            place = plain_file(made.folder / path, root=root)
            self._check_name(text, str(place), suffixes, whose)
            if path not in made.contents and len(made.contents) >= MAX_FILES:
                raise _Unusable(f"more than {MAX_FILES} files make up this manifest")
            data = read_plain_file(place, most=most, root=root)
        except FileNotFoundError:
            raise _Unusable(missing_source("no such file", path)) from None
        except OSError as error:
            raise _Unusable(f"{quoted(text)}: {error.strerror or error}") from None
        made.contents[path] = Content(data=data)
        return place, data

    def _check_name(self, text: Text, path: str, suffixes: tuple[str, ...], whose: str) -> None:
        """Also of what a link leads to: other files are none whose lines problems may show."""
        name = re.split(r"[/\\]", path)[-1].casefold()
        if name == SECRETS_NAME or path.casefold() in self.secrets:
            raise _Unusable(f"{quoted(text)} {_SECRETS}")
        if not name.endswith(suffixes):
            names = " or ".join(suffixes)
            raise _Unusable(f"{quoted(text)}: the name of {whose} file ends in {names}")

    def _document(
        self, path: str, data: bytes, note: str, *, table: bool = False
    ) -> Document | None:
        """One file more, its lines after all others; None for one that is no text."""
        own = self.document.file
        file = path if own == STDIN_FILE else str(Path(own).parent / path)
        try:
            text = decode_csv(data, file) if table else decode(data, file)
        except NotText as error:
            problem = error.problem
            message = f"{problem.message}{_IN_EXCEL if table else ''}{note}"
            self.made.problems.append(replace(problem, message=message))
            return None
        folder = path.rpartition("/")[0]
        made = Document(
            file, text, folder=folder and f"{folder}/", before=self.document.after, note=note
        )
        self.document.add(made)
        return made

    def _problem(self, node: Node, path: str, message: str) -> None:
        self.made.problems.append(self.document.problem(node, path, message))
