"""A board's eFuses as far as they concern security, kept in a file in the board's directory.

Faults burn them; the loader and MicroPython read them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

_FILE = "efuses.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Security:
    """What is burned into the eFuses; `download` is secure download mode, which shuts most of
    the ROM loader."""

    secure_boot: bool = False
    encryption: bool = False
    download: bool = False

    @property
    def flags(self) -> int:
        return (1 if self.secure_boot else 0) | (4 if self.download else 0)


def read_efuses(directory: Path) -> Security:
    """What the eFuses of the board in this directory say."""
    path = directory / _FILE
    return Security(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Security()


def burn_efuses(directory: Path, **fuses: bool) -> Security:
    """Burn those given as true; what the eFuses say then. A fuse that is burned stays burned."""
    burned = asdict(read_efuses(directory))
    now = {name: burned[name] or fuses.get(name, False) for name in burned}
    (directory / _FILE).write_text(json.dumps(now), encoding="utf-8")
    return Security(**now)
