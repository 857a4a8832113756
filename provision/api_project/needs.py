"""Whether a project is valid, and what it needs from elsewhere. Its functions are `api`'s own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from provision.app import load_manifest, supply
from provision.core.wording import did_you_mean
from provision.errors import UsageError
from provision.lockfile.entries import VENDOR
from provision.lockfile.store import update_lock
from provision.model.language import record
from provision.project.user.known_secrets import Lookup
from provision.sources.bytecode import bytecode_check
from provision.sources.cache import Cache
from provision.sources.images import LocalImages

if TYPE_CHECKING:
    from provision.device.flashing.device_image import DeviceImage
    from provision.sources.lock_resolution import Change
    from provision.sources.vendoring import Vendored


@record
class ValidManifest:
    """What `validate` found in a manifest without problems, and the secrets that it left to the
    user's command; secrets in its texts are masked."""

    file: str
    fleet: str
    devices: int
    groups: int
    files: int
    warnings: tuple[str, ...]
    not_looked_up: tuple[str, ...]


@record
class LockResult:
    """What `lock` changed in the lock at `path`, or would; `warnings` of manifest and packages."""

    path: Path
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]


@record
class VendorResult:
    """What `vendor` left in a directory; `found` where commands find it by themselves."""

    directory: Path
    content: Vendored
    found: bool


def validate(
    manifest: str | Path | None = None,
    *,
    limit: Sequence[str] = (),
    secrets: Path | None = None,
    no_secrets: bool = False,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> ValidManifest:
    """Check a manifest as `load` does, and look into image files; ManifestError names every
    problem. Lock, cache and network are left alone, so that packages are not looked into. With
    `no_secrets`, placeholders stand for those that are in no file; `variables` as of `load`."""
    loaded = load_manifest(manifest, secrets, lookup=_lookup(no_secrets), variables=variables)
    images = LocalImages(loaded.folder)
    loaded = loaded.with_image_check(images.problem)
    loaded = loaded.with_bytecode_check(bytecode_check(images.known_version))
    devices = files = 0
    for state in loaded.each_state(limit):
        devices += 1
        files += len(state.files)
    if not limit:
        loaded.sample_unit()
    return ValidManifest(
        file=loaded.redactor.text(loaded.file),
        fleet=loaded.redactor.text(loaded.manifest.fleet),
        devices=devices,
        groups=len(loaded.manifest.groups),
        files=files,
        warnings=tuple(map(loaded.redactor.text, loaded.warnings)),
        not_looked_up=loaded.not_looked_up(limit),
    )


def lock(
    manifest: str | Path | None = None,
    *,
    upgrade: Sequence[str] = (),
    check: bool = False,
    secrets: Path | None = None,
    offline: bool = False,
    no_secrets: bool = False,
) -> LockResult:
    """Resolve a manifest's versions and packages and write them to fleet.lock, with URL, size and
    sha256 of each file; SourceError for what cannot be had.

    What is locked stays, but for the firmware and packages that `upgrade` names (EVERYTHING: all).
    With `check` nothing is written: the result tells what is not up to date. `no_secrets` as of
    `validate`.
    """
    from provision.sources.lock_resolution import (
        Requirements,
        changes_between,
        pending_changes,
        resolve_requirements,
    )

    loaded = load_manifest(manifest, secrets, lookup=_lookup(no_secrets))
    supplies = supply(loaded, offline=offline)
    requirements = Requirements.of(loaded.required_states())
    before, firmware = supplies.locked, supplies.firmware_resolver()
    if check:
        changes = pending_changes(requirements, before, firmware)
        return LockResult(path=loaded.lock_path, changes=tuple(changes), warnings=())
    upgraded = requirements.upgrade(upgrade)
    with supplies.http.session():
        after = resolve_requirements(
            requirements,
            before,
            firmware,
            supplies.package_resolver(),
            upgraded,
        )
    update_lock(
        loaded.lock_path,
        lambda lock: lock.with_sources(firmware=after.firmware, packages=after.packages),
    )
    return LockResult(
        path=loaded.lock_path,
        changes=tuple(changes_between(before, after)),
        warnings=(*loaded.warnings, *requirements.warnings()),
    )


def _lookup(no_secrets: bool) -> Lookup:
    return Lookup.NEVER if no_secrets else Lookup.LATER


def vendor(
    manifest: str | Path | None = None,
    directory: Path | None = None,
    *,
    secrets: Path | None = None,
    offline: bool = False,
) -> VendorResult:
    """Copy all firmware and packages that a manifest has locked into a directory: `vendor` beside
    the manifest, where every run finds it, when none is named. UsageError when the lock is not up
    to date."""
    from provision.sources.lock_resolution import Requirements, pending_changes
    from provision.sources.vendoring import refuse_links, vendor_locked

    loaded = load_manifest(manifest, secrets, lookup=Lookup.LATER)
    supplies = supply(loaded, offline=offline)
    missing = pending_changes(
        Requirements.of(loaded.required_states()), supplies.locked, supplies.firmware_resolver()
    )
    if missing:
        more = " and so on" if len(missing) > 1 else ""
        raise UsageError(
            f"{loaded.lock_path} is not up to date: {missing[0].name}{more}",
            hint="run `provision lock` first",
        )
    beside = loaded.folder / VENDOR
    target = directory or beside
    if directory is None:
        refuse_links(beside)
    return VendorResult(
        directory=target,
        content=vendor_locked(supplies.locked, supplies.http, supplies.cache, Cache(target)),
        found=target.resolve() == beside.resolve(),
    )


def build_image(
    device: str,
    manifest: str | Path | None = None,
    *,
    secrets: Path | None = None,
    offline: bool = False,
) -> DeviceImage:
    """All that `apply` would put on a device's blank board as one image, for other flashing
    tools. It holds the device's secrets."""
    from provision.device.flashing.device_image import build_device_image

    supplies = supply(load_manifest(manifest, secrets), offline=offline)
    known = supplies.loaded.names()
    if device not in known:
        raise UsageError(
            f"there is no device {device!r} in this manifest{did_you_mean(device, known)}",
            hint="`provision show` lists them",
        )
    (state,) = supplies.loaded.states([device])
    if state.firmware is None:
        raise UsageError(
            f"{device} has no firmware to put into an image",
            hint="give the device, its group or the defaults a `firmware:`",
        )
    with supplies.loaded.redactor.errors():
        return build_device_image(state, supplies.images.firmware(state.firmware.source))
