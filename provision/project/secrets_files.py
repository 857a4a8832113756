"""The secrets files: `secrets.yaml` beside the manifest and what `--secrets` names.

Each is one flat mapping of names to texts; a value may be `!env NAME`. One that sops has encrypted
is read by the user's command alone (`user/secrets_command.py`). Nothing that is reported
about such a file shows a line of it: a password that is not quoted may be what is wrong.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from provision.atomic_files import project_root, read_plain_file
from provision.core.manifest.yaml_parser import NotText, decode, parse
from provision.core.manifest.yaml_tree import Document, Table, Text
from provision.errors import Problem, UsageError
from provision.model.language import record
from provision.model.secret import Secret
from provision.project.git.index import is_tracked

FILE_NAME = "secrets.yaml"
_MOST = 1024 * 1024  # bytes

_ENCRYPTED = (
    "; sops has encrypted {path}: have `secrets: {{command: [sops, --decrypt, "
    "'{{folder}}/secrets.yaml']}}` in the file that `provision config path` names"
)

# What the parser says without quoting the file; anything else it says is told in general words.
_SAFE_MESSAGES = (
    "duplicate key",
    "a key ",
    "expected `key: value` lines",
    "not UTF-8",
    "not YAML: a tab",
    "nested deeper",
    "a second document",
    "the character U+",
)


@record(slots=False)
class SecretsFiles:
    """The secrets; `unknown_note` completes the message about an unknown one. Of a file that is
    `encrypted` there are none."""

    values: Mapping[str, Secret]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    unknown_note: str
    encrypted: bool


def read_secrets(folder: Path, extra: Path | None, environment: Mapping[str, str]) -> SecretsFiles:
    """`secrets.yaml` of a folder and, over it, the file given with --secrets.

    UsageError when a file cannot be read. What is wrong inside one is a located problem; one
    that git tracks, or that others on this computer may read, is a warning.
    """
    beside = folder / FILE_NAME
    paths = [path for path in (beside, extra) if path is not None]
    if not os.path.lexists(beside):
        paths.remove(beside)
    values: dict[str, Secret] = {}
    problems: list[Problem] = []
    warnings: list[str] = []
    encrypted = None
    for path in paths:
        found, mistakes = _read(path, environment, named=path is extra)
        if found is None:  # to be shared as it is
            encrypted = path
            continue
        values.update(found)
        problems += mistakes
        warnings += exposures(path)
    note = "" if paths else f"; there is no {FILE_NAME} beside the manifest"
    if encrypted is not None:
        note = _ENCRYPTED.format(path=encrypted)
    return SecretsFiles(
        values=values,
        problems=tuple(problems),
        warnings=tuple(warnings),
        unknown_note=note,
        encrypted=encrypted is not None,
    )


def exposures(path: Path) -> Iterator[str]:
    """Warnings about who may read a secrets file. Nothing is said where nobody can tell."""
    named = shlex.quote(str(path))
    if os.name == "posix" and path.stat().st_mode & stat.S_IROTH:
        yield f"{path} can be read by every user of this computer: `chmod 600 {named}`"
    if is_tracked(path):
        yield (
            f"{path} is tracked by git: `git rm --cached {named}`, add it to .gitignore, "
            "and change the secrets that were in it"
        )


def _read(
    path: Path, environment: Mapping[str, str], *, named: bool
) -> tuple[dict[str, Secret] | None, list[Problem]]:
    """The texts in a file, None where it is encrypted, and its mistakes. The one `named` by the
    user may lie anywhere, and be the pipe of a password manager."""
    try:
        if named:
            with path.open("rb") as stream:
                data = stream.read(_MOST + 1)
            if len(data) > _MOST:
                raise UsageError(f"{path} is larger than 1 MB", hint="secrets are short texts")
        else:
            data = read_plain_file(path, most=_MOST, root=project_root(path.parent))
        parsed = parse(decode(data, str(path)), str(path))
    except OSError as error:
        hint = "check the file's permissions"
        if error.errno is None:
            hint = "put the file itself there, or name it with --secrets"
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    except NotText as error:
        return {}, [error.problem]
    if parsed.tree is not None and _is_encrypted(parsed.tree):
        return None, []
    problems = [_discreet(problem) for problem in parsed.problems if not _empty(problem, path)]
    values: dict[str, Secret] = {}
    document = Document(str(path), "")
    for name, value in (parsed.tree or {}).items():
        message = None
        if not isinstance(value, Text):
            message = "a secret is one text; write `name: 'text'`"
        elif value.null:
            message = "the value is missing; write '' for an empty secret"
        elif value.tag == "!secret":
            message = "the value of a secret cannot be another secret"
        elif value.tag == "!env":
            variable = value.strip()
            if variable in environment:
                values[str(name)] = Secret(str(name), environment[variable])
            elif variable:
                message = f"the environment variable that {name} asks for is not set"
        else:
            values[str(name)] = Secret(str(name), str(value))
        if message is not None:
            problems.append(replace(document.problem(value, str(name), message), source=None))
    return values, problems


def _is_encrypted(tree: Table) -> bool:
    """Whether there is what sops writes beside the values that it has encrypted."""
    found = {str(key): value for key, value in tree.items()}.get("sops")
    return isinstance(found, Table) and "mac" in found


def _empty(problem: Problem, path: Path) -> bool:
    """Whether nothing is wrong but that nothing is there."""
    return problem.message == f"{path} is empty"


def _discreet(problem: Problem) -> Problem:
    message = problem.message
    if not message.startswith(_SAFE_MESSAGES):
        message = "cannot be read from here on; write each secret as `name: 'text'`, in quotes"
    return replace(problem, message=message, source=None)
