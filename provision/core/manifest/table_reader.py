"""Values of the tree by kind: what is missing, of another kind or refused by the schema is None.

The manifest builder asks here for the texts and tables it wants, and goes on without those it does
not get; the schema's report has said already what is wrong with them. `BoardReader` reads the
`boards:` that devices refer to.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import cast

from provision.core.manifest.check_expression import expression_fault
from provision.core.manifest.console_pattern import compile_console
from provision.core.manifest.model import (
    NVS_FORMS,
    CertificateEntry,
    FileEntry,
    NvsSetting,
    PackageEntry,
)
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text, dotted
from provision.core.wording import did_you_mean, quoted
from provision.errors import Problem
from provision.model.board import BoardProfile
from provision.model.language import record
from provision.model.state import Check

NAME = re.compile(r"\w[\w.-]{0,99}")
_RANGE_OF_OTHERS = re.compile(r"\[(\d+)(?:-|\.\.|,)(\d+)\]")
_NVS_NAME = re.compile(r"[!-~]{1,15}")  # what the chip's own library takes


class TableReader:
    """A document, the nodes in it that are `unusable`, and the problems found in it."""

    def __init__(self, document: Document, unusable: frozenset[int]) -> None:
        self.document = document
        self.unusable = unusable
        self.problems: list[Problem] = []

    def problem(self, node: Node, path: str | Iterable[str | int], message: str) -> None:
        where = path if isinstance(path, str) else dotted(path)
        self.problems.append(self.document.problem(node, where, message))

    def node(self, table: Table | None, key: str) -> Node | None:
        found = table.value(key) if table is not None else None
        return None if id(found) in self.unusable else found

    def text(self, table: Table | None, key: str) -> Text | None:
        found = self.node(table, key)
        return found if isinstance(found, Text) and found.tag is None else None

    def source(self, table: Table | None, key: str) -> Text | None:
        """A path, relative to the manifest's folder whichever file says it."""
        text = self.text(table, key)
        return self.document.source(text) if text is not None else None

    def table(self, table: Table | None, key: str) -> Table | None:
        found = self.node(table, key)
        return found if isinstance(found, Table) else None

    def items(self, table: Table | None, key: str) -> Items | tuple[()]:
        found = self.node(table, key)
        return found if isinstance(found, Items) else ()

    def texts(self, table: Table | None, key: str) -> Iterator[tuple[int, Text]]:
        for position, item in enumerate(self.items(table, key)):
            if isinstance(item, Text) and item.tag is None and id(item) not in self.unusable:
                yield position, item

    def entries(self, tree: Table, key: str) -> Iterator[tuple[Text, Table | None]]:
        """The entries of a top-level table; an empty one has None for a body."""
        table = self.table(tree, key)
        for name, body in table.items() if table is not None else ():
            if isinstance(body, Table):
                yield name, body
            elif isinstance(body, Text) and body.null:
                yield name, None

    def unusable_names(self, tree: Table, key: str) -> set[str]:
        """Names that are there but whose body is no table: referring to them is no mistake."""
        table = self.table(tree, key)
        return {
            str(name)
            for name, body in (table.items() if table is not None else ())
            if not isinstance(body, Table) and not (isinstance(body, Text) and body.null)
        }

    def check_name(self, name: Text, what: str, path: tuple[str | int, ...]) -> bool:
        if NAME.fullmatch(name):
            return True
        message = f"{quoted(name)} cannot name a {what}; use letters, digits, _, . and -"
        if (numbers := _RANGE_OF_OTHERS.search(name)) is not None:
            message = (
                f"{quoted(name)}: a range has a colon between its numbers, "
                f"as [{numbers[1]}:{numbers[2]}]"
            )
        self.problem(name, path, message)
        return False

    def flag(self, table: Table, key: str) -> bool:
        text = self.text(table, key)
        return bool(text is not None and text.boolean)


def read_files(tables: TableReader, table: Table, path: str) -> tuple[FileEntry, ...]:
    """The entries of a layer's `files`, without those that cannot be understood."""
    entries: list[FileEntry] = []
    for position, item in enumerate(tables.items(table, "files")):
        where = f"{path}.files[{position}]"
        if id(item) in tables.unusable:
            continue
        if isinstance(item, Text):
            if item.tag is None:
                src = tables.document.source(item)
                entries.append(FileEntry(node=item, path=where, src=src, dest=None))
        elif isinstance(item, Table):
            entry = _file(tables, item, where)
            if entry is not None:
                entries.append(entry)
    return tuple(entries)


