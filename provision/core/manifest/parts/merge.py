"""Several files made one manifest: as if all that they say stood in one. Pure.

Nothing in one file overrides what another says, whatever their order: layers are for that, groups
and devices. What is said twice is a mistake that names both places. Of `defaults` each key may be
said by one file, each variable of its `vars` too; an entry of a table is said whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from provision.core.manifest.yaml_tree import Document, Node, Table, Text, dotted
from provision.core.wording import quoted
from provision.errors import Problem

INCLUDE = "include"
_TABLES = {"firmware", "boards", "groups", "devices", "defaults"}
_DEFAULTS, _VARIABLES = "defaults", "vars"


def merged(trees: Sequence[Table], document: Document) -> tuple[Table, tuple[Problem, ...]]:
    """One tree of all, of the manifest's own place, and what is said twice. `trees`: the manifest
    first, then what it includes, in the order of the lists."""
    if len(trees) == 1:
        return trees[0], ()
    merger = _Merger(document)
    whole = _empty(trees[0])
    for tree in trees:
        scratch = (key for key in tree if key.startswith("."))
        merger.add(whole, tree, (), left_out={INCLUDE, *scratch})
    return whole, tuple(merger.problems)


class _Merger:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self._own: set[int] = set()  # tables that were made here

    def add(
        self, whole: Table, part: Table, path: tuple[str, ...], left_out: Iterable[str] = ()
    ) -> None:
        for key, value in part.items():
            if key in left_out:
                continue
            there = whole.value(key)
            if there is None:
                if key in whole:  # with nothing behind it: what comes now is where it is said
                    del whole[key]
                whole[key] = value
            elif isinstance(value, Text) and value.null:
                continue
            elif _is_joined((*path, key)) and isinstance(there, Table) and isinstance(value, Table):
                if id(there) not in self._own:  # a file's own table stays as it was read
                    joined = _empty(there)
                    self._own.add(id(joined))
                    joined.update(there)
                    whole[key] = there = joined
                self.add(there, value, (*path, key))
            else:
                self._twice(whole, key, (*path, key))

    def _twice(self, whole: Table, key: Text, path: tuple[str, ...]) -> None:
        first = whole.key(key)
        assert first is not None
        where = self.document.line_name(first)
        if self.document.part(first) is self.document:
            where = f"{where} of {self.document.file}"
        message = (
            f"{quoted(key)} is said already on {where}, and no file overrides another; keep one"
        )
        self.problems.append(self.document.problem(key, dotted(path), message))


def _is_joined(path: tuple[str, ...]) -> bool:
    return (len(path) == 1 and path[0] in _TABLES) or path == (_DEFAULTS, _VARIABLES)


def _empty(like: Node) -> Table:
    table = Table()
    table.line, table.column = like.line, like.column
    return table
