"""The manifest's own file: which one is meant, its bytes, and what belongs to it beside it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from provision.atomic_files import project_root, read_plain_file
from provision.core.manifest.yaml_parser import MAX_CHARACTERS
from provision.errors import UsageError
from provision.lockfile.entries import VENDOR
from provision.model.plan import SAVED_PLAN
from provision.project import source_folder
from provision.project.secrets_files import FILE_NAME as SECRETS_NAME

DEFAULT_NAME = "fleet.yaml"
SUFFIXES = (".yaml", ".yml")
STDIN = "-"
STDIN_FILE = "<stdin>"
MOST = 4 * MAX_CHARACTERS + 1
"""Bytes of a manifest."""


def read_manifest(manifest: str | None) -> tuple[str, Path, bytes]:
    """The manifest's name for messages, the folder its paths are relative to, and its bytes."""
    if manifest == STDIN:
        return STDIN_FILE, Path(), sys.stdin.buffer.read(MOST)
    path = Path(DEFAULT_NAME if manifest is None else manifest)
    try:
        if path.is_dir():
            path = path / DEFAULT_NAME
        data = manifest_bytes(path)
        if data.startswith(f"{SAVED_PLAN} ".encode()):
            raise UsageError(
                f"{path} is a saved plan, and no manifest",
                hint=f"`provision apply {shlex.quote(str(path))}` carries it out",
            )
        return str(path), path.parent, data
    except FileNotFoundError:
        hint = "name the manifest, or change to its folder"
        raise UsageError(f"there is no {path}", hint=hint) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        hint = "check its permissions"
        if not isinstance(error, OSError) or error.errno is None:
            hint = "name the file itself, or `-` to read the manifest from standard input"
        raise UsageError(f"{path} cannot be read: {reason}", hint=hint) from None


def manifest_bytes(path: Path) -> bytes:
    """What is in a manifest's file; OSError as `atomic_files.read_plain_file`."""
    return read_plain_file(path, most=MOST, root=project_root(path.parent))


def lock_of(file: str, folder: Path) -> Path:
    """The lock beside a manifest: fleet.lock for fleet.yaml, school.lock for school.yaml."""
    name = DEFAULT_NAME if file == STDIN_FILE else Path(file).name
    return folder / Path(name).with_suffix(".lock")


def own_files(
    file: str, folder: Path, secrets: Path | None, images: Iterable[str], parts: Iterable[str]
) -> Iterator[tuple[Path, str]]:
    """What belongs to a project, and why it never goes to a board: beside the manifest that was
    read, the others that stand in its folder with a lock."""
    for part in parts:
        included = part.lower().endswith(SUFFIXES)
        yield folder / part, source_folder.MANIFEST if included else source_folder.TABLE
    for image in images:
        yield folder / image, source_folder.IMAGE
    try:
        locks = sorted(folder.glob("*.lock"))
    except OSError:  # nor will its sources be found
        locks = []
    if file != STDIN_FILE:
        yield Path(file), source_folder.MANIFEST
        locks.append(lock_of(file, folder))
    for lock in locks:
        for manifest in (lock.with_suffix(".yaml"), lock.with_suffix(".yml")):
            if lock == lock_of(file, folder) or manifest.is_file():
                yield lock, source_folder.LOCK
                yield manifest, source_folder.MANIFEST
    for path in (folder / SECRETS_NAME, secrets):
        if path is not None:
            yield path, source_folder.SECRETS
    yield folder / VENDOR, source_folder.VENDORED
