"""jsonschema's verdicts in the words of someone who writes a manifest, each with its place.

"{'bord': 'x'} is not valid under any of the given schemas" helps nobody: the branch that was
meant is picked by the kind of thing that was written, and what is wrong in it is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from provision.core.manifest.yaml_tree import Items, Node, Table, Text
from provision.core.wording import did_you_mean, quoted
from provision.model.language import assert_never, record

if TYPE_CHECKING:
    from jsonschema import ValidationError

_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}

# Keys that are often written one level too high.
_ELSEWHERE = {
    **dict.fromkeys(
        ("src", "dest", "state", "template", "compile", "exclude", "create_only"),
        "an entry of `files`, as `files: [{src: lib/, dest: /lib, KEY: …}]`",
    ),
    **dict.fromkeys(("mac", "groups"), "a device of `devices`"),
    **dict.fromkeys(("sha256", "verify", "erase"), "an entry of `firmware`"),
}

Path = tuple[str | int, ...]


@record
class Finding:
    """A mistake at `node`; `unusable` is the value that cannot be used because of it, if any."""

    node: Node
    path: Path
    message: str
    unusable: Node | None = None


def findings(errors: Iterable[ValidationError], prefix: Path) -> Iterator[Finding]:
    """Each error in words; `prefix` is the path of what was validated."""
    for error in errors:
        yield from _finding(error, prefix)


def _finding(error: ValidationError, prefix: Path) -> Iterator[Finding]:
    node: Any = error.instance  # what the validator was given: a Node
    path = (*prefix, *error.absolute_path)
    keyword = error.validator
    value: Any = error.validator_value
    schema: Any = error.schema
    if keyword == "anyOf":
        yield from _branch(error, prefix, path, node)
    elif keyword == "additionalProperties":
        known = sorted(schema.get("properties", {}))
        patterns = list(schema.get("patternProperties", {}))
        for key in node:
            if key not in known and not any(re.search(pattern, key) for pattern in patterns):
                message = f"unknown key {quoted(key)}" + _meant(key, known)
                yield Finding(node=key, path=(*path, key), message=message)
    elif keyword == "required":
        missing = [name for name in value if name not in node]
        for name in missing:
            yield Finding(node=node, path=path, message=f"the key '{name}' is missing")
    elif keyword in ("minProperties", "maxProperties"):
        names = ", ".join(schema.get("properties", {}))
        yield Finding(
            node=node, path=path, message=f"expected exactly one of {names}", unusable=node
        )
    elif "propertyNames" in error.absolute_schema_path:
        message = f"{quoted(node)} is not {schema.get('patternErrorMessage', 'a valid name')}"
        yield Finding(node=node, path=(*path, node), message=message)
    else:
        yield Finding(
            node=node, path=path, message=_value(keyword, value, schema, node), unusable=node
        )


def _meant(key: str, known: Sequence[str]) -> str:
    """What may have been meant by a key that is none here."""
    place = _ELSEWHERE.get(key)
    if place is None or did_you_mean(key, known):
        return did_you_mean(key, known, or_list=True)
    return f"; it belongs in {place.replace('KEY: …', f'{key}: …')}"


def _value(keyword: object, value: Any, schema: Any, node: Node) -> str:
    """What is wrong with a single value."""
    shown = quoted(node) if isinstance(node, Text) else got(node)
    if isinstance(node, Text) and node.tag is not None:
        return f"{node.tag} is allowed below `vars` only; name a variable there and use that"
    match keyword:
        case "type":
            return _expected([value] if isinstance(value, str) else list(value), node)
        case "enum":
            if not isinstance(node, Text) or node.null:
                return f"expected one of {', '.join(value)}, got {got(node)}"
            near = did_you_mean(node, value)
            return f"unknown value {shown}; expected one of {', '.join(value)}{near}"
        case "pattern":
            return (
                f"expected {schema.get('patternErrorMessage', f'text like {value}')}, got {shown}"
                + (quotes_note(node) if isinstance(node, Text) else "")
            )
        case "minimum":
            return f"{shown} is too small; the least is {value}"
        case "maximum":
            return f"{shown} is too large; the most is {value}"
        case "exclusiveMinimum":
            return f"{shown} is too small; it must be more than {value}"
        case "minLength":
            return "expected some text, got an empty one"
        case _:
            return f"does not satisfy {keyword}: {value}"


def _branch(error: ValidationError, prefix: Path, path: Path, node: Node) -> Iterator[Finding]:
    """The errors of the alternative that was meant, or which kinds of thing were expected."""
    branches: dict[object, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).append(inner)
    kinds: list[str] = []
    for inners in branches.values():
        wrong_kind = [
            inner
            for inner in inners
            if inner.validator in ("type", "enum") and not inner.relative_path
        ]
        if not wrong_kind:
            for inner in inners:
                yield from _finding(inner, prefix)
            return
        for inner in wrong_kind:
            expected: Any = inner.validator_value
            kinds += [expected] if isinstance(expected, str) else list(expected)
    if isinstance(node, Text) and node.tag is not None:
        message = _value("type", kinds, None, node)
    else:
        message = _expected(kinds, node)
    yield Finding(node=node, path=path, message=message, unusable=node)


def _expected(kinds: Sequence[str], node: Node) -> str:
    if "string" in kinds:
        kinds = [kind for kind in kinds if kind != "number"]
    names = [_KINDS.get(kind, kind) for kind in kinds if kind != "null"]  # a word: itself
    wanted = " or ".join(dict.fromkeys(names))
    message = f"expected {wanted}, got {got(node)}"
    if isinstance(node, Text) and not node.plain and {"integer", "number", "boolean"} & set(kinds):
        unquoted = Text.at(node, node.line, node.column)
        if unquoted.number is not None or unquoted.boolean is not None:
            message += "; remove the quotes"
    return message + _better(kinds, node)


def _better(kinds: Sequence[str], node: Node) -> str:
    """`; write …`, where what was meant can be told."""
    if isinstance(node, Text) and not node.null and node.tag is None:
        key, colon, value = node.partition(":")
        if "object" in kinds and node.plain and colon and _KEY.fullmatch(key):
            return f"; write {quoted(f'{key}: {value}')}, with a space after the colon"
        if "array" in kinds and "object" not in kinds:
            return f"; write {quoted(f'[{node}]')}"
    first = node[0] if isinstance(node, Items) and node else None
    if isinstance(first, Text) and kinds == ["object"]:
        return f"; write {quoted(f'{first}:')} in place of {quoted(f'- {first}')}"
    return ""


_KEY = re.compile(r"[a-z_]+")


def quotes_note(text: str) -> str:
    """What is said of a value that begins with quotation marks of a word processor."""
    if text[:1] in _WORD_QUOTES:
        return f"; {text[:1]} is no quotation mark of YAML, write ' or \""
    return ""


_WORD_QUOTES = tuple("“”„‟‘’‚‛«»＂")


def got(node: Node) -> str:
    """What was written, for "expected …, got …"."""
    match node:
        case Table():
            return "a mapping"
        case Items():
            return "a list"
        case Text():
            if node.tag is not None:
                return node.tag
            return "nothing" if node.null else quoted(node)
        case _:
            return assert_never(node)
