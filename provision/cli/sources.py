"""Builds what supplies a manifest's firmware, packages and bytecode, for every command alike."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from provision.firmware.cache import Cache
from provision.firmware.compile import Compiler
from provision.firmware.download import Http
from provision.firmware.images import FirmwareResolver, ImageStore, project_cache
from provision.firmware.index import Indexes
from provision.firmware.library import ProjectLibrary
from provision.firmware.locked import Locked
from provision.firmware.packages import PackageResolver, PackageStore
from provision.output.scrub import one_line
from provision.workspace.lock import read_lock
from provision.workspace.manifest import Loaded

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Supplies:
    """A manifest with its packages and bytecode supplied, and where its images come from."""

    loaded: Loaded
    images: ImageStore
    locked: Locked
    cache: Cache
    http: Http

    def firmware_resolver(self) -> FirmwareResolver:
        """Looks up what is not locked; for `provision lock` alone."""
        indexes = _indexes(self.loaded)
        return FirmwareResolver(
            self.loaded.folder, self.http, self.cache, releases=indexes.releases
        )

    def package_resolver(self) -> PackageResolver:
        return PackageResolver(self.http, self.cache, index=_indexes(self.loaded).packages)


def supply(loaded: Loaded, *, offline: bool = False) -> Supplies:
    """What a manifest's own fleet.lock, the `vendor` beside it and the user's cache hold; the
    network is asked for what is locked and in neither. LockError when the lock is damaged."""
    locked = Locked.read(read_lock(loaded.lock_path).sections)
    cache = project_cache(loaded.folder)
    http = Http(offline=offline, progress=TerminalProgress() if sys.stderr.isatty() else None)
    images = ImageStore(loaded.folder, locked=locked, cache=cache, http=http)
    library = ProjectLibrary(images, PackageStore(http, cache, locked.packages), Compiler(cache))
    return Supplies(
        loaded=loaded.with_library(library), images=images, locked=locked, cache=cache, http=http
    )


def offline_option(function: F) -> F:
    return click.option(
        "--offline", is_flag=True, help="Use no network: only what is cached or vendored."
    )(function)


class TerminalProgress:
    """One line on stderr that counts a download and is gone at its end."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, url: str, done: int, total: int | None) -> None:
        if done == total:
            text = ""
        else:
            share = f"{100 * done // total} %" if total else f"{done >> 10} kB"
            text = f"downloading {one_line(url.rpartition('/')[2])[:50]}: {share}"
        if text != self._shown:
            self._shown = text
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()


def _indexes(loaded: Loaded) -> Indexes:
    manifest = loaded.manifest
    return Indexes.choose(releases=manifest.firmware_index, packages=manifest.package_index)
