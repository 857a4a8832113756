"""What an apply replaces on a board, kept on this computer so that it can be put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from provision.model.firmware import Region
from provision.model.language import record
from provision.model.state import Check, FirmwareIdentity

ApplyPhase = Literal["writing", "applied", "rolling-back", "rolled-back"]
"""How far the last apply of a board came: "writing" from before its first write until its check has
passed, "rolling-back" from before the first write of the rollback until the check of then ended."""


@record
class KnownImage:
    """An image that a board was proved to run, as this computer may find it again: by the sha256 of
    its file, and the path that the manifest had for it, relative to its folder."""

    sha256: str
    file: str | None = None


@record
class KeptFlash:
    """What an apply replaces in flash beside the filesystem: the `image` that the board started
    from, as the bytes of a file called `name`, and the `data` that lay beside it, as NVS; `written`
    is the firmware that came in its place."""

    name: str
    image: bytes = field(repr=False)
    written: FirmwareIdentity
    data: tuple[Region, ...] = field(default=(), repr=False)


@record
class KeptState:
    """The last apply of one board, together with those before it that ended in the middle.

    `files` is what the paths that it changes held before, None where there was no file; `written`
    the sha256 of what was to be there since, None where nothing, newest last. `made` and `removed`
    are directories. `spared` are those of the files that it made and that are the board's own once
    the app changes them (`create_only`). `firmware` is what ran, `flash` its image and what lay
    beside it, where the apply writes firmware. The checks are those that the board had
    passed before, and has to pass since; None where there is none or nobody knows. `image` is the
    firmware that the board was proved to run last. `keys` are the paths of private keys that the
    apply replaced or deleted, and that are not kept. `mac` is the board's, also where only download
    mode tells it.
    """

    phase: ApplyPhase
    files: Mapping[str, bytes | None] = field(default_factory=dict, repr=False)
    written: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict, repr=False)
    made: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()
    firmware: FirmwareIdentity | None = None
    check_before: Check | None = None
    check_after: Check | None = None
    flash: KeptFlash | None = None
    image: KnownImage | None = None
    keys: frozenset[str] = frozenset()
    mac: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a run ended in the middle: the board may hold files of both states."""
        return self.phase in ("writing", "rolling-back")

    @property
    def empty(self) -> bool:
        """Whether there is nothing to put back."""
        return not (self.files or self.made or self.removed or self.flash)
