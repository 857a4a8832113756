"""Everything that a lock names, copied into a directory that works without a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from provision.errors import SourceError
from provision.lockfile.entries import Lock
from provision.model.language import record
from provision.sources.cache import Cache
from provision.sources.http_client import DownloadRequest, HttpClient
from provision.sources.http_response import public_url
from provision.sources.images import image_request
from provision.sources.packages import package_file_request


@record
class Vendored:
    """How many files are in the directory, of how many bytes, and how many were removed."""

    files: int
    size: int
    removed: int


def vendor_locked(lock: Lock, http: HttpClient, cache: Cache, target: Cache) -> Vendored:
    """Fetch every locked file, from the cache where it is there, into `target`, and remove what
    nothing needs any more; SourceError for what cannot be had."""
    size, kept = 0, set()
    with http.session():
        for request in _requests(lock):
            data = http.download(request, cache)
            sha256 = target.add(data, name=request.name, url=public_url(request.url))
            size += len(data) if sha256 not in kept else 0
            kept.add(sha256)
    removed = target.keep_only(kept)
    target.write_sums()
    return Vendored(files=len(kept), size=size, removed=removed)


def refuse_links(directory: Path) -> None:
    """SourceError where a project's `vendor` is a link, or holds one: what is written to such a
    path would land elsewhere."""
    try:
        link = directory if directory.is_symlink() else next(_links(directory), None)
    except OSError as error:
        raise SourceError(
            f"{directory} cannot be read: {error.strerror}", hint="check its permissions"
        ) from error
    if link is not None:
        raise SourceError(
            f"{link} is a link, and files would be written to where it leads",
            hint="remove it, or name another directory: `provision vendor DIR`",
        )


def _links(directory: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(directory):
        for name in (*folders, *names):
            if Path(where, name).is_symlink():
                yield Path(where, name)


def _requests(lock: Lock) -> Iterator[DownloadRequest]:
    for entry in lock.firmware.values():
        if entry.file.url:
            yield image_request(entry.file)
    for (text, _), package in lock.packages.items():
        for path, file in package.files.items():
            yield package_file_request(text, path, file)
