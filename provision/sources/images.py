"""Firmware images by what the manifest names: a file, a URL, or a version.

The engine asks an `ImageStore` for each distinct source before any board is touched. It resolves
no version: one without an entry in fleet.lock is an error; only `FirmwareResolver`, for `provision
lock`, looks versions up. A directory `vendor` beside the manifest is used before the network.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from provision.atomic_files import read_plain_file
from provision.core.chips.registry import family_of, read_firmware
from provision.errors import ImageError, SourceError, UsageError
from provision.lockfile.entries import VENDOR, Lock, LockedFile, LockedFirmware, request_key
from provision.model.firmware import Firmware
from provision.model.kept import KnownImage
from provision.model.state import ActualState
from provision.sources.cache import Cache, user_cache
from provision.sources.http_client import DownloadRequest, HttpClient
from provision.sources.http_response import public_url
from provision.sources.releases import LATEST, check_declared

if TYPE_CHECKING:
    from provision.model.board import BoardProfile
    from provision.model.state import FirmwareSource

# Bytes; no board has a larger flash.
MAX_IMAGE = 32 * 1024 * 1024


def project_cache(root: Path) -> Cache:
    """The user's cache; the directory `vendor` beside a manifest is looked into first."""
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
        http: HttpClient | None = None,
    ) -> None:
        self._root = root
        self._locked = locked or Lock()
        self._cache = cache or project_cache(root)
        self._http = http or HttpClient(offline=offline)
        self._versions: dict[FirmwareSource, str] = {}

    def firmware(self, source: FirmwareSource) -> Firmware:
        """The image of a source, read and checked against what the source declares.

        SourceError when it cannot be had or is not the declared or locked one, ImageError when it
        is not a usable image.
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
            data = self._http.download(image_request(file), self._cache)
        firmware = read_firmware(data, name)
        check_declared(source, firmware.identity, name)
        return firmware

    def known(self, image: KnownImage) -> Firmware | None:
        """See `interfaces.Images`: from the cache, or the file that the manifest named then."""
        name, data = image.file or image.sha256, None
        try:
            data = self._cache.get(image.sha256)
            if data is None and image.file is not None:
                data = read_plain_file(self._root / image.file, most=MAX_IMAGE, root=None)
            if data is None or hashlib.sha256(data).hexdigest() != image.sha256:
                return None
            return read_firmware(data, name)
        except (OSError, SourceError, UsageError):
            return None

    def version(self, source: FirmwareSource) -> str:
        """The MicroPython version of a source, from the lock or the manifest, else from its image
        (then with the errors of `firmware`)."""
        entry = self._locked.firmware.get(request_key(source))
        if entry is not None and entry.version:
            return entry.version
        if source.version is not None and source.version != LATEST:
            return source.version
        if source not in self._versions:
            self._versions[source] = self.firmware(source).identity.version
        return self._versions[source]

    def known_version(self, source: FirmwareSource) -> str | None:
        """The same without a network: None for an image that is still to be fetched, or unfit."""
        entry = self._locked.firmware.get(request_key(source))
        if source.file is None and entry is None and source.version in (None, LATEST):
            return None
        try:
            return self.version(source)
        except (SourceError, ImageError):  # told where the image is asked for
            return None

    def _file(self, source: FirmwareSource, entry: LockedFirmware | None) -> LockedFile:
        """What to download: the locked file, or a URL whose sha256 the manifest itself gives."""
        declared = source.sha256.lower() if source.sha256 else None
        if entry is None and source.url is not None and declared is not None:
            return LockedFile(url=source.url, size=0, sha256=declared)
        if entry is None:
            raise SourceError(
                f"the firmware {source.name!r} ({request_key(source)}) has no entry in fleet.lock",
                hint="run `provision lock` once, with a network, and commit fleet.lock",
            )
        if declared is not None and declared != entry.file.sha256:
            raise SourceError(
                f"the manifest declares the sha256 {declared} for the firmware {source.name!r}, "
                f"but fleet.lock has {entry.file.sha256}",
                hint="run `provision lock` to resolve it again",
            )
        return entry.file


class LocalImages:
    """Checks the image files that a manifest names, without lock, cache or network. Each is read
    once and kept once, however many firmware entries name it by however many names."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[FirmwareSource, Firmware | str] = {}
        self._files: dict[str, Firmware] = {}

    def problem(self, source: FirmwareSource, board: BoardProfile) -> str | None:
        """Why the file of this source must not be flashed onto such a board; None when it may."""
        if source not in self._read:
            try:
                self._read[source] = self._firmware(source)
            except (SourceError, ImageError) as error:
                self._read[source] = error.message
        firmware = self._read[source]
        if isinstance(firmware, str):
            return firmware
        refusals = family_of(board.chip).image_refusals(firmware, board, ActualState())
        return refusals[0].message if refusals else None

    def known_version(self, source: FirmwareSource) -> str | None:
        """The version that a source declares, or its file says; None where neither does."""
        if source.version is not None and source.version != LATEST:
            return source.version
        if source.file is None:
            return None
        try:
            return self._firmware(source).identity.version
        except (SourceError, ImageError):  # told by `problem`
            return None

    def _firmware(self, source: FirmwareSource) -> Firmware:
        name = source.file or ""
        place = os.path.realpath(self._root / name)
        known = self._files.get(place)
        data = known.file if known is not None else read_file(self._root / name, source)
        check_sha256(data, source.sha256, name)
        firmware = known if known is not None else read_firmware(data, name)
        self._files[place] = firmware
        check_declared(source, firmware.identity, name)
        return firmware