def _file(tables: TableReader, item: Table, path: str) -> FileEntry | None:
    src, dest = tables.source(item, "src"), tables.text(item, "dest")
    if src is not None and dest is not None and len(item) == 2:
        return FileEntry(node=item, path=path, src=src, dest=dest)  # as nearly all of them are
    absent = tables.text(item, "state") == "absent"
    if absent:
        for key in ("src", "template", "create_only", "compile", "exclude"):
            written = item.key(key)
            if written is not None:
                message = f"`{key}` has no meaning beside `state: absent`"
                tables.problem(written, f"{path}.{key}", message)
        if dest is None:
            if "dest" not in item:
                tables.problem(item, path, "`state: absent` needs `dest`, the file to delete")
            return None
    elif src is None:
        if "src" not in item and id(item.get("state")) not in tables.unusable:  # type: ignore[call-overload]
            tables.problem(item, path, "needs `src`, or `state: absent`")
        return None
    if "dest" in item and dest is None:
        return None  # refused by the schema
    return FileEntry(
        node=item,
        path=path,
        src=None if absent else src,
        dest=dest,
        absent=absent,
        template=tables.flag(item, "template"),
        create_only=tables.flag(item, "create_only"),
        compile=tables.flag(item, "compile"),
        exclude=tuple(str(text) for _, text in tables.texts(item, "exclude")),
    )


def read_packages(tables: TableReader, table: Table, path: str) -> tuple[PackageEntry, ...]:
    """The entries of a layer's `packages`, each name once."""
    entries: dict[str, PackageEntry] = {}
    for position, text in tables.texts(table, "packages"):
        entry = PackageEntry(text=text, path=f"{path}.packages[{position}]")
        if entry.name in entries:
            tables.problem(text, entry.path, f"the package {quoted(entry.name)} is listed twice")
        entries.setdefault(entry.name, entry)
    return tuple(entries.values())


def read_nvs(
    tables: TableReader, table: Table, path: tuple[str | int, ...]
) -> tuple[NvsSetting, ...]:
    """The entries of a layer's `nvs`, without those that cannot be understood."""
    found: list[NvsSetting] = []
    spaces = tables.table(table, "nvs")
    for namespace, keys in spaces.items() if spaces is not None else ():
        if not isinstance(keys, Table) or not _nvs_name(tables, namespace, (*path, namespace)):
            continue
        for key, node in keys.items():
            where = (*path, namespace, key)
            if id(node) in tables.unusable or not _nvs_name(tables, key, where):
                continue
            written: dict[str, Node] = {"i32": node}  # the short form
            if isinstance(node, Table):
                written = {str(name): tables.text(node, name) or node for name in node}
            found += [
                NvsSetting(
                    namespace=namespace,
                    key=key,
                    form=form,
                    value=tables.document.source(value) if form == "file" else value,
                    path=dotted(where),
                )
                for form in NVS_FORMS
                for value in (written.get(form),)
                if isinstance(value, Text) and len(written) == 1
            ]
    return tuple(found)


def _nvs_name(tables: TableReader, name: Text, path: tuple[str | int, ...]) -> bool:
    if _NVS_NAME.fullmatch(name):
        return True
    message = f"{quoted(name)} cannot be a name in NVS: 1 to 15 ASCII characters, no blanks"
    tables.problem(name, path, message)
    return False


def read_check(tables: TableReader, table: Table, path: tuple[str | int, ...]) -> Check | None:
    """A layer's `check`: one, or a list of steps, whose files go back where one of them says so."""
    path = (*path, "check")
    items = tables.items(table, "check")
    if not items:
        single = tables.table(table, "check")
        return _step(tables, single, path) if single is not None else None
    steps: list[Check] = []
    names: set[str] = set()
    for position, item in enumerate(items):
        if not isinstance(item, Table) or id(item) in tables.unusable:
            continue
        name = tables.text(item, "name")
        if name is None and "name" not in item:
            tables.problem(item, (*path, position), "needs a `name`, by which its result is told")
        elif name is not None and str(name) in names:
            tables.problem(name, (*path, position, "name"), f"a second step {quoted(name)}")
        names.add(str(name))
        step = _step(tables, item, (*path, position))
        if step is not None:
            steps.append(step)
    rollback = any(step.on_failure == "rollback" for step in steps)
    return Check(
        timeout=sum(step.timeout for step in steps),
        on_failure="rollback" if rollback else "keep",
        steps=tuple(steps),
    )


def _step(tables: TableReader, check: Table, path: tuple[str | int, ...]) -> Check | None:
    expression, console = tables.text(check, "expression"), tables.text(check, "console")
    if expression is not None and console is not None:
        tables.problem(check, path, "both `expression` and `console` are given; keep one of them")
        return None
    if expression is None and console is None:
        if not any(key in check for key in ("expression", "console")):
            tables.problem(check, path, "needs `expression` or `console`")
        return None
    fault = expression_fault(expression) if expression is not None else None
    if expression is not None and fault is not None:
        tables.problem(expression, (*path, "expression"), f"{quoted(expression)} {fault}")
        return None
    least, most, timeout = (_number(tables, check, key) for key in ("min", "max", "timeout"))
    if console is not None:
        try:
            compile_console(console)
        except ValueError as error:
            tables.problem(console, (*path, "console"), f"not a regular expression: {error}")
            return None
        if "{{" in console:
            what = "a check is no template: write what the board prints, or `\\{\\{` for two braces"
            tables.problem(console, (*path, "console"), what)
            return None
        for key in ("min", "max"):
            written = check.key(key)
            if written is not None:
                tables.problem(written, (*path, key), f"`{key}` has no meaning beside `console`")
    if least is not None and most is not None and least > most:
        tables.problem(check, path, f"`min` {least:g} is more than `max` {most:g}")
    name = tables.text(check, "name")
    return Check(
        expression=str(expression) if expression is not None else None,
        console=str(console) if console is not None else None,
        timeout=timeout if timeout is not None else 10.0,
        on_failure="rollback" if tables.text(check, "on_failure") == "rollback" else "keep",
        name=str(name) if name is not None else None,
        min=least,
        max=most,
    )


