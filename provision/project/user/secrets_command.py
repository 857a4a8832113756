"""Secrets that a command of the user's prints: `pass`, `sops`, `age`, a vault's client.

The command comes from the user's own configuration (`config.py`) and never from a project. Of a
manifest it is given the names of secrets, which are no options, lead out of no folder and mean
nothing to a shell, and, where it asks for that, the manifest's folder. It is run in the folder of
the configuration, since some programs run what they find where they are.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from provision.core.manifest.redact import Redactor
from provision.core.manifest.yaml_parser import parse
from provision.core.manifest.yaml_tree import Text
from provision.core.wording import Redact, did_you_mean, excerpt
from provision.model.language import record
from provision.model.secret import Secret
from provision.project.user.config import FOLDER, NAME, SecretsSettings, read_config

if TYPE_CHECKING:
    from provision.project.user.programs import Ended

MOST_OF_ONE = 64 * 1024  # bytes
MOST_OF_ALL = 1024 * 1024
_NAME = re.compile(r"\w[\w.@+-]*(?:/\w[\w.@+-]*)*", re.ASCII)
_MOST_NAME = 200  # characters


@record(slots=False)
class Answers:
    """What a command printed: `values` of secrets, and why there are none of others."""

    values: Mapping[str, Secret] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)


@record(slots=False)
class _Said:
    """What came of one command line: the secrets in its output, or the fault."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    unusable: frozenset[str] = frozenset()  # names of what is no text
    fault: str | None = None
    ended: Ended | None = None  # where what it said is part of the fault


class SecretsCommand:
    """The command of one user. What it has printed is kept as long as this process runs, so that
    it is run once for each secret; what it did not is asked for again."""

    def __init__(self, settings: SecretsSettings) -> None:
        self.settings = settings
        self._lock = Lock()
        self._known: dict[tuple[str, ...], _Said] = {}

    def answer(self, names: Iterable[str], folder: Path, redactor: Redactor) -> Answers:
        """Look up secrets for the manifest of a folder, those that take a command each side by
        side. No fault shows a secret, be it one of `redactor` or one of these."""
        folder = folder.resolve()
        why_not = self._refusal(folder)
        values: dict[str, Secret] = {}
        faults: dict[str, str] = {}
        lines: dict[str, tuple[str, ...]] = {}
        for name in dict.fromkeys(names):
            fault = why_not or self._fault_of_name(name)
            if fault is None:
                lines[name] = self._line(name, folder)
            else:
                faults[name] = fault
        with self._lock:
            said = self._run(dict.fromkeys(lines.values()))
        for name, line in lines.items():
            found = said[line].secrets.get(self._key(name))
            if found is not None:
                values[name] = Secret(name, found)
        these = Redactor(value.reveal() for value in values.values())
        for name, line in lines.items():
            if name not in values:
                faults[name] = _fault(
                    name, line, said[line], lambda text: these.text(redactor.text(text))
                )
        return Answers(values=values, faults=faults)

    def _refusal(self, folder: Path) -> str | None:
        allowed = self.settings.folders
        if allowed is None or any(folder.is_relative_to(one.resolve()) for one in allowed):
            return None
        return (
            f"is in no secrets file, and {self.settings.source} has its command run for manifests "
            "of other folders only (`secrets.folders`)"
        )

    def _fault_of_name(self, name: str) -> str | None:
        if not self.settings.one_by_one or (
            _NAME.fullmatch(name) and len(name) <= _MOST_NAME and ".." not in name
        ):
            return None
        return (
            "is in no secrets file, and a command is asked only for names of letters, digits and "
            "_ . @ + -, with / between"
        )

    def _key(self, name: str) -> str:
        """Under which a secret is kept of what a command line printed."""
        return "" if self.settings.one_by_one else name

    def _line(self, name: str, folder: Path) -> tuple[str, ...]:
        program, *arguments = self.settings.command
        return (
            program,
            # The folder last: its own name may have braces in it.
            *(each.replace(NAME, name).replace(FOLDER, str(folder), 1) for each in arguments),
        )

    def _run(self, lines: Iterable[tuple[str, ...]]) -> Mapping[tuple[str, ...], _Said]:
        one_by_one = self.settings.one_by_one
        asked = [line for line in lines if line not in self._known]
        from provision.project.user.programs import run_all  # here, since few runs need it

        ended = run_all(
            asked,
            timeout=self.settings.timeout,
            most=MOST_OF_ONE if one_by_one else MOST_OF_ALL,
            folder=self.settings.source.parent,
        )
        said = dict(zip(asked, map(self._read, ended), strict=True))
        self._known |= {line: one for line, one in said.items() if one.fault is None}
        return {**self._known, **said}

    def _read(self, one: Ended) -> _Said:
        if one.why is not None:
            return _Said(fault=one.why, ended=one)
        try:
            text = one.output.decode()
        except UnicodeDecodeError:
            return _Said(fault="printed what is no text in UTF-8")
        if "\0" in text:
            return _Said(fault="printed what is no text: there is a NUL in it")
        if not text.strip("\r\n"):
            return _Said(fault="printed nothing", ended=one)
        if self.settings.one_by_one:
            return _Said(secrets={"": text.removesuffix("\n").removesuffix("\r")})
        return _all_of(text)


