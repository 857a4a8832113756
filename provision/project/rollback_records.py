"""What the last apply of each board replaced: one file a board, in the user's own directory, and a
second where it wrote the firmware: the image that ran before, as tools flash it.

They hold what was read off the board, secrets in it included, so that nobody else can read them,
and they are the last apply's alone. JSON, with each content under its sha256, so that a person can
get at a file by hand. Boards that ran the same image share one on the disk (hard links).
"""

from __future__ import annotations

import base64
import binascii
import glob
import hashlib
import json
from collections.abc import Callable
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
from provision.model.firmware import Region
from provision.model.kept import ApplyPhase, KeptFlash, KeptState, KnownImage
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
        path = self._path(mac, device)
        try:
            return _read(path.read_bytes(), lambda sha256: _image_of(path, sha256).read_bytes())
        except OSError:
            return None

    def keep(self, mac: str | None, device: str, kept: KeptState) -> None:
        """Keep it, durably, in place of what was kept; UsageError when that cannot be done."""
        path = self._path(mac, device)
        try:
            private_directory(self._directory)
            sweep(path)  # what a run that was killed while it wrote has left
            image = self._keep_image(path, kept.flash.image) if kept.flash is not None else None
            write_atomic(path, _bytes_of(kept), mode=0o600)
            self._remove_images(path, leaving=image)
        except OSError as error:
            raise state_not_written(self._directory, error) from error

    def forget(self, mac: str | None, device: str) -> None:
        """Drop what is kept; UsageError when it stays, since it is the last apply's no more."""
        path = self._path(mac, device)
        try:
            sweep(path)
            with suppress(FileNotFoundError):
                path.unlink()
            self._remove_images(path, leaving=None)
            if self._directory.exists():
                sync_directory(self._directory)
        except OSError as error:
            raise state_not_written(self._directory, error) from error

    def _keep_image(self, path: Path, data: bytes) -> Path:
        """The image that goes with a record, durably there before the record is."""
        place = _image_of(path, hashlib.sha256(data).hexdigest())
        sweep(place)
        if _holds(place, data):
            return place
        for other in self._directory.glob(f"*{place.suffixes[-2]}{_IMAGE}"):
            if other != place and _holds(other, data):
                with suppress(OSError):  # gone meanwhile, or a disk that knows no links
                    place.unlink(missing_ok=True)
                    place.hardlink_to(other)
                    sync_directory(self._directory)
                    return place
        write_atomic(place, data, mode=0o600)
        return place

    def _remove_images(self, path: Path, *, leaving: Path | None) -> None:
        for image in self._directory.glob(f"{glob.escape(path.stem)}.*{_IMAGE}"):
            if image != leaving:
                image.unlink(missing_ok=True)

    def _path(self, mac: str | None, device: str) -> Path:
        return self._directory / f"{record_name(mac, self._manifest, device)}.json"


_IMAGE = ".bin"


def _image_of(path: Path, sha256: str) -> Path:
    return path.with_name(f"{path.stem}.{sha256[:16]}{_IMAGE}")


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


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
        "keys": sorted(kept.keys),
        "mac": kept.mac,
        "firmware": asdict(kept.firmware) if kept.firmware is not None else None,
        "checks": [
            asdict(check) if check is not None else None
            for check in (kept.check_before, kept.check_after)
        ],
        "flash": _flash_record(kept.flash) if kept.flash is not None else None,
        "image": asdict(kept.image) if kept.image is not None else None,
    }
    return json.dumps(data, indent=1).encode()


def _flash_record(flash: KeptFlash) -> dict[str, Any]:
    return {
        "name": flash.name,
        "image": hashlib.sha256(flash.image).hexdigest(),
        "written": asdict(flash.written),
        "data": [
            [
                each.name,
                each.offset,
                hashlib.sha256(each.data).hexdigest(),
                base64.b64encode(each.data).decode(),
            ]
            for each in flash.data
        ],
    }


def _read(data: bytes, image: Callable[[str], bytes]) -> KeptState | None:
    """None of anything that is not whole: a state that is not known in full cannot be gone back
    to. `image` reads the image with a sha256."""
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
            keys=frozenset(map(str, found.get("keys", ()))),
            mac=str(found["mac"]) if found.get("mac") is not None else None,
            firmware=_firmware(firmware) if firmware is not None else None,
            check_before=before,
            check_after=after,
            flash=_flash(found.get("flash"), image),
            image=_known_image(found.get("image")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
    return kept if kept.files.keys() == kept.written.keys() and all(kept.written.values()) else None


def _content(digest: str, text: str) -> bytes:
    content = base64.b64decode(text, validate=True)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(digest)
    return content


def _flash(found: Any, image: Callable[[str], bytes]) -> KeptFlash | None:
    if found is None:
        return None
    data = image(found["image"])
    if hashlib.sha256(data).hexdigest() != found["image"]:
        raise ValueError(found["image"])
    return KeptFlash(
        name=str(found["name"]),
        image=data,
        written=_firmware(found["written"]),
        data=tuple(
            Region(name=str(name), offset=int(offset), data=_content(digest, text))
            for name, offset, digest, text in found["data"]
        ),
    )


def _known_image(found: Any) -> KnownImage | None:
    if found is None:
        return None
    file = found["file"]
    return KnownImage(sha256=str(found["sha256"]), file=str(file) if file is not None else None)


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
        on_failure="keep" if found["on_failure"] == "keep" else "rollback",
        name=str(found["name"]) if found.get("name") is not None else None,
        min=float(found["min"]) if found.get("min") is not None else None,
        max=float(found["max"]) if found.get("max") is not None else None,
        steps=tuple(
            step for each in found.get("steps", ()) for step in (_check(each),) if step is not None
        ),
    )