class FirmwareResolver:
    """Looks up which image a firmware source names now, for `provision lock`."""

    def __init__(self, root: Path, http: HttpClient, cache: Cache, *, releases: str) -> None:
        self._root = root
        self._http = http
        self._cache = cache
        self._releases = releases

    def resolve(self, source: FirmwareSource) -> LockedFirmware:
        """The entry for fleet.lock of a source, its image read and checked.

        What was downloaded is in the cache afterwards; what was refused is not.
        """
        if source.file is not None:
            data = read_file(self._root / source.file, source)
            return self._locked(source, source.file, "", data)
        url, declared = source.url, source
        if url is None:
            # Its parser of HTML is seldom needed.
            from provision.sources.release_index import find_release

            with self._http.session():
                release = find_release(source, self._http, self._releases)
            url = release.url
            declared = replace(source, version=str(release.version))
        name = file_name(url)
        found: list[LockedFirmware] = []

        def check(data: bytes) -> None:
            found[:] = [self._locked(declared, name, url, data)]

        sha256 = source.sha256.lower() if source.sha256 else None
        request = DownloadRequest(url=url, name=name, limit=MAX_IMAGE, sha256=sha256, check=check)
        data = self._http.download(request, self._cache)
        if not found:  # it was in the cache
            check(data)
        return found[0]

    def _locked(self, source: FirmwareSource, name: str, url: str, data: bytes) -> LockedFirmware:
        check_sha256(data, source.sha256, name)
        firmware = read_firmware(data, name)
        check_declared(source, firmware.identity, name)
        file = LockedFile(url=url, size=len(data), sha256=firmware.sha256)
        return LockedFirmware(file=file, version=firmware.identity.version)


def image_request(file: LockedFile) -> DownloadRequest:
    """The request for a locked image."""
    return DownloadRequest(
        url=file.url,
        name=file_name(file.url),
        limit=MAX_IMAGE,
        sha256=file.sha256,
        size=file.size or None,
    )


def file_name(url: str) -> str:
    """The file name in a URL, for messages."""
    return unquote(urlsplit(url).path.rpartition("/")[2]) or public_url(url)


def read_file(path: Path, source: FirmwareSource) -> bytes:
    """The bytes of a firmware file that the manifest names; SourceError when it cannot be read."""
    try:
        # An image may lie outside of the project: it is read, and used only if it is one.
        return read_plain_file(path, most=MAX_IMAGE, root=None)
    except OSError as error:
        raise SourceError(
            f"the firmware {source.name!r} cannot be read: {path}: {error.strerror}",
            hint="paths are relative to the manifest's directory; check the `file:` entry",
        ) from error


def check_sha256(data: bytes, expected: str | None, name: str) -> None:
    """SourceError, with both digests, when the bytes have another sha256 than declared."""
    found = hashlib.sha256(data).hexdigest()
    if expected is not None and found != expected.lower():
        raise SourceError(
            f"{name} has the sha256 {found}, but {expected.lower()} is declared",
            hint="restore the right file, or correct the sha256 in the manifest",
        )


def check_locked(data: bytes, locked: LockedFile, name: str) -> None:
    """SourceError when a file in the manifest's directory has another sha256 than locked."""
    found = hashlib.sha256(data).hexdigest()
    if found != locked.sha256:
        raise SourceError(
            f"{name} has the sha256 {found}, but fleet.lock has {locked.sha256}",
            hint="restore the file, or run `provision lock` to lock the new one",
        )
