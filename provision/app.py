"""Where adapters are built: the only module that joins the engine to ports, disk and network.

It also registers the `sim://` URL handler; nothing else knows that virtual boards exist.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from provision.app_drives import (
    board_drives,
    register_virtual_boards,
    serial_discovery,
    url_fault,
)
from provision.core.hosts import refuse_elsewhere
from provision.core.wording import Redact
from provision.engine.cancellation import Cancellation
from provision.engine.context import MANUAL_TIMEOUT, Confirm, RunContext
from provision.engine.event_stream import one_by_one
from provision.engine.run import run
from provision.engine.task import Task
from provision.lockfile.entries import Lock
from provision.lockfile.store import LearnedMacs, read_lock
from provision.model.event import Event, Printed
from provision.model.language import record
from provision.model.plan import Batches
from provision.model.report import RunReport
from provision.output.download_progress import TerminalProgress
from provision.output.run_log import state_directory, user_key
from provision.output.saved.history import RunHistory
from provision.output.scrub import scrub, scrub_printed, scrub_report
from provision.project.apply_records import ApplyRecords
from provision.project.check_records import CheckRecords
from provision.project.device_status import FleetStatus, recall
from provision.project.flash_journal import FlashJournal
from provision.project.fleet import Fleet, state_digest
from provision.project.git.commit import commit_of
from provision.project.manifest_file import Loaded, load
from provision.project.rollback_records import RollbackRecords
from provision.project.schema_passes import SchemaPasses
from provision.project.user.known_secrets import Lookup
from provision.project.user.secrets_command import users_command
from provision.sources.bytecode import bytecode_check
from provision.sources.cache import Cache
from provision.sources.certificates import FileAuthority
from provision.sources.http_client import HttpClient
from provision.sources.images import FirmwareResolver, ImageStore, project_cache
from provision.sources.library import ProjectLibrary
from provision.sources.mpy_cross import Compiler
from provision.sources.packages import PackageResolver, PackageStore

if TYPE_CHECKING:
    from provision.sources.release_index import IndexUrls


def open_fleet(
    manifest: str | Path | None = None,
    *,
    limit: Sequence[str] = (),
    secrets: Path | None = None,
    offline: bool = False,
    here: bool = False,
    host: str | None = None,
    lookup: Lookup = Lookup.NOW,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Fleet:
    """Read and check a manifest with all its devices, templates and packages included;
    ManifestError names every problem. It is a file, a folder that holds a `fleet.yaml`, "-" for
    standard input, or `fleet.yaml` in the working directory. With `limit`, selecting devices as
    `--limit` does, those left out are neither resolved nor checked; with `here`, those of other
    computers. `host` is what this one is called there. `offline` uses no network. `variables` go
    before those of the manifest; `lookup` says whether secrets are asked for."""
    host = host or this_host()
    loaded = load_manifest(manifest, secrets, lookup=lookup, variables=variables)
    with loaded.redactor.errors():
        supplies = supply(loaded, offline=offline)
        states = supplies.loaded.states(limit, host if here else None)
    return Fleet(loaded=supplies.loaded, images=supplies.images, states=states, host=host)


def this_host() -> str:
    """What this computer is called, without asking anybody else."""
    return socket.gethostname()


def load_manifest(
    manifest: str | Path | None,
    secrets: Path | None = None,
    *,
    lookup: Lookup = Lookup.NOW,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Loaded:
    """A manifest, whose URLs of ports are judged by who opens them; see `manifest_file.load`."""
    return load(
        str(manifest) if manifest is not None else None,
        secrets=secrets,
        check_url=url_fault,
        passes=SchemaPasses(state_directory() / "valid-manifests"),
        failed=lambda path: lambda: _failed_devices(path),
        secrets_command=users_command(),
        lookup=lookup,
        variables=variables,
    )


def _failed_devices(manifest: Path) -> tuple[str, ...]:
    last = run_history().last(manifest)
    return last.failed if last is not None else ()


def run_history() -> RunHistory:
    """The runs that this user's records tell of."""
    return RunHistory(state_directory() / "runs")