def _number(tables: TableReader, table: Table, key: str) -> float | None:
    text = tables.text(table, key)
    return text.number if text is not None else None


def read_certificate(
    tables: TableReader, table: Table, path: tuple[str | int, ...]
) -> CertificateEntry | None:
    """A layer's `certificate`, where it is whole."""
    node = tables.table(table, "certificate")
    ca = tables.table(node, "ca")
    if node is None or ca is None:
        return None
    ca_cert, ca_key = tables.source(ca, "cert"), tables.source(ca, "key")
    cn, key = tables.text(node, "cn"), tables.text(node, "key")
    dest_cert, dest_key = tables.text(node, "dest_cert"), tables.text(node, "dest_key")
    days, renew = tables.text(node, "days"), tables.text(node, "renew")
    if ca_cert is None or ca_key is None or cn is None or dest_cert is None or dest_key is None:
        return None  # the schema has said so
    entry = CertificateEntry(
        node=node,
        path=dotted(path),
        ca_cert=ca_cert,
        ca_key=ca_key,
        cn=cn,
        dest_cert=dest_cert,
        dest_key=dest_key,
        key="rsa" if key == "rsa" else "ec",
        days=(days.integer if days is not None else None) or 365,
        renew=30 if renew is None or renew.integer is None else renew.integer,
    )
    if entry.renew >= entry.days:
        message = f"`renew` {entry.renew} is not less than `days` {entry.days}: always made anew"
        tables.problem(node, path, message)
    return entry


BoardMaker = Callable[[str, Table, BoardProfile | None], BoardProfile]
"""Makes the profile of a `boards:` entry, on top of the one it extends; raises ValueError."""

BoardFinder = Callable[[str], BoardProfile | None]
"""A board that is in no table, by its name; raises ValueError, which says why it cannot be had."""


@record
class BoardSources:
    """Where profiles of boards come from: the built-in ones, what makes and what finds others."""

    profiles: Mapping[str, BoardProfile]
    make: BoardMaker
    find: BoardFinder


class BoardReader(TableReader):
    """Reads `boards:`, and knows then every board that a device may name."""

    def __init__(self, document: Document, unusable: frozenset[int], sources: BoardSources) -> None:
        super().__init__(document, unusable)
        self.own_boards: dict[str, BoardProfile] = {}
        # A chain reads all but its first, and the built-in ones are loaded as they are asked for.
        built_in = cast("MutableMapping[str, BoardProfile]", sources.profiles)
        self.boards: Mapping[str, BoardProfile] = ChainMap(self.own_boards, built_in)
        self.broken_boards: set[str] = set()
        self._sources = sources

    def read_boards(self, tree: Table) -> None:
        bodies = {str(name): (name, body) for name, body in self.entries(tree, "boards")}
        self.broken_boards.update(self.unusable_names(tree, "boards"))
        waiting = list(bodies)
        while waiting:
            later = []
            for name in waiting:
                key, body = bodies[name]
                if body is None:
                    self.broken_boards.add(name)
                    continue
                base_name = self.text(body, "extends")
                if base_name is not None and base_name != name and base_name in waiting:
                    later.append(name)  # until its base is made
                else:
                    self._make_board(key, body, base_name)
            if later == waiting:
                for name in later:
                    key, _ = bodies[name]
                    self.problem(key, ("boards", name), "extends itself through other boards")
                    self.broken_boards.add(name)
                return
            waiting = later

    def _make_board(self, key: Text, body: Table, base_name: Text | None) -> None:
        path = ("boards", key)
        name = str(key)
        base = None
        if base_name is not None:
            # A board may extend the built-in one of its own name.
            known = self._sources.profiles if base_name == name else self.boards
            base = known.get(base_name) or self.found_board(base_name, (*path, "extends"))
            if base is None:
                self.broken_boards.add(name)
                return
        if not self.check_name(key, "board", path):
            return
        if any(id(value) in self.unusable for value in body.values()):
            self.broken_boards.add(name)
            return
        try:
            self.own_boards[name] = self._sources.make(name, body, base)
        except ValueError as error:
            self.problem(key, path, str(error))
            self.broken_boards.add(name)

    def found_board(self, name: Text, path: tuple[str | int, ...]) -> BoardProfile | None:
        """A board that is in no table; that there is none is told, unless its own fault was."""
        if name in self.broken_boards:
            return None
        try:
            found = self._sources.find(str(name))
        except ValueError as error:
            self.problem(name, path, str(error))
            return None
        if found is None:
            other = did_you_mean(name, self.boards) or "; `provision boards` lists all"
            self.problem(name, path, f"unknown board {quoted(name)}{other}")
        return found
