"""How pages are made: templates that escape whatever they are given, and the words and symbols of
states. A state is told by a word, a symbol and a colour, never by colour alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from provision._version import __version__
from provision.api_runs import STAGE_TEXTS, action_text, duration, step_text
from provision.core.wording import byte_size, memory_size, plural, printable
from provision.web.run_view import BAD
from provision.web.tiles import FILTERS, said

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"

SYMBOLS: Mapping[str, str] = {
    "ok": "✓",
    "changed": "✓",
    "finished": "✓",
    "pending": "△",
    "failed": "✗",
    "rolled-back": "↺",
    "refused": "⊘",
    "unreachable": "⚡",
    "interrupted": "‖",
    "cancelled": "‖",
    "not-started": "‖",
    "skipped": "–",
    "waiting": "…",
    "queued": "…",
    "working": "▶",
    "running": "▶",
    "asking": "?",
    "new": "○",
}


def shade(state: str) -> str:
    """Which of the few colours a state has."""
    if state in ("ok", "changed", "finished"):
        return "well"
    if state in BAD or state == "cancelled":
        return "bad"
    if state in ("pending", "asking", "not-started"):
        return "attention"
    return "busy" if state in ("working", "running") else "calm"


def symbol(state: str) -> str:
    """The sign of a state, for whoever cannot see its colour."""
    return SYMBOLS.get(state, "•")


def local(seconds: float | None) -> str:
    """A time since the epoch as this computer's clock has it; "" for none."""
    if seconds is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return ""


@cache
def static(name: str) -> str:
    """The address of a static file, another one for another content: a browser that kept the file
    of an older version does not use it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?{digest[:12]}"


class Templates:
    """The templates beside this module. Everything that is put into one is escaped."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        called = (action_text, step_text, duration, plural, byte_size, memory_size)
        self._environment.globals.update(
            {each.__name__: each for each in called},
            version=__version__, static=static, filters=FILTERS, stage_texts=STAGE_TEXTS,
        )  # fmt: skip
        self._environment.filters.update(
            {each.__name__: each for each in (local, shade, symbol, said, printable)}
        )

    def render(self, template: str, **values: Any) -> str:
        """The HTML of a template, a page or a piece of one."""
        return self._environment.get_template(template).render(values)

    def piece(self, template: str, macro: str, *values: Any) -> str:
        """The HTML of one macro of a template."""
        made: Any = getattr(self._environment.get_template(template).module, macro)
        return str(made(*values))
