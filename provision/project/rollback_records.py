"""What the last apply of each board replaced: one file a board, in the user's own directory.

It holds what was read off the board, secrets in it included, so that nobody else can read it, and
it is the last apply's alone. JSON, with each content under its sha256, so that a person can get at
a file by hand.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from provision.atomic_files import (
    private_directory,
    state_not_written,
    sweep,
    sync_directory,
    write_atomic,
)
from provision.model.chip import Chip
from provision.model.kept import ApplyPhase, KeptState
from provision.model.state import Check, FirmwareIdentity
from provision.project.check_records import record_name


class RollbackRecords:
    """Implements `interfaces.RollbackRecords` in a directory of the user's own, for the runs
    of one `manifest`, an absolute path."""

    def __init__(self, directory: Path, manifest: Path) -> None:
        self._directory = directory
        self._manifest = manifest

    def last(self, mac: str | None, device: str) -> KeptState | None:
        """What is kept; None where nothing is, or nothing that can be read."""
        try:
            return _read(self._path(mac, device).read_bytes())
        except OSError:
            return None

    def keep(self, mac: str | None, device: str, kept: KeptState) -> None:
        """Keep it, durably, in place of what was kept; UsageError when that cannot be done."""
        path = self._path(mac, device)
        try:
            private_directory(self._directory)
            sweep(path)  # what a run that was killed while it wrote has left
            write_atomic(path, _bytes_of(kept), mode=0o600)
        except OSError as error:
            raise state_not_written(self._directory, error) from error

    def forget(self, mac: str | None, device: str) -> None:
        """Drop what is kept; UsageError when it stays, since it is the last apply's no more."""
        path = self._path(mac, device)
        try:
            sweep(path)
            with suppress(FileNotFoundError):
                path.unlink()
                sync_directory(self._directory)
        except OSError as error:
            raise state_not_written(self._directory, error) from error

    def _path(self, mac: str | None, device: str) -> Path:
        return self._directory / f"{record_name(mac, self._manifest, device)}.json"


def _bytes_of(kept: KeptState) -> bytes:
    files: dict[str, str | None] = {}
    contents: dict[str, str] = {}
    for path, content in sorted(kept.files.items()):
        if content is None:
            files[path] = None
            continue
        files[path] = digest = hashlib.sha256(content).hexdigest()
        contents.setdefault(digest, base64.b64encode(content).decode())
    data: dict[str, Any] = {
        "phase": kept.phase,
        "files": files,
        "contents": contents,
        "written": {path: list(digests) for path, digests in sorted(kept.written.items())},
        "made": sorted(kept.made),
        "removed": sorted(kept.removed),
        "spared": sorted(kept.spared),
        "firmware": asdict(kept.firmware) if kept.firmware is not None else None,
        "checks": [
            asdict(check) if check is not None else None
            for check in (kept.check_before, kept.check_after)
        ],
    }
    return json.dumps(data, indent=1).encode()


def _read(data: bytes) -> KeptState | None:
    """None of anything that is not whole: a state that is not known in full cannot be gone back
    to."""
    try:
        found = json.loads(data)
        if found["phase"] not in get_args(ApplyPhase):
            return None
        contents = {digest: _content(digest, text) for digest, text in found["contents"].items()}
        firmware = found["firmware"]
        before, after = (_check(check) for check in found["checks"])
        kept = KeptState(
            phase=found["phase"],
            files={
                str(path): contents[digest] if digest is not None else None
                for path, digest in found["files"].items()
            },
            written={
                str(path): tuple(str(each) if each is not None else None for each in digests)
                for path, digests in found["written"].items()
            },
            made=frozenset(map(str, found["made"])),
            removed=frozenset(map(str, found["removed"])),
            spared=frozenset(map(str, found["spared"])),
            firmware=_firmware(firmware) if firmware is not None else None,
            check_before=before,
            check_after=after,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
    return kept if kept.files.keys() == kept.written.keys() and all(kept.written.values()) else None


def _content(digest: str, text: str) -> bytes:
    content = base64.b64decode(text, validate=True)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(digest)
    return content


def _firmware(found: Any) -> FirmwareIdentity:
    return FirmwareIdentity(
        version=str(found["version"]),
        machine=str(found["machine"]),
        chip=Chip(**found["chip"]),
        date=str(found["date"]),
    )


def _check(found: Any) -> Check | None:
    if found is None:
        return None
    expression, console = found["expression"], found["console"]
    return Check(
        expression=str(expression) if expression is not None else None,
        console=str(console) if console is not None else None,
        timeout=float(found["timeout"]),
        on_failure="rollback",
    )
