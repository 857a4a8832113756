"""Whether a project is valid, and what it needs from elsewhere. Its functions are `api`'s own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provision.app import (
    LockResult,
    ValidManifest,
    VendorResult,
    build_image_of,
    lock_manifest,
    validate_manifest,
    vendor_manifest,
)
from provision.project.user.known_secrets import Lookup

if TYPE_CHECKING:
    from provision.device.flashing.device_image import DeviceImage


def validate(
    manifest: str | Path | None = None,
    *,
    limit: Sequence[str] = (),
    secrets: Path | None = None,
    no_secrets: bool = False,
) -> ValidManifest:
    """Check a manifest as `load` does, and look into image files; ManifestError names every
    problem. Lock, cache and network are left alone, so that packages are not looked into. With
    `no_secrets`, placeholders stand for those that are in no file."""
    return validate_manifest(manifest, limit=limit, secrets=secrets, lookup=_lookup(no_secrets))


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
    return lock_manifest(
        manifest,
        upgrade=upgrade,
        check=check,
        secrets=secrets,
        offline=offline,
        lookup=_lookup(no_secrets),
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
    return vendor_manifest(manifest, directory, secrets=secrets, offline=offline)


def build_image(
    device: str,
    manifest: str | Path | None = None,
    *,
    secrets: Path | None = None,
    offline: bool = False,
) -> DeviceImage:
    """All that `apply` would put on a device's blank board as one image, for other flashing
    tools. It holds the device's secrets."""
    return build_image_of(manifest, device, secrets=secrets, offline=offline)
