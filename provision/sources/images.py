"""Firmware images by the manifest's word for them: a file, a URL, or a version.

The engine asks an `ImageStore` for each distinct source before any board is touched. Nothing here
resolves a version: what `provision lock` has not written down is an error with that advice. A
directory `vendor` beside the manifest, as `provision vendor` makes it, goes before the network.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from provision.core.chips.esp.firmware import Firmware, read_firmware
from provision.core.chips.esp.image_checks import image_refusals
from provision.errors import ImageError, SourceError
from provision.lockfile.entries import Lock, LockedFile, LockedFirmware, request_key
from provision.sources.cache import Cache, user_cache
from provision.sources.http_client import Http, Wanted
from provision.sources.http_response import public_url
from provision.sources.release_index import resolve
from provision.sources.releases import LATEST, check_declared

if TYPE_CHECKING:
    from provision.model.board import BoardProfile
    from provision.model.state import FirmwareSource

# The largest flash of any board is 32 MB; an image larger than that is none.
MAX_IMAGE = 32 * 1024 * 1024

VENDOR = "vendor"


def project_cache(root: Path) -> Cache:
    """The user's cache, and before it the directory `vendor` beside a manifest."""
    return Cache(user_cache(), vendored=(root / VENDOR,))


class ImageStore:
    """The images of one manifest; `root` is the directory that its relative paths start from."""

    def __init__(
        self,
        root: Path,
        *,
        offline: bool = False,
        locked: Lock | None = None,
        cache: Cache | None = None,
        http: Http | None = None,
    ) -> None:
        self._root = root
        self._locked = locked or Lock()
        self._cache = cache or project_cache(root)
        self._http = http or Http(offline=offline)
        self._versions: dict[FirmwareSource, str] = {}

    def firmware(self, source: FirmwareSource) -> Firmware:
        """The image of a source, read and checked against what the source declares.

        SourceError when it cannot be had or is another one than declared or locked, ImageError
        when it is no usable image.
        """
        entry = self._locked.firmware.get(request_key(source))
        if source.file is not None:
            name = source.file
            data = read_file(self._root / source.file, source)
            check_sha256(data, source.sha256, name)
            if entry is not None:
                check_locked(data, entry.file, name)
        else:
            file = self._file(source, entry)
            name = file_name(file.url)
            data = self._http.download(wanted_image(file), self._cache)
        firmware = read_firmware(data, name)
        check_declared(source, firmware.identity, name)
        return firmware

    def version(self, source: FirmwareSource) -> str:
        """The MicroPython version of a source, without its image where the lock or the manifest
        tells; as `firmware` does, SourceError when neither does."""
        entry = self._locked.firmware.get(request_key(source))
        if entry is not None and entry.version:
            return entry.version
        if source.version is not None and source.version != LATEST:
            return source.version
        if source not in self._versions:
            self._versions[source] = self.firmware(source).identity.version
        return self._versions[source]

    def _file(self, source: FirmwareSource, entry: LockedFirmware | None) -> LockedFile:
        """What to download: locked, or a URL whose sha256 the manifest itself holds."""
        wanted = source.sha256.lower() if source.sha256 else None
        if entry is None and source.url is not None and wanted is not None:
            return LockedFile(url=source.url, size=0, sha256=wanted)
        if entry is None:
            raise SourceError(
                f"the firmware {source.name!r} ({request_key(source)}) is not locked: "
                "nothing says which bytes it stands for",
                hint="run `provision lock` once, with a network, and commit fleet.lock",
            )
        if wanted is not None and wanted != entry.file.sha256:
            raise SourceError(
                f"the manifest wants the sha256 {wanted} for the firmware {source.name!r}, "
                f"but fleet.lock holds {entry.file.sha256}",
                hint="run `provision lock` to resolve it again",
            )
        return entry.file


