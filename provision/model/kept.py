"""What an apply replaces on a board, kept on this computer so that it can be put back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from provision.model.state import Check, FirmwareIdentity

ApplyPhase = Literal["writing", "applied", "rolling-back", "rolled-back"]
"""How far the last apply of a board came: "writing" from before its first write until its check has
passed, "rolling-back" from before the first write of the rollback until the check of then ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptState:
    """The last apply of one board, together with those before it that ended in the middle.

    `files` is what the paths that it changes held before, None where there was no file; `written`
    the sha256 of what was to be there since, None where nothing, newest last. `made` and `removed`
    are directories. `spared` are those of the files that it made and that are the board's own once
    the app changes them (`create_only`). `firmware` is what ran. The checks are those that the
    board had passed before, and has to pass since; None where there is none or nobody knows.
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

    @property
    def unfinished(self) -> bool:
        """Whether a run ended in the middle: the board may hold files of both states."""
        return self.phase in ("writing", "rolling-back")

    @property
    def empty(self) -> bool:
        """Whether there is nothing to put back."""
        return not (self.files or self.made or self.removed)