def run_task(
    fleet: Fleet,
    task: Task,
    cancel: Cancellation | None,
    *,
    limit: Sequence[str],
    on_event: Callable[[Event], None] | None,
    on_printed: Callable[[Printed], None] | None = None,
    operator: bool = False,
    manual_timeout: float = MANUAL_TIMEOUT,
    confirm: Confirm | None = None,
    match_by_mac: bool = False,
    forks: int = 0,
    fail_fast: bool = False,
    detailed_exit_code: bool = False,
    batches: Batches | None = None,
    resumes: str | None = None,
) -> RunReport:
    """Do a task with the devices that `limit` selects, on real ports; see `engine.run.run`. What
    leaves it, events, questions, reports and errors, is masked."""
    emit = on_event or _ignore
    cancel = cancel or Cancellation()
    from provision.device.connection import SerialConnector
    from provision.device.flashing.filesystem_store import LittleFsStore
    from provision.device.flashing.nvs_image import nvs_partition
    from provision.device.transport.line_rates import LineRates

    register_virtual_boards()
    states = fleet.select(limit)
    if not fleet.unit:
        refuse_elsewhere(states, fleet.host)
    redact = fleet.masked
    discovery = serial_discovery(virtual=fleet.on_twins)
    applies = _apply_records(fleet)

    def tell(event: Event) -> None:
        masked = scrub(event, redact)
        if not fleet.unit:  # what becomes of those is the ledger's
            applies.handle(masked)
        emit(masked)

    context = RunContext(
        discovery=discovery,
        connector=SerialConnector(
            discovery,
            redact=redact,
            rates=LineRates(state_directory() / "rates").of,
            drives=board_drives(virtual=fleet.on_twins),
        ),
        images=fleet.images,
        filesystems=LittleFsStore(),
        nvs_partition=nvs_partition,
        certificates=FileAuthority(),
        identities=LearnedMacs(fleet.lock_path, learns=not fleet.unit),
        journal=FlashJournal(state_directory() / "flashing", fleet.loaded.path),
        checks=CheckRecords(state_directory() / "checks", fleet.loaded.path),
        rollbacks=RollbackRecords(state_directory() / "rollback", fleet.loaded.path),
        emit=tell,
        emit_printed=lambda said: (on_printed or one_by_one(emit))(scrub_printed(said, redact)),
        declared_macs=fleet.loaded.declared_macs(),
        match_by_mac=match_by_mac,
        operator=operator,
        manual_timeout=manual_timeout,
        confirm=_masking(confirm, redact) if confirm is not None else None,
        forks=forks,
        fail_fast=fail_fast,
        detailed_exit_code=detailed_exit_code,
        state_digest=state_digest(user_key()) if task.name == "apply" else None,
    )
    names = [state.device for state in states]
    with fleet.redactor.errors():
        report = run(
            states,
            task,
            context,
            cancel,
            fleet=fleet.name,
            owned=fleet.loaded.ports(leaving_out=names, host=fleet.host),
            manifest=str(fleet.loaded.path),
            commit=commit_of(fleet.loaded.folder),
            host=fleet.host,
            batches=batches,
            resumes=resumes,
        )
    return scrub_report(report, fleet.redactor)


def _ignore(_event: Event) -> None: ...


def _apply_records(fleet: Fleet) -> ApplyRecords:
    return ApplyRecords(state_directory() / "applies", fleet.loaded.path)


def status_of(fleet: Fleet, limit: Sequence[str]) -> FleetStatus:
    """What is remembered of devices, and whether their ports are plugged in; no port is opened."""
    found = recall(
        fleet.select(limit),
        applies=_apply_records(fleet),
        checks=CheckRecords(state_directory() / "checks", fleet.loaded.path),
        resolve=serial_discovery().resolve,
        commit=commit_of(fleet.loaded.folder),
    )
    return scrub(found, fleet.masked)


def _masking(confirm: Confirm, redact: Redact) -> Confirm:
    return lambda device, plan: confirm(device, scrub(plan, redact))


@record(slots=False)
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
    loaded = loaded.with_library(library).with_bytecode_check(bytecode_check(images.known_version))
    return Supplies(loaded=loaded, images=images, locked=locked, cache=cache, http=http)


def _indexes(loaded: Loaded) -> IndexUrls:
    from provision.sources.release_index import IndexUrls

    manifest = loaded.manifest
    return IndexUrls.choose(releases=manifest.firmware_index, packages=manifest.package_index)
