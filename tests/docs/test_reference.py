"""Each key that a user may write has an example, and each example is one that the schema takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from provision.project.schemas import schema_text

Schema = dict[str, Any]


def keys(part: Any, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every key of a schema, wherever it is described."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if isinstance(part, dict):
        for name, inner in part.get("properties", {}).items():
            yield f"{path}.{name}", inner
        for name, inner in part.items():
            yield from keys(inner, f"{path}/{name}")


def examples(part: Schema) -> list[Any]:
    """Those of a key; where one is a mapping it is a snippet, which editors can show by a name."""
    snippets = part.get("defaultSnippets", ())
    return [*part.get("examples", ()), *(snippet["body"] for snippet in snippets)]


def needs_none(part: Schema) -> bool:
    """Whether its type says all that could be written, or the keys below it do."""
    kinds = [part, *part.get("anyOf", ())]
    return "properties" in part or any(
        "enum" in kind or kind.get("type") == "boolean" for kind in kinds
    )


@pytest.mark.parametrize("name", ["fleet", "config"])
def test_every_key_has_an_example_that_is_valid(name: str) -> None:
    schema = json.loads(schema_text(name))
    definitions = schema.get("$defs", {})
    seen = 0
    for path, given in keys(schema):
        part = given
        while "$ref" in part and not examples(part):
            part = definitions[part["$ref"].rpartition("/")[2]]
        if needs_none(part):
            continue
        assert examples(part), path
        for example in examples(part):
            seen += 1
            checked = {"$schema": schema["$schema"], "$defs": definitions, **part}
            assert list(jsonschema.Draft202012Validator(checked).iter_errors(example)) == [], path
    assert seen > (90 if name == "fleet" else 3)
