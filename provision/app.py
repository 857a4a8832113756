"""Where adapters are built: the only module that joins the engine to ports, disk and network.

It also registers the `sim://` URL handler; nothing else knows that virtual boards exist.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.engine.cancellation import Cancellation
from provision.engine.context import MANUAL_TIMEOUT, Confirm, RunContext
from provision.engine.locate import Probed
from provision.engine.run import run
from provision.engine.task import Task
from provision.errors import UsageError
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
from provision.sources.http_client import HttpClient
from provision.sources.images import FirmwareResolver, ImageStore, project_cache
from provision.sources.library import ProjectLibrary
from provision.sources.mpy_cross import Compiler
from provision.sources.packages import PackageResolver, PackageStore
from provision.sources.release_index import IndexUrls

SIM_HANDLERS = "provision.sim"


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """A manifest as it was read, and its devices with everything resolved: those that `load` was
    asked for, or all."""

    loaded: Loaded
    images: Images
    states: tuple[DesiredState, ...]

    @property
    def name(self) -> str:
        return self.loaded.manifest.fleet

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of the devices, in manifest order."""
        return tuple(state.device for state in self.states)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of the manifest and its secrets."""
        return self.loaded.warnings

    def masked(self, text: str) -> str:
        """A text with every secret in it masked."""
        return self.loaded.redactor.text(text)

    def changed(self) -> bool:
        """Whether the manifest on disk is no longer the one that was read."""
        return self.loaded.changed()

    def select(self, limit: Sequence[str] = ()) -> tuple[DesiredState, ...]:
        """The states that `--limit` selects; UsageError when they are none of those loaded."""
        names = self.loaded.names(limit)
        selected = tuple(state for state in self.states if state.device in set(names))
        if not selected:
            raise UsageError(
                f"{', '.join(names)} was left out when the manifest was loaded",
                hint="load it without a limit, or with one that has this device",
            )
        return selected


def open_fleet(
    manifest: str | Path | None,
    *,
    limit: Sequence[str] = (),
    secrets: Path | None = None,
    offline: bool = False,
) -> Fleet:
    """Read a manifest and resolve the devices that `limit` selects; ManifestError with every
    problem of the manifest and of these."""
    supplies = supply(_load(manifest, secrets), offline=offline)
    states = supplies.loaded.states(limit)
    return Fleet(loaded=supplies.loaded, images=supplies.images, states=states)


def _load(manifest: str | Path | None, secrets: Path | None) -> Loaded:
    return load(str(manifest) if manifest is not None else None, secrets=secrets)


def run_task(
    fleet: Fleet,
    task: Task,
    cancel: Cancellation,
    *,
    limit: Sequence[str],
    emit: Callable[[Event], None],
    operator: bool = False,
    manual_timeout: float = MANUAL_TIMEOUT,
    confirm: Confirm | None = None,
    forks: int = 0,
    fail_fast: bool = False,
    detailed_exit_code: bool = False,
) -> RunReport:
    """Do a task with the devices that `limit` selects, on real ports; see `engine.run.run`."""
    from provision.device.connection import SerialConnector
    from provision.device.flashing.littlefs import HostFilesystems
    from provision.device.transport.discovery import SerialDiscovery

    register_virtual_boards()
    states = fleet.select(limit)
    discovery = SerialDiscovery()
    context = RunContext(
        discovery=discovery,
        connector=SerialConnector(discovery),
        images=fleet.images,
        filesystems=HostFilesystems(),
        identities=LearnedMacs(fleet.loaded.lock_path),
        journal=FlashJournal(state_directory() / "flashing"),
        emit=emit,
        operator=operator,
        manual_timeout=manual_timeout,
        confirm=confirm,
        forks=forks,
        fail_fast=fail_fast,
        detailed_exit_code=detailed_exit_code,
    )
    return run(
        states,
        task,
        context,
        cancel,
        fleet=fleet.name,
        owned=fleet.loaded.ports(leaving_out=[state.device for state in states]),
    )


def probe_board(address: str, board: BoardProfile | None) -> Probed:
    """Ask the board on a port who it is; a port that no manifest names is taken for one with
    automatic reset, as nearly every board has."""
    from provision.boards import profile_of_unknown_port
    from provision.device.connection import SerialConnector
    from provision.device.transport.discovery import SerialDiscovery
    from provision.engine.locate import probe

    register_virtual_boards()
    return probe(SerialConnector(SerialDiscovery()), address, board or profile_of_unknown_port())


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
    http: HttpClient

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
    http = HttpClient(offline=offline, progress=TerminalProgress() if sys.stderr.isatty() else None)
    images = ImageStore(loaded.folder, locked=locked, cache=cache, http=http)
    library = ProjectLibrary(images, PackageStore(http, cache, locked.packages), Compiler(cache))
    return Supplies(
        loaded=loaded.with_library(library), images=images, locked=locked, cache=cache, http=http
    )


def _indexes(loaded: Loaded) -> IndexUrls:
    manifest = loaded.manifest
    return IndexUrls.choose(releases=manifest.firmware_index, packages=manifest.package_index)
