"""`provision vendor`: copy everything a manifest downloads, for use offline."""

from __future__ import annotations

from pathlib import Path

import click

from provision import api
from provision.cli.options import manifest_argument, offline_option, secrets_option
from provision.core.wording import plural


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

    Without DIR it is `vendor` beside the manifest, where every command finds it: the manifest's
    folder on a USB stick is then all that a workshop without internet needs. Files in DIR that
    nothing needs any more are removed.
    """
    result = api.vendor(manifest, directory, secrets=secrets, offline=offline)
    click.echo(
        f"{result.directory}: {plural(result.content.files, 'file')}, {result.content.size:,} B"
        + (f"; removed {plural(result.content.removed, 'file')}" if result.content.removed else "")
    )
    if not result.found:
        click.echo(
            "to use it, copy it to vendor beside the manifest, or set PROVISION_CACHE_DIR to it",
            err=True,
        )
    return 0
