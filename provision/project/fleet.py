"""A fleet: a manifest as it was read, with the devices that a command is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from provision.core.manifest.device_filter import select_new_boards
from provision.core.manifest.redact import Redactor
from provision.errors import UsageError
from provision.interfaces import Images
from provision.model.state import DesiredState
from provision.project.manifest_file import Loaded


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """A manifest as it was read, and its devices with everything resolved: those that `load` was
    asked for, or all. `host` is what this computer is called in it. Of a station, a `unit` is its
    one device, of which nothing is kept where that of devices is: which board it is says the
    ledger."""

    loaded: Loaded
    images: Images
    states: tuple[DesiredState, ...]
    host: str
    unit: bool = False

    @property
    def name(self) -> str:
        return self.loaded.manifest.fleet

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of the devices, in manifest order."""
        return tuple(state.device for state in self.states)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of the manifest and its secrets."""
        return self.loaded.warnings

    def masked(self, text: str) -> str:
        """A text with every secret in it masked."""
        return self.redactor.text(text)

    @cached_property
    def redactor(self) -> Redactor:
        """Masks the secrets, and digests of the files that hold them."""
        files = (file for state in self.states for file in state.files)
        return self.loaded.redactor.with_digests(
            file.content.sha256 for file in files if file.content.sensitive
        )

    def changed(self) -> bool:
        """Whether the manifest on disk is no longer the one that was read."""
        return self.loaded.changed()

    def select(self, limit: Sequence[str] = ()) -> tuple[DesiredState, ...]:
        """The states that `--limit` selects; UsageError when they are none of those loaded."""
        names = self.loaded.names(limit)
        wanted = frozenset(names)
        selected = tuple(state for state in self.states if state.device in wanted)
        if not selected and not names and self.loaded.manifest.station is not None:
            raise UsageError(
                "the manifest has no device but the template of its station",
                hint="`provision station` makes boards like it",
            )
        if not selected:
            raise UsageError(
                f"{', '.join(names)} was left out when the manifest was loaded",
                hint="load it without a limit, or with one that has this device",
            )
        return selected

    def select_new_boards(
        self, patterns: Sequence[str], limit: Sequence[str] = ()
    ) -> frozenset[str]:
        """The devices of a run, which `limit` selects, that `--accept-new-board` names."""
        run = [state.device for state in self.select(limit)]
        declared = self.loaded.declared_macs()
        return select_new_boards(self.loaded.manifest, patterns, run, declared)
