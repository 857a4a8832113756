"""Board profiles: what must be known of a board before it can be flashed, one YAML file each.

`schemas/board.schema.json` describes the files, and `schemas/board-FAMILY.schema.json` what only
boards of one chip family have; a manifest's own `boards:` are written with the
same keys. A profile that `extends` another says only what differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from provision.core.chips.registry import chip_named, family_of
from provision.core.manifest.yaml_tree import Items, Node, Table, Text
from provision.core.wording import parse_size_code
from provision.model.board import BoardProfile, ResetWiring
from provision.model.chip import Chip
from provision.model.language import assert_never

_E = TypeVar("_E", bound=Enum)


@cache
def profiles() -> Mapping[str, BoardProfile]:
    """The built-in profiles by name, sorted; each is read when it is asked for."""
    return _Profiles()


class _Profiles(Mapping[str, BoardProfile]):
    def __init__(self) -> None:
        files = {path.stem: path for path in Path(__file__).parent.glob("*.yaml")}
        self._files = dict(sorted(files.items()))
        self._made: dict[str, BoardProfile] = {}

    def __getitem__(self, name: str) -> BoardProfile:
        if name not in self._made:
            import yaml

            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            data = yaml.load(self._files[name].read_text("utf-8"), Loader=loader)
            base = self[data["extends"]] if "extends" in data else None
            # A manifest's word knows its place there, which is no matter of the next manifest.
            self._made[name] = _profile(str(name), data, base)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def profile_from(name: str, data: Mapping[str, object], base: BoardProfile | None) -> BoardProfile:
    """The profile of a manifest's own board: `base` with what `data` says in its place.

    Without a base, `data` must name a chip, and what it does not say is as on that chip's
    generic board. ValueError names a value that will not do and the valid choices.
    """
    if base is None and "chip" not in data:
        raise ValueError("say which chip it has, or which board it extends")
    chip = _chip("chip", data["chip"]) if "chip" in data else None
    if base is None:
        base = profiles()[str(chip)]
    elif chip not in (None, base.chip):
        raise ValueError(
            f"chip: {base.name} has an {base.chip.label}; a board that extends it has no {chip}"
        )
    return _profile(name, data, base, title=name)


def profile_from_table(name: str, body: Table, base: BoardProfile | None) -> BoardProfile:
    """The same of what a manifest says."""
    return profile_from(name, {str(key): _plain(value) for key, value in body.items()}, base)


def _plain(node: Node) -> Any:
    match node:
        case Table():
            return {str(key): _plain(value) for key, value in node.items()}
        case Items():
            return [_plain(item) for item in node]
        case Text():
            return None if node.null else str(node)
        case _:
            return assert_never(node)


def _profile(
    name: str, data: Mapping[str, Any], base: BoardProfile | None, **defaults: object
) -> BoardProfile:
    known = {**_said_by(base), **defaults}
    chip = base.chip if base is not None else _chip("chip", data["chip"])
    own = family_of(chip).board_settings
    settings = dict(base.settings) if base is not None else {}
    for key, value in data.items():
        if key == "extends":
            continue
        if key in own:
            settings[key] = own[key](key, value)
        elif key in _READERS:
            known[key] = _READERS[key](key, value)
        else:
            valid = ", ".join((*_READERS, *own))
            raise ValueError(f"a board with an {chip.label} has no {key}; it has {valid}")
    if missing := [key for key in own if key not in settings]:
        raise ValueError(f"say {', '.join(missing)} too, or which board it extends")
    return BoardProfile(name=name, settings=MappingProxyType(settings), **known)


def _said_by(base: BoardProfile | None) -> dict[str, Any]:
    if base is None:
        return {"flash_size": None}
    return {key: getattr(base, key) for key in _READERS}


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} must be text")
    return value


def _bytes(key: str, value: object) -> int | None:
    if value is None or isinstance(value, int):
        return value
    size = parse_size_code(str(value))
    if size is None:
        raise ValueError(f"{key} must be a size such as 4MB or 512KB, not '{value}'")
    return size


def _rate(key: str, value: object) -> int:
    if not re.fullmatch(r"\d{4,7}", str(value)):
        raise ValueError(f"{key} must be a number of bits per second, not '{value}'")
    return int(str(value))


def _texts(key: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"{key} must be a list")
    return tuple(_text(key, item) for item in value)


def _usb_ids(key: str, value: object) -> tuple[str, ...]:
    ids = tuple(item.lower() for item in _texts(key, value))
    for item in ids:
        if not re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", item):
            raise ValueError(f"{key} must be VID:PID such as 1a86:7523, not '{item}'")
    return ids


def _chip(key: str, value: object) -> Chip:
    try:
        return chip_named(str(value))
    except ValueError as error:
        raise ValueError(f"{key} {error}") from None


def _choice(key: str, value: object, kind: type[_E]) -> _E:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(str(each.value) for each in kind)
        raise ValueError(f"{key} must be one of {choices}, not '{value}'") from None


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "title": _text,
    "chip": _chip,
    "flash_size": _bytes,
    "reset": lambda key, value: _choice(key, value, ResetWiring),
    "download": _text,
    "release": _text,
    "variant": _text,
    "usb": _usb_ids,
    "baud": _rate,
    "transfer_baud": lambda key, value: 0 if value == "off" else _rate(key, value),
    "quirks": _texts,
    "url": _text,
}
