"""The user's configuration file, `provision/config.yaml` in the user's configuration folder.

It alone may name a program to be run, so that it has to be the user's own: a file that others may
write is refused, as ssh does. Nothing of a project can take its place.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from provision.core.manifest.schema_check import check_schema
from provision.core.manifest.yaml_parser import NotText, decode, parse
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text
from provision.errors import ConfigError, Problem, UsageError
from provision.model.language import record
from provision.project.schemas import config_schema
from provision.project.user.config_path import FILE_VARIABLE, config_file

SECRETS_TIMEOUT = 30.0  # seconds
NAME, FOLDER = "{name}", "{folder}"
_MOST = 1024 * 1024  # bytes
_LEADING_FOLDER = re.compile(r"(?:--?[\w-]+=)?\{folder\}(?=/|\\|$)")


@record
class SecretsSettings:
    """How secrets are looked up by a command; `folders` are those whose manifests may, None for
    all. `source` is the file that says so."""

    command: tuple[str, ...]
    timeout: float = SECRETS_TIMEOUT
    folders: tuple[Path, ...] | None = None
    source: Path

    @property
    def one_by_one(self) -> bool:
        """Whether it prints one secret, whose name it is given, and not all of them."""
        return any(NAME in argument for argument in self.command)


@record
class UserConfig:
    """What the file says; None for what it leaves out."""

    file: Path
    color: str | None = None
    forks: int | None = None
    cache: Path | None = None
    secrets: SecretsSettings | None = None


def read_config(environment: Mapping[str, str] = os.environ) -> UserConfig:
    """What the user has set; nothing where there is no file and the environment names none.
    UsageError for one that cannot be read or that others may write, ConfigError with every mistake
    in it."""
    file = config_file(environment)
    data = _own_file(file)
    if data is None:
        if environment.get(FILE_VARIABLE):
            raise UsageError(
                f"there is no {file}, which the environment variable {FILE_VARIABLE} names",
                hint=f"`unset {FILE_VARIABLE}`, or set it to the whole path of your configuration",
            )
        return UserConfig(file=file)
    try:
        parsed = parse(decode(data, str(file)), str(file))
    except NotText as error:
        raise ConfigError([error.problem]) from None
    problems = [one for one in parsed.problems if one.message != f"{file} is empty"]
    if parsed.tree is None:
        if problems:
            raise ConfigError(problems)
        return UserConfig(file=file)
    problems += check_schema(parsed.tree, parsed.document, config_schema()).problems
    if problems:
        raise ConfigError(problems)
    return _Reader(file, parsed.document).config(parsed.tree)


def _own_file(file: Path) -> bytes | None:
    try:
        with open(file, "rb", opener=_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if str(file) == os.devnull:  # as other tools are told to read none
                return b""
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{file} is no regular file", hint="put the file itself there")
            # Where it is a link, the folder that the file lies in counts as well.
            folders = dict.fromkeys((file.parent, file.resolve().parent))
            for path, found in ((file, status), *((one, one.stat()) for one in folders)):
                fault = _fault_of_owner(found)
                if fault is not None:
                    named = shlex.quote(str(path))
                    raise UsageError(
                        f"{path} {fault}, who could have programs run by it",
                        hint=f"make it yours: `chown $USER {named}`, `chmod go-w {named}`",
                    )
            data = stream.read(_MOST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}", hint="check its permissions"
        ) from None
    if len(data) > _MOST:
        raise UsageError(f"{file} is larger than 1 MB", hint="put your configuration there")
    return data


def _without_waiting(path: str, flags: int) -> int:
    """Open for reading, not waiting for somebody to write where it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _fault_of_owner(found: os.stat_result) -> str | None:
    """Why what lies there need not be the user's; None where nobody can tell."""
    if sys.platform == "win32":  # which has other permissions
        return None
    if found.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    return "can be written by others" if others and not sticky else None


class _Reader:
    """Reads a tree that the schema has nothing against."""

    def __init__(self, file: Path, document: Document) -> None:
        self._file = file
        self._document = document
        self._problems: list[Problem] = []

    def config(self, tree: Table) -> UserConfig:
        values = {str(key): value for key, value in tree.items()}
        color, forks, cache = (values.get(key) for key in ("color", "forks", "cache"))
        secrets = values.get("secrets")
        made = UserConfig(
            file=self._file,
            color=str(color) if isinstance(color, Text) else None,
            forks=forks.integer if isinstance(forks, Text) else None,
            cache=self._path(cache, "cache") if isinstance(cache, Text) else None,
            secrets=self._secrets(secrets) if isinstance(secrets, Table) else None,
        )
        if self._problems:
            raise ConfigError(self._problems)
        return made

    def _secrets(self, table: Table) -> SecretsSettings:
        values = {str(key): value for key, value in table.items()}
        timeout, folders = values.get("timeout"), values.get("folders")
        seconds = timeout.number if isinstance(timeout, Text) else None
        return SecretsSettings(
            command=tuple(self._command(values["command"])),
            timeout=SECRETS_TIMEOUT if seconds is None else float(seconds),
            folders=(
                tuple(
                    self._path(node, f"secrets.folders[{place}]")
                    for place, node in enumerate(_texts(folders))
                )
                if folders is not None
                else None
            ),
            source=self._file,
        )

    def _command(self, node: Node) -> list[str]:
        words = []
        for place, text in enumerate(_texts(node)):
            path = f"secrets.command[{place}]"
            word = os.path.expanduser(text) if text.startswith("~") else str(text)  # noqa: PTH111
            if "\0" in word:
                self._wrong(text, path, "a NUL cannot be given to a program")
            if place == 0:
                if NAME in word or FOLDER in word:
                    self._wrong(text, path, "the program itself is no matter of the manifest's")
                elif re.search(r"[/\\]", word) and not Path(word).is_absolute():
                    self._wrong(
                        text,
                        path,
                        "name a program that is in PATH, or one from / on: any other would be "
                        "another one in each folder",
                    )
            elif FOLDER in word and (not _LEADING_FOLDER.match(word) or word.count(FOLDER) > 1):
                self._wrong(
                    text,
                    path,
                    "{folder} stands at the beginning of an argument, a / after it; to a shell "
                    "give it as an argument of its own",
                )
            words.append(word)
        return words

    def _path(self, text: Text, path: str) -> Path:
        found = Path(os.path.expanduser(text))  # noqa: PTH111 - leaves what it cannot tell
        if not found.is_absolute():
            self._wrong(text, path, "name a folder from / or ~ on")
        return found

    def _wrong(self, node: Node, path: str, message: str) -> None:
        self._problems.append(self._document.problem(node, path, message))


def _texts(node: Node) -> list[Text]:
    return [item for item in node if isinstance(item, Text)] if isinstance(node, Items) else []
