"""`provision vendor`: everything a manifest downloads, in a directory to take along."""

from __future__ import annotations

from pathlib import Path

import click

from provision.app import Supplies, supply
from provision.cli.options import manifest_argument, offline_option, secrets_option
from provision.core.wording import plural
from provision.errors import UsageError
from provision.project.manifest_file import load
from provision.sources.cache import Cache
from provision.sources.http_response import public_url
from provision.sources.images import VENDOR, image_request
from provision.sources.lock_resolution import Requirements, pending_changes
from provision.sources.packages import package_file_request


@click.command("vendor")
@click.argument(
    "directory", type=click.Path(path_type=Path, file_okay=False), required=False, metavar="[DIR]"
)
@manifest_argument
@secrets_option
@offline_option
def command(
    directory: Path | None, manifest: str | None, secrets: Path | None, offline: bool
) -> int:
    """Copy all firmware and packages that a manifest has locked into DIR.

    DIR is `vendor` beside the manifest when left out; there, every command finds it by itself, so
    that the manifest's folder on a USB stick is all that a workshop without internet needs.
    Files in DIR that nothing needs any more are removed.
    """
    loaded = load(manifest, secrets=secrets)
    supplies = supply(loaded, offline=offline)
    missing = pending_changes(
        Requirements.of(loaded.each_state()), supplies.locked, supplies.firmware_resolver()
    )
    if missing:
        raise UsageError(
            f"{loaded.lock_path} is not up to date: {missing[0].name} and so on"
            if len(missing) > 1
            else f"{loaded.lock_path} is not up to date: {missing[0].name}",
            hint="run `provision lock` first",
        )
    beside = loaded.folder / VENDOR
    target = directory if directory is not None else beside
    copied, size, removed = _copy(supplies, Cache(target))
    click.echo(
        f"{target}: {plural(copied, 'file')}, {size:,} B"
        + (f"; removed {plural(removed, 'file')}" if removed else "")
    )
    if target.resolve() != beside.resolve():
        click.echo(
            f"elsewhere, copy it to {VENDOR} beside the manifest, or set PROVISION_CACHE_DIR to it",
            err=True,
        )
    return 0


def _copy(supplies: Supplies, target: Cache) -> tuple[int, int, int]:
    """Fetch and copy every locked file; returns how many files, bytes, and files removed."""
    images = [entry.file for entry in supplies.locked.firmware.values()]
    requests = [image_request(file) for file in images if file.url]
    for (request, _), package in supplies.locked.packages.items():
        requests += [
            package_file_request(request, path, file) for path, file in package.files.items()
        ]
    size = 0
    kept = set()
    with supplies.http.session():
        for each in requests:
            data = supplies.http.download(each, supplies.cache)
            sha256 = target.add(data, name=each.name, url=public_url(each.url))
            size += len(data) if sha256 not in kept else 0
            kept.add(sha256)
    removed = target.keep_only(kept)
    target.write_sums()
    return len(kept), size, removed