class FileImages:
    """What is wrong with the image files that a manifest names, each read once and nothing else:
    neither lock nor cache nor network is asked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[FirmwareSource, Firmware | str] = {}

    def complaint(self, source: FirmwareSource, board: BoardProfile) -> str | None:
        """Why the file of this source must not go onto such a board; None when it may."""
        if source not in self._read:
            try:
                self._read[source] = self._firmware(source)
            except (SourceError, ImageError) as error:
                self._read[source] = error.message
        firmware = self._read[source]
        if isinstance(firmware, str):
            return firmware
        refusals = image_refusals(firmware, board)
        return refusals[0].message if refusals else None

    def _firmware(self, source: FirmwareSource) -> Firmware:
        name = source.file or ""
        data = read_file(self._root / name, source)
        check_sha256(data, source.sha256, name)
        firmware = read_firmware(data, name)
        check_declared(source, firmware.identity, name)
        return firmware


class FirmwareResolver:
    """Finds out which bytes a firmware source stands for now; only `provision lock` asks."""

    def __init__(self, root: Path, http: Http, cache: Cache, *, releases: str) -> None:
        self._root = root
        self._http = http
        self._cache = cache
        self._releases = releases

    def resolve(self, source: FirmwareSource) -> LockedFirmware:
        """The image of a source, read and checked, as fleet.lock is to hold it. What was
        downloaded is in the cache afterwards; what was refused is not."""
        if source.file is not None:
            data = read_file(self._root / source.file, source)
            return self._locked(source, source.file, "", data)
        url, declared = source.url, source
        if url is None:
            with self._http.session():
                release = resolve(source, self._http, self._releases)
            url = release.url
            declared = replace(source, version=str(release.version))
        name = file_name(url)
        found: list[LockedFirmware] = []

        def check(data: bytes) -> None:
            found[:] = [self._locked(declared, name, url, data)]

        sha256 = source.sha256.lower() if source.sha256 else None
        wanted = Wanted(url=url, name=name, limit=MAX_IMAGE, sha256=sha256, check=check)
        data = self._http.download(wanted, self._cache)
        if not found:  # it was in the cache
            check(data)
        return found[0]

    def _locked(self, source: FirmwareSource, name: str, url: str, data: bytes) -> LockedFirmware:
        check_sha256(data, source.sha256, name)
        firmware = read_firmware(data, name)
        check_declared(source, firmware.identity, name)
        file = LockedFile(url=url, size=len(data), sha256=firmware.sha256)
        return LockedFirmware(file=file, version=firmware.identity.version)


def wanted_image(file: LockedFile) -> Wanted:
    """A locked image, as it is asked for."""
    return Wanted(
        url=file.url,
        name=file_name(file.url),
        limit=MAX_IMAGE,
        sha256=file.sha256,
        size=file.size or None,
    )


def file_name(url: str) -> str:
    """What to call the file behind a URL."""
    return unquote(urlsplit(url).path.rpartition("/")[2]) or public_url(url)


def read_file(path: Path, source: FirmwareSource) -> bytes:
    """The bytes of a firmware file that the manifest names; SourceError when it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_IMAGE + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else error
        raise SourceError(
            f"the firmware {source.name!r} cannot be read: {path}: {why}",
            hint="paths are relative to the manifest's directory; check the `file:` entry",
        ) from error
    if len(data) > MAX_IMAGE:
        raise SourceError(f"{path} is larger than any flash, {MAX_IMAGE >> 20} MB")
    return data


def check_sha256(data: bytes, expected: str | None, name: str) -> None:
    """SourceError, with both digests, when the bytes are not those that were promised."""
    found = hashlib.sha256(data).hexdigest()
    if expected is not None and found != expected.lower():
        raise SourceError(
            f"{name} has the sha256 {found}, but {expected.lower()} is declared",
            hint="restore the file that was meant, or correct the sha256 in the manifest",
        )


def check_locked(data: bytes, locked: LockedFile, name: str) -> None:
    """SourceError when a file of the manifest's directory is not the one that was locked."""
    found = hashlib.sha256(data).hexdigest()
    if found != locked.sha256:
        raise SourceError(
            f"{name} has the sha256 {found}, but fleet.lock holds {locked.sha256}",
            hint="restore the file, or run `provision lock` if the new one is meant",
        )
