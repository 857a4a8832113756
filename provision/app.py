"""Where adapters are built: the only module that joins the engine to ports, disk and network.

It also registers the `sim://` URL handler; nothing else knows that virtual boards exist.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.engine.context import Confirm, Options, World
from provision.engine.fleet import run
from provision.engine.locate import Probed
from provision.interfaces import Images
from provision.lockfile.entries import Lock
from provision.lockfile.store import LearnedMacs, read_lock
from provision.model.board import BoardProfile
from provision.model.event import Event
from provision.model.report import RunReport
from provision.model.state import DesiredState
from provision.output.download_progress import TerminalProgress
from provision.output.run_log import state_directory
from provision.project.flash_journal import FlashJournal
from provision.project.manifest_file import Loaded, load
from provision.sources.cache import Cache
from provision.sources.http_client import Http
from provision.sources.images import FirmwareResolver, ImageStore, project_cache
from provision.sources.library import ProjectLibrary
from provision.sources.mpy_cross import Compiler
from provision.sources.packages import PackageResolver, PackageStore
from provision.sources.release_index import Indexes

SIM_HANDLERS = "provision.sim"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A manifest, resolved, with what is needed to act on it."""

    loaded: Loaded
    images: Images

    def changed(self) -> bool:
        """Whether the manifest on disk is no longer the one that was read."""
        return self.loaded.changed()


def open_project(
    manifest: str | Path | None, *, secrets: Path | None = None, offline: bool = False
) -> Project:
    """Read and resolve a manifest; ManifestError with every problem when it is invalid."""
    loaded = load(str(manifest) if manifest is not None else None, secrets=secrets)
    supplies = supply(loaded, offline=offline)
    return Project(loaded=supplies.loaded, images=supplies.images)


def converge(
    project: Project,
    options: Options,
    *,
    command: str,
    limit: Sequence[str] = (),
    emit: Callable[[Event], None],
    hands: bool,
    confirm: Confirm | None,
    view: Callable[[DesiredState], DesiredState] = lambda state: state,
) -> RunReport:
    """Run `plan` (options.change False) or `apply` over the devices that `limit` selects, each
    state as `view` gives it."""
    from provision.device.connection import SerialConnector
    from provision.device.flashing.littlefs import HostFilesystems
    from provision.device.transport.discovery import SerialDiscovery

    register_virtual_boards()
    discovery = SerialDiscovery()
    world = World(
        discovery=discovery,
        connector=SerialConnector(discovery),
        images=project.images,
        filesystems=HostFilesystems(),
        identities=LearnedMacs(project.loaded.lock_path),
        journal=FlashJournal(state_directory() / "flashing"),
        emit=emit,
        hands=hands,
        confirm=confirm,
    )
    states = [view(state) for state in project.loaded.states(limit)]
    return run(
        states,
        world,
        options,
        command=command,
        fleet=project.loaded.manifest.fleet,
        owned=[state.port for state in project.loaded.states() if state.port] if limit else [],
    )


def probe_board(address: str, board: BoardProfile | None) -> Probed:
    """Ask the board on a port who it is; a port that no manifest names is taken for one with
    automatic reset, as nearly every board has."""
    from provision.boards import profiles
    from provision.device.connection import SerialConnector
    from provision.device.transport.discovery import SerialDiscovery
    from provision.engine.locate import probe

    register_virtual_boards()
    return probe(SerialConnector(SerialDiscovery()), address, board or profiles()["esp32"])


def register_virtual_boards() -> None:
    """Let pyserial open sim:// URLs in this process."""
    import serial

    if SIM_HANDLERS not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(SIM_HANDLERS)


@dataclass(frozen=True, kw_only=True)
class Supplies:
    """A manifest with its packages and bytecode supplied, and where its images come from."""

    loaded: Loaded
    images: ImageStore
    locked: Lock
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
    locked = read_lock(loaded.lock_path)
    cache = project_cache(loaded.folder)
    http = Http(offline=offline, progress=TerminalProgress() if sys.stderr.isatty() else None)
    images = ImageStore(loaded.folder, locked=locked, cache=cache, http=http)
    library = ProjectLibrary(images, PackageStore(http, cache, locked.packages), Compiler(cache))
    return Supplies(
        loaded=loaded.with_library(library), images=images, locked=locked, cache=cache, http=http
    )


def _indexes(loaded: Loaded) -> Indexes:
    manifest = loaded.manifest
    return Indexes.choose(releases=manifest.firmware_index, packages=manifest.package_index)
