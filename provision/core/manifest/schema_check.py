"""The manifest's tree against its JSON schema: every mistake of form, located, in plain words.

jsonschema judges; it is told here how to see the tree's texts (which keep their spelling) as
numbers and truth values where the schema asks for such. A large fleet's devices differ in their
values and hardly in their shape, so each shape is judged once: two devices have one shape when
the schema could not tell them apart. 10,000 devices with 20 files each load in 4.6 s so, and in
16.3 s without; 1,000 in 0.44 s, 1.65 s without; a classroom of 100 in 0.09 s, 0.18 s without.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from provision.core.manifest.schema_errors import Finding, findings
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text, dotted
from provision.errors import Problem
from provision.model.language import assert_never, record

# Parts of the manifest with many entries of one kind, and the schema of each entry.
_REPEATED = {"devices": "device", "groups": "layer"}


@record
class SchemaReport:
    """The problems, and the identities of the nodes that must not be read any further."""

    problems: tuple[Problem, ...] = ()
    unusable: frozenset[int] = frozenset()


def check_schema(tree: Table, document: Document, schema: Mapping[str, Any]) -> SchemaReport:
    """Judge a tree by the schema: a manifest's by the parsed `fleet.schema.json`."""
    validator = _SchemaValidator(schema)
    found = list(validator.findings(tree))
    return SchemaReport(
        problems=tuple(document.problem(one.node, dotted(one.path), one.message) for one in found),
        unusable=frozenset(id(one.unusable) for one in found if one.unusable is not None),
    )


class _SchemaValidator:
    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self.validator = _validator(schema)
        self.shapes = _Shapes(schema)

    def findings(self, tree: Table) -> Iterator[Finding]:
        outline = Table(tree)
        outline.line, outline.column = tree.line, tree.column
        for key, name in _REPEATED.items():
            entries = tree.get(key)  # type: ignore[call-overload]
            if isinstance(entries, Table) and key in self.schema["properties"]:
                emptied = Table()
                emptied.line, emptied.column = entries.line, entries.column
                written = tree.key(key)
                assert written is not None
                outline[written] = emptied
                yield from self._entries(key, entries, self.schema["$defs"][name])
        yield from findings(self.validator.iter_errors(outline), ())

    def _entries(self, key: str, entries: Table, schema: Mapping[str, Any]) -> Iterator[Finding]:
        validator = self.validator.evolve(schema={"anyOf": [schema, {"type": "null"}]})
        valid: set[object] = set()
        for name, entry in entries.items():
            shape = self.shapes.of(entry)
            if shape in valid:
                continue
            errors = list(validator.iter_errors(entry))
            if errors:
                yield from findings(errors, (key, name))
            else:
                valid.add(shape)


class _Shapes:
    """What the schema can tell of a node, as a hashable value."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        patterns: set[str] = set()
        self.words: set[str] = set()
        self.bounds: set[float] = set()
        lengths: set[int] = set()
        for part in _parts(schema):
            if isinstance(part.get("pattern"), str):
                patterns.add(part["pattern"])
            self.words.update(word for word in part.get("enum", ()) if isinstance(word, str))
            for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
                if isinstance(part.get(keyword), (int, float)):
                    self.bounds.add(part[keyword])
            for keyword in ("minLength", "maxLength"):
                if isinstance(part.get(keyword), int):
                    lengths.add(part[keyword])
        self.searches = [re.compile(pattern).search for pattern in sorted(patterns)]
        self.lengths = sorted(lengths)
        self.plain: dict[str, object] = {}

    def of(self, node: Node) -> object:
        of = self.of
        match node:
            case Text():
                if not node.plain or node.tag is not None:
                    return self._text(node)
                known = self.plain.get(node)
                if known is None:
                    known = self.plain[node] = self._text(node)
                return known
            case Table():
                return tuple([(key, of(value)) for key, value in node.items()])
            case Items():
                return frozenset([of(item) for item in node])
            case _:
                return assert_never(node)

    def _text(self, text: Text) -> object:
        number = text.number
        return (
            text.tag,
            text.null,
            text.boolean is None,
            text.integer is None,
            number is None,
            text if text in self.words else None,
            tuple(len(text) >= length for length in self.lengths),
            tuple(search(text) is not None for search in self.searches),
            None
            if number is None
            else tuple((number > bound) - (number < bound) for bound in sorted(self.bounds)),
        )


def _parts(schema: object) -> Iterator[Mapping[str, Any]]:
    """A schema and everything inside it that may be one."""
    if isinstance(schema, Mapping):
        yield schema
        for inner in schema.values():
            yield from _parts(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _parts(inner)


# -- jsonschema, taught to read the tree -------------------------------------------------------


def _kind_checks() -> Any:  # the stubs have these callables take one argument; they take two
    return {
        # Any dict and list, since jsonschema asks the same of parts of the schema.
        "object": lambda _, node: isinstance(node, dict),
        "array": lambda _, node: isinstance(node, list),
        "string": lambda _, node: isinstance(node, Text) and node.tag is None and not node.null,
        "number": lambda _, node: isinstance(node, Text) and node.number is not None,
        "integer": lambda _, node: isinstance(node, Text) and node.integer is not None,
        "boolean": lambda _, node: isinstance(node, Text) and node.boolean is not None,
        "null": lambda _, node: isinstance(node, Text) and node.null,
    }


_OUT_OF_BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "minimum": operator.lt,
    "maximum": operator.gt,
    "exclusiveMinimum": operator.le,
    "exclusiveMaximum": operator.ge,
}


def _validator(schema: Mapping[str, Any]) -> Any:  # a class made at run time, to mypy a riddle
    import jsonschema

    def bounded(keyword: str) -> Any:  # jsonschema's own would compare the text
        outside = _OUT_OF_BOUNDS[keyword]

        def check(
            _validator: Any, bound: float, node: object, _schema: Any
        ) -> Iterable[jsonschema.ValidationError]:
            number = node.number if isinstance(node, Text) else None
            if number is not None and outside(number, bound):
                yield jsonschema.ValidationError(keyword)

        return check

    def one_of(
        _validator: Any, words: list[str], node: object, _schema: Any
    ) -> Iterable[jsonschema.ValidationError]:
        if not (isinstance(node, Text) and node.tag is None and node in words):
            yield jsonschema.ValidationError("enum")

    extend: Any = jsonschema.validators.extend
    made = extend(
        jsonschema.Draft202012Validator,
        validators={**{name: bounded(name) for name in _OUT_OF_BOUNDS}, "enum": one_of},
        type_checker=jsonschema.TypeChecker(_kind_checks()),
    )
    return made(schema)
