"""The manifest that a command line or the environment names; and where there is none of that name,
what is meant: a device of `fleet.yaml`, or a manifest whose name is spelled otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from provision.cli.suggestions import remember
from provision.core.wording import closest, printable
from provision.errors import ProvisionError, UsageError
from provision.project.manifest_file import load
from provision.project.parts.main_file import DEFAULT_NAME, STDIN
from provision.project.secrets_files import FILE_NAME as SECRETS_FILE

ENVIRONMENT = "PROVISION_MANIFEST"
_SUFFIXES = {".yaml", ".yml"}


def of_the_environment() -> str | None:
    """The manifest for command lines that name none; UsageError where it is not there."""
    word = os.environ.get(ENVIRONMENT)
    if word and not _is_there(word):
        raise UsageError(
            f"there is no {printable(word)}, which the environment variable {ENVIRONMENT} names",
            hint=f"`unset {ENVIRONMENT}`, or set it to the whole path of a manifest",
        )
    return word or None


def the_manifest(
    context: click.Context, _parameter: click.Parameter, words: Sequence[str]
) -> str | None:
    """The one word that was given, or None; UsageError, with the command that was meant, where
    that is no manifest."""
    if not words:
        found = of_the_environment()
        if found is None and not _is_there(DEFAULT_NAME):
            raise _missing(context, DEFAULT_NAME, ())
        return found
    for word in words:
        if word != STDIN and not _is_there(word):
            raise _missing(context, word, words)
        if _is_secrets_file(word):  # what is wrong with a line of it would be shown
            raise UsageError(
                f"{printable(word)} holds secrets and is no manifest",
                hint=f"name the manifest, as in `{context.command_path} path/to/{DEFAULT_NAME}`",
            )
    if len(words) > 1:
        raise UsageError(
            f"one manifest at a time, not {printable(', '.join(words))}",
            hint=f"write `{context.command_path} {words[0]}`",
        )
    remember(context, words[0])
    return words[0]


def the_manifests(
    context: click.Context, parameter: click.Parameter, words: Sequence[str]
) -> tuple[str | None, ...]:
    """All the words that were given, of several without secrets files; one that may be None."""
    if len(words) < 2:
        return (the_manifest(context, parameter, words),)
    for word in words:
        if not _is_there(word):
            raise _missing(context, word, words)
    found = tuple(word for word in words if not _is_secrets_file(word))
    for word in words:
        if word not in found:
            click.echo(f"{printable(word)} holds secrets and is no manifest: left out", err=True)
    return found or (the_manifest(context, parameter, words[:1]),)


def _is_secrets_file(word: str) -> bool:
    return Path(word).name == SECRETS_FILE


def named_by_option(
    context: click.Context, _parameter: click.Parameter, word: str | None
) -> str | None:
    """The manifest of a command whose words are something else."""
    remember(context, word)
    return of_the_environment() if word is None else word


def _is_there(word: str) -> bool:
    """Also what is there and cannot be read: whoever reads it says why."""
    path = Path(word)
    try:
        return (path / DEFAULT_NAME if path.is_dir() else path).exists()
    except (OSError, ValueError):
        return True


def _missing(context: click.Context, word: str, words: Sequence[str]) -> UsageError:
    command = context.command_path
    if any(parameter.name == "limits" for parameter in context.command.params) and words:
        devices = _as_devices(words)
        if devices:
            return UsageError(
                f"there is no manifest {printable(word)}, but a device of {DEFAULT_NAME} is called "
                "that",
                hint=f"write `{command} --limit {devices}`",
            )
    path = Path(word)
    if path.name == DEFAULT_NAME and path.is_dir():
        return UsageError(
            f"{printable(word)} is a folder, and a manifest is a file",
            hint=f"name the manifest, as in `{command} path/to/{DEFAULT_NAME}`, or rename the "
            "folder",
        )
    if path.is_dir():
        path /= DEFAULT_NAME
    near = _similar(path)
    if near is not None:
        return UsageError(
            f"there is no {printable(str(path))}; did you mean '{printable(str(near))}'?",
            hint=f"write `{command} {near}`",
        )
    return UsageError(
        f"there is no {printable(str(path))}",
        hint=f"name the manifest, as in `{command} path/to/{DEFAULT_NAME}`, or change to its "
        "folder" + ("; `provision init` writes a first one" if word == DEFAULT_NAME else ""),
    )


def _as_devices(words: Sequence[str]) -> str | None:
    """The patterns for `--limit` that these words are, if they are; a manifest that is none says
    nothing."""
    if not Path(DEFAULT_NAME).is_file():
        return None
    try:
        load().names(words)
    except ProvisionError:
        return None
    return ",".join(words)


def _similar(path: Path) -> Path | None:
    """A manifest beside the one that is missing: of the same name with the other suffix, of nearly
    the same, or the only one."""
    try:
        names = sorted(
            each.name
            for each in path.parent.iterdir()
            if each.suffix.lower() in _SUFFIXES and each.stem != "secrets" and each.is_file()
        )
    except OSError:
        return None
    near = [name for name in names if Path(name).stem.lower() == path.stem.lower()]
    near = near or closest(path.name, names)
    if not near and path.name == DEFAULT_NAME and len(names) == 1:
        near = names
    return path.parent / near[0] if near else None
