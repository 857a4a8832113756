"""The page about the events of `--json` and of run records, from their schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markdown_text import code, prose, table

Schema = Mapping[str, Any]


def events_page(schema: Schema) -> str:
    """docs/reference/events.md."""
    definitions: Mapping[str, Schema] = schema["$defs"]
    events = [_name(each) for each in schema["oneOf"]]
    parts = [
        "# Events",
        f"{prose(schema['description'])} This page is made from "
        "[`schemas/event.schema.json`](../../schemas/event.schema.json); "
        "[Commands](../commands.md) says what else a run tells.",
        "Every event has these keys:",
        _fields(schema),
    ]
    for name in events:
        part = definitions[name]
        parts += _described(part["properties"]["kind"]["const"], part, level=2)
    parts += ["## What events are made of"]
    for name, part in definitions.items():
        if name not in events:
            parts += _described(name, part, level=3)
    return "\n\n".join(parts) + "\n"


def _described(heading: str, part: Schema, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{heading}`"
    yield f"**{prose(part['title'])}.** {prose(part['description'])}"
    if "properties" in part:
        yield _fields(part)
    if "enum" in part:
        yield "One of " + ", ".join(code(value) for value in part["enum"]) + "."
    if "oneOf" in part:
        yield "One of " + ", ".join(f"`{_name(each)}`" for each in part["oneOf"]) + "."


def _fields(part: Schema) -> str:
    required = part.get("required", ())
    return table(
        ("key", "is", "always there", "means"),
        (
            (
                f"`{name}`",
                _type(inner),
                "yes" if name in required else "",
                prose(inner.get("description", "")),
            )
            for name, inner in part["properties"].items()
        ),
    )


def _type(part: Schema) -> str:
    if "$ref" in part:
        return f"`{_name(part)}`"
    if "const" in part:
        return code(part["const"])
    if "enum" in part:
        return ", ".join(code(value) for value in part["enum"])
    for several in ("anyOf", "oneOf"):
        if several in part:
            return " or ".join(_type(each) for each in part[several])
    kinds = part.get("type", "anything")
    if isinstance(kinds, list):
        return " or ".join(kinds)
    return f"{kinds} of {_type(part['items'])}" if "items" in part else str(kinds)


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
