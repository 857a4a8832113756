"""Plain text as Markdown, and values as YAML, for the pages of the reference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

_SPAN = re.compile(r"(`[^`]*`)")


def prose(text: str) -> str:
    """Text in which only what stands in backticks means anything to Markdown."""
    parts = _SPAN.split(text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\*_<\[\]])", r"\\\1", part) for part in parts
    )


def code(value: Any) -> str:
    """A value between backticks, as it is written in YAML."""
    return f"`{snippet(value)}`"


def snippet(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def block(key: str, value: Any) -> str:
    """A YAML block with one key."""
    flow = None if isinstance(value, (dict, list)) else False
    text = yaml.safe_dump(
        {key: value}, default_flow_style=flow, allow_unicode=True, sort_keys=False, width=90
    )
    return f"```yaml\n{text}```"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar in a cell is text."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