def users_command() -> SecretsCommand | None:
    """The command that the user's configuration names; None where it names none. UsageError and
    ConfigError as `config.read_config`."""
    settings = read_config().secrets
    return _command(settings) if settings is not None else None


@cache
def _command(settings: SecretsSettings) -> SecretsCommand:
    """The same one every time, for what it has been told."""
    return SecretsCommand(settings)


def _fault(name: str, line: tuple[str, ...], said: _Said, redact: Redact) -> str:
    """Why there is no such secret. What the command said is no part of it where it had printed
    something: in that may be a secret, in whatever notation, and in what it said a piece of it."""
    shown = f"`{shlex.join(line)}`"
    if said.fault is None:
        if name in said.unusable:
            return f"is no text in what {shown} printed"
        return f"is in nothing that {shown} printed{did_you_mean(name, said.secrets)}"
    fault = f"could not be looked up: {shown} {said.fault}"
    if said.ended is None or not said.ended.complaint.strip():
        return fault
    if said.ended.output.strip():
        return f"{fault}; what it said is not shown, as it had printed what may be secret"
    last = said.ended.complaint.decode("utf-8", "replace")
    # Masked before the last line is looked for: a secret may have several.
    words = excerpt(redact(last).rstrip().rpartition("\n")[2], redact, 300, end=True)
    return f"{fault}: {words}" if words else fault


def _all_of(text: str) -> _Said:
    """The secrets in YAML or JSON. What is no text is nobody's fault unless it is asked for."""
    if text.lstrip().startswith("{"):
        try:
            made = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):  # YAML looks much the same
            pass
        else:
            words = {True: "true", False: "false"}
            found = {key: words[one] if isinstance(one, bool) else one for key, one in made.items()}
            secrets = {
                key: one for key, one in found.items() if isinstance(one, str) and _is_text(one)
            }
            return _Said(secrets=secrets, unusable=frozenset(made.keys() - secrets.keys()))
    parsed = parse(text, "its output")
    if parsed.tree is None or parsed.problems:
        return _Said(fault="printed what are not all `name: 'text'` lines")
    tree = {str(key): value for key, value in parsed.tree.items()}
    secrets = {
        key: str(value)
        for key, value in tree.items()
        if isinstance(value, Text) and value.tag is None and not value.null
    }
    return _Said(secrets=secrets, unusable=frozenset(tree.keys() - secrets.keys()))


def _is_text(value: str) -> bool:
    """JSON can write halves of characters, which are none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
