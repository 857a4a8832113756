"""Names and versions of MicroPython's releases.

A manifest says `version: 1.24.1` and `board: ESP32_GENERIC`; a release index says the same in a
file name, and an image in its banner. This module compares the three.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.core.chips.registry import chip_of_release, family_of, is_generic_release
from provision.errors import SourceError
from provision.model.language import record

if TYPE_CHECKING:
    from provision.model.state import FirmwareIdentity, FirmwareSource

LATEST = "latest"

_VERSION = re.compile(
    r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:-([0-9A-Za-z.+-]{1,100}))?", re.ASCII
)


@record(kw_only=False)
class Version:
    """One version: three numbers and what follows the dash ("preview.31.g1234567" or "").

    1.20 and 1.20.0 are the same. A preview sorts before its release; a build that counts the
    commits since a release ("1.20.0-400-gabcdef", as before 1.21) sorts after it.
    """

    numbers: tuple[int, int, int]
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Reads "1.24.1", "v1.20" or "1.25.0-preview.31.g1234567"; else SourceError."""
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise SourceError(
                f"{text!r} is not a MicroPython version",
                hint="write it as 1.24.1, 1.25.0-preview.31 or latest",
            )
        major, minor, patch, suffix = match.groups()
        return cls((int(major), int(minor), int(patch or 0)), suffix or "")

    @property
    def preview(self) -> bool:
        """Whether this is anything but a release."""
        return bool(self.suffix)

    @property
    def sort_key(self) -> tuple[tuple[int, int, int], int, tuple[tuple[int, str], ...]]:
        if not self.suffix:
            rank = 0
        else:
            rank = -1 if self.suffix.startswith(("preview", "rc", "pre")) else 1
        # A commit hash has no order.
        parts = [part for part in re.split(r"[.-]", self.suffix) if not part.startswith("g")]
        key = tuple(
            (int(part), "") if part.isdigit() and len(part) < 20 else (-1, part) for part in parts
        )
        return (self.numbers, rank, key)

    def covers(self, other: Version) -> bool:
        """Whether `other` is a build of this version: 1.25.0-preview covers every preview of
        1.25.0, and a hash may be shortened; 1.24.1 covers only 1.24.1."""
        if self.numbers != other.numbers:
            return False
        if not self.suffix:
            return not other.suffix
        mine, theirs = (re.split(r"[.-]", suffix) for suffix in (self.suffix, other.suffix))
        if len(mine) > len(theirs):
            return False
        return all(
            a == b
            or (a.startswith("g") and b.startswith("g") and (a.startswith(b) or b.startswith(a)))
            for a, b in zip(mine, theirs, strict=False)  # theirs may go on
        )

    def __str__(self) -> str:
        text = ".".join(map(str, self.numbers))
        return f"{text}-{self.suffix}" if self.suffix else text


def check_declared(source: FirmwareSource, identity: FirmwareIdentity, name: str) -> None:
    """Compare what the manifest declares of an image with the image's own banner.

    SourceError, naming both, when they disagree on the version, on the chip, or on whether the
    build is a generic one. Which named board a build is for is in no banner.
    """
    hint = f"correct the firmware {source.name!r} in the manifest, or use another image"
    declared = source.version
    if declared is not None and declared != LATEST:
        contradicted = True
        if _VERSION.fullmatch(identity.version):
            contradicted = not Version.parse(declared).covers(Version.parse(identity.version))
        if contradicted:
            raise SourceError(
                f"{name} is MicroPython {identity.version}, but the manifest declares {declared}",
                hint=hint,
            )
    if source.board is None:
        return
    chip = chip_of_release(source.board)
    if chip is not None and chip != identity.chip:
        raise SourceError(
            f"{name} is for {identity.machine or identity.chip.label} ({identity.chip.label}), "
            f"but the manifest declares the board {source.board} ({chip.label})",
            hint=hint,
        )
    generic = family_of(identity.chip).is_generic_machine(identity.machine)
    if identity.machine and generic is not is_generic_release(source.board):
        raise SourceError(
            f"{name} is an image for {identity.machine!r}, "
            f"but the manifest declares {source.board}",
            hint=hint,
        )
