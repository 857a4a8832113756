"""A fleet: a manifest as it was read, with the devices that a command is about."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from provision.core.manifest.device_filter import select_new_boards
from provision.core.manifest.redact import Redactor
from provision.core.planning.desired_digest import desired_digest
from provision.errors import UsageError
from provision.interfaces import Images
from provision.lockfile.entries import bytecode_name
from provision.lockfile.store import read_lock
from provision.model.firmware import Firmware
from provision.model.language import record
from provision.model.plan import Rollout
from provision.model.state import Content, DesiredState
from provision.project.manifest_file import Loaded


def state_digest(key: bytes) -> Callable[[DesiredState, Firmware | None], str]:
    """Digests what a device has to be, and the image that its board shall run, with this key."""
    return lambda desired, image: desired_digest(
        desired, image.sha256 if image is not None else None, key
    )


@record(slots=False)
class Fleet:
    """A manifest as it was read, and its devices with everything resolved: those that `load` was
    asked for, or all. `host` is what this computer is called in it. Of a station, a `unit` is its
    one device, of which nothing is kept where that of devices is: which board it is says the
    ledger. `twins_lock` is the lock of a fleet whose boards are virtual twins: what is learned of
    those goes there, and no port of this computer is looked at."""

    loaded: Loaded
    images: Images
    states: tuple[DesiredState, ...]
    host: str
    unit: bool = False
    twins_lock: Path | None = None

    @property
    def lock_path(self) -> Path:
        """Where is kept which board each device is."""
        return self.twins_lock or self.loaded.lock_path

    @property
    def on_twins(self) -> bool:
        """Whether there are no boards but virtual ones."""
        return self.twins_lock is not None

    @property
    def name(self) -> str:
        return self.loaded.manifest.fleet

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of the devices, in manifest order."""
        return tuple(state.device for state in self.states)

    @property
    def rollout(self) -> Rollout | None:
        """How the manifest wants an apply to go from a few devices to all."""
        return None if self.unit else self.loaded.manifest.rollout

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

    def inputs(self) -> Mapping[str, str]:
        """What the devices are made of, by name, each with its sha256: the manifest, the sources
        that were read, images, packages. What holds a secret is left out (`secret_digest`)."""
        found = {Path(self.loaded.file).name: hashlib.sha256(self.loaded.data).hexdigest()}
        for path, content in self.loaded.sources.items():
            if not self._is_secret(content):
                found[path] = content.sha256
        for source in {each.firmware.source for each in self.states if each.firmware is not None}:
            found[f"firmware {source.name}"] = self.images.firmware(source).sha256
        asked = {package for state in self.states for package in state.packages}
        for (request, bytecode), package in read_lock(self.loaded.lock_path).packages.items():
            if request in asked:
                files = sorted((path, file.sha256) for path, file in package.files.items())
                digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()
                found[f"package {request} ({bytecode_name(bytecode)})"] = digest
        return {self.masked(name): self.masked(digest) for name, digest in found.items()}

    def secret_digest(self, key: bytes) -> str | None:
        """What tells with this key whether all that holds a secret is still the same; None where
        nothing does."""
        held: list[list[str]] = [
            [path, content.sha256]
            for path, content in self.loaded.sources.items()
            if self._is_secret(content)
        ]
        for state in self.states:
            files = (file for file in state.files if file.content.sensitive)
            held += ([state.device, file.dest, file.content.sha256] for file in files)
            held += (
                [state.device, *entry.place, (entry.data or b"").hex()]
                for entry in state.nvs
                if entry.secrets
            )
        data = json.dumps(sorted(held)).encode()
        return hmac.new(key, data, hashlib.sha256).hexdigest() if held else None

    def _is_secret(self, content: Content) -> bool:
        keys = (state.certificate.ca_key for state in self.states if state.certificate is not None)
        return content.data in keys or self.loaded.holds_secret(content.data)

    def states_now(self, key: bytes) -> Mapping[str, str]:
        """What tells of each device what it has to be, as the events of its applies do."""
        sources = {state.firmware.source for state in self.states if state.firmware is not None}
        images = {source: self.images.firmware(source) for source in sources}
        digest = state_digest(key)
        return {
            state.device: digest(
                state, images[state.firmware.source] if state.firmware is not None else None
            )
            for state in self.states
        }

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
