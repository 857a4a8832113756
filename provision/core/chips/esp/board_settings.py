"""What a board profile says that only boards with these chips have: how an image's header shall
describe the flash. `schemas/board-esp.schema.json` describes the same keys for editors."""

from __future__ import annotations

import re
from collections.abc import Mapping

from provision.core.chips.esp.image import FLASH_MODES
from provision.core.chips.family import SettingReader

_MODES = (*FLASH_MODES, "keep")


def _flash_mode(key: str, value: object) -> str:
    if value not in _MODES:
        raise ValueError(f"{key} must be one of {', '.join(_MODES)}, not '{value}'")
    return str(value)


def _flash_freq(key: str, value: object) -> str:
    if not re.fullmatch(r"keep|\d{2,3}m", str(value)):
        raise ValueError(f"{key} must be keep or a frequency such as 40m, not '{value}'")
    return str(value)


def _header_size(key: str, value: object) -> str:
    if value not in ("detect", "keep") and not re.fullmatch(r"\d{1,6}(KB|MB)", str(value)):
        raise ValueError(f"{key} must be a size such as 4MB or 512KB, not '{value}'")
    return str(value)


READERS: Mapping[str, SettingReader] = {
    "flash_mode": _flash_mode,
    "flash_freq": _flash_freq,
    "header_size": _header_size,
}


def describe(settings: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The settings in words, each with a short label."""
    mode, size = settings["flash_mode"], settings["header_size"]
    header = {"detect": "says what the flash holds", "keep": "stays as the image says"}
    return (
        ("mode", "as the image says" if mode == "keep" else mode),
        ("header", header.get(size, f"says {size}")),
    )
