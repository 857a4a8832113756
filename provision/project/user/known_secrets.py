"""The secrets of one manifest: those of its secrets files, and those that the user's command has
been asked for. They are known to the redactor before anybody can show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path

from provision.core.manifest.redact import Redactor
from provision.model.secret import PLACEHOLDER, Secret
from provision.project.secrets_files import SecretsFiles
from provision.project.user.secrets_command import SecretsCommand


class Lookup(Enum):
    """Whether values are asked for: of the user's command; of files alone, what only the command
    knows, or would tell of an encrypted file, is left open; not even that, and what no file has is
    left open."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


class KnownSecrets:
    """`hidden` are texts that nobody is to be shown. What is left open is a placeholder."""

    def __init__(
        self,
        files: SecretsFiles,
        hidden: Iterable[str],
        folder: Path,
        command: SecretsCommand | None,
        lookup: Lookup,
    ) -> None:
        self.redactor = Redactor(hidden := frozenset(hidden))
        self.faults: dict[str, str] = {}
        self._files = files
        self._hidden = hidden
        self._folder = folder
        self._command = command
        self._lookup = lookup
        self._leaves_open = (
            command is not None
            or lookup is Lookup.NEVER
            or (lookup is Lookup.LATER and files.encrypted)
        )
        self._fetched: dict[str, Secret] = {}

    def add(self, told: Mapping[str, Secret]) -> None:
        """Secrets that are in no file."""
        if told:
            self.redactor.learn(Redactor(value.reveal() for value in told.values()))
            self._fetched.update(told)

    @property
    def unknown_note(self) -> str:
        return self._files.unknown_note

    def not_looked_up(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that are placeholders."""
        values = self.values(names := tuple(dict.fromkeys(names)))
        found = ((name, values.get(name)) for name in names)
        return tuple(name for name, one in found if one and one.reveal() == PLACEHOLDER)

    def values(self, names: Iterable[str]) -> Mapping[str, Secret]:
        """All that are known, and placeholders for those of `names` that are left open."""
        if not self._leaves_open:
            return {**self._fetched, **self._files.values}
        placeholders = {
            name: Secret(name, PLACEHOLDER) for name in names if name not in self.faults
        }
        return {**placeholders, **self._fetched, **self._files.values}

    def fetch(self, names: Iterable[str]) -> None:
        """Ask the command for those of `names` that nobody has told yet, if it is to be asked."""
        if self._command is None or self._lookup is not Lookup.NOW:
            return
        known = self._files.values.keys() | self._fetched.keys()
        missing = [name for name in dict.fromkeys(names) if name not in known]
        if not missing:
            return
        answers = self._command.answer(missing, self._folder, self.redactor)
        self.add(answers.values)
        self.faults = {**self.faults, **answers.faults}

    def are_in(self, data: bytes) -> bool:
        """Whether one of the secrets is in a file as it is."""
        fetched = {value.reveal() for value in self._fetched.values()}
        return any(secret and secret.encode() in data for secret in self._hidden | fetched)


class FilledEnvironment(Mapping[str, str]):
    """An environment where every variable is set, those that are not to a placeholder."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __getitem__(self, name: str) -> str:
        return self._environment.get(name, PLACEHOLDER)

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._environment)

    def __len__(self) -> int:
        return len(self._environment)
