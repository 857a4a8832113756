"""The lines of a device in a manifest, each setting with the reason for it beside.

What boards and ports say of themselves stands in comments and quoted texts alone, as one line that
nothing can break out of.
"""

from __future__ import annotations

import json
import re

from provision.core.manifest.ranges import is_range
from provision.core.manifest.table_reader import NAME
from provision.core.wording import printable
from provision.model.language import record
from provision.model.state import PortSelector

_COMMENT_MOST = 160  # characters
# Texts that mean themselves in YAML without quotes; `null` and the like do not.
_PLAIN = re.compile(r"[A-Za-z/][\w./-]*", re.ASCII)
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_LAST_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.ASCII | re.DOTALL)


@record
class Setting:
    """A key of a device; `value` is YAML of one line, as `scalar` makes it."""

    key: str
    value: str
    comment: str = ""


@record
class NewDevice:
    """A device to be written; `notes` are comments of its own, each a line."""

    name: str
    settings: tuple[Setting, ...]
    notes: tuple[str, ...] = ()

    def lines(self, indent: int, step: int = 2) -> list[str]:
        """The device as YAML: its name indented by so many spaces, its settings by `step` more."""
        inner = " " * (indent + step)
        lines = [f"{' ' * indent}{scalar(self.name)}:"]
        for each in self.settings:
            line = f"{inner}{each.key}: {each.value}"
            lines.append(f"{line}  {comment(each.comment)}" if each.comment else line)
        lines += [inner + comment(note) for note in self.notes]
        return lines


def scalar(text: str) -> str:
    """A text as a YAML scalar that is read as this very text. ValueError for one with characters
    that no manifest needs: controls, line ends, and `{{`, which would be rendered."""
    if not is_scalar(text):
        raise ValueError(f"{printable(text)} cannot stand in a manifest")
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def is_scalar(text: str) -> bool:
    """Whether `scalar` takes this text."""
    return text.isprintable() and "{{" not in text and "{%" not in text


def port_setting(port: PortSelector, why: str = "") -> Setting:
    """A port as a device names it. ValueError as `scalar`."""
    value = scalar(port.value)
    if port.kind not in ("path", "url", "any"):
        value = f"{{{port.kind}: {value}}}"
    return Setting(key="port", value=value, comment=why)


def comment(text: str) -> str:
    """A text, of whatever origin, as a comment of one line."""
    return f"# {printable(text, _COMMENT_MOST)}"


def is_device_name(text: str) -> bool:
    """Whether a device can have this name, and it stands for one device alone."""
    return NAME.fullmatch(text) is not None and not is_range(text)


def next_name(name: str) -> str | None:
    """The name after this one, counting its last number up, as wide as it was: `desk-08` after
    `desk-07`; None for a name without a number."""
    found = _LAST_NUMBER.fullmatch(name)
    if found is None:
        return None
    before, number, after = found.groups()
    return f"{before}{int(number) + 1:0{len(number)}}{after}"
