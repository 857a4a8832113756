"""The secrets of one manifest: those of its secrets files, and those that the user's command has
been asked for. They are known to the redactor before anybody can show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from provision.core.manifest.redact import Redactor
from provision.model.secret import PLACEHOLDER, Secret
from provision.project.secrets_files import SecretsFiles
from provision.project.user.secrets_command import SecretsCommand


class KnownSecrets:
    """`hidden` are texts that nobody is to be shown. Without a `command` there are no secrets but
    those of the files; with one, a secret that it was not asked for is a placeholder."""

    def __init__(
        self,
        files: SecretsFiles,
        hidden: Iterable[str],
        folder: Path,
        command: SecretsCommand | None,
    ) -> None:
        self.redactor = Redactor(hidden := frozenset(hidden))
        self.faults: dict[str, str] = {}
        self._files = files
        self._hidden = hidden
        self._folder = folder
        self._command = command
        self._fetched: dict[str, Secret] = {}

    @property
    def missing_file_note(self) -> str:
        return self._files.missing_file_note

    def not_looked_up(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that are placeholders."""
        values = self.values(names := tuple(dict.fromkeys(names)))
        found = ((name, values.get(name)) for name in names)
        return tuple(name for name, one in found if one and one.reveal() == PLACEHOLDER)

    def values(self, names: Iterable[str]) -> Mapping[str, Secret]:
        """All that are known, and placeholders for those of `names` that only the command knows."""
        if self._command is None:
            return self._files.values
        placeholders = {
            name: Secret(name, PLACEHOLDER) for name in names if name not in self.faults
        }
        return {**placeholders, **self._fetched, **self._files.values}

    def fetch(self, names: Iterable[str]) -> None:
        """Ask the command for those of `names` that nobody has told yet."""
        if self._command is None:
            return
        known = self._files.values.keys() | self._fetched.keys()
        missing = [name for name in dict.fromkeys(names) if name not in known]
        if not missing:
            return
        answers = self._command.answer(missing, self._folder, self.redactor)
        self.redactor.learn(Redactor(value.reveal() for value in answers.values.values()))
        self._fetched.update(answers.values)
        self.faults = {**self.faults, **answers.faults}

    def are_in(self, data: bytes) -> bool:
        """Whether one of the secrets is in a file as it is."""
        fetched = {value.reveal() for value in self._fetched.values()}
        return any(secret and secret.encode() in data for secret in self._hidden | fetched)
