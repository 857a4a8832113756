"""`provision backup`: copy everything that is on boards, to be restored."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from provision import api
from provision.cli.board_paths import file_options
from provision.core.wording import printable
from provision.errors import ProvisionError, UsageError
from provision.model.event import Notice, RunFailed
from provision.output.setup import open_outputs, tell_failed


@click.command(name="backup")
@click.argument("devices", nargs=-1, metavar="[DEVICE]...")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("backups"),
    show_default=True,
    metavar="DIR",
    help="The folder that gets a folder for each device, and for each of its backups one in that.",
)
@click.option("--flash", is_flag=True, help="Also the whole flash, through the bootloader.")
@file_options
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def command(
    *,
    devices: tuple[str, ...],
    folder: Path,
    flash: bool,
    manifest: str | None,
    limits: tuple[str, ...],
    secrets: Path | None,
    offline: bool,
    forks: int,
    verbose: int,
    as_json: bool,
) -> int:
    """Copy every file of each board, verified, with its firmware, MAC and partition table.

    DEVICE is a device or a pattern, as of --limit; without one, all. A board whose REPL does not
    answer is read through its bootloader. A backup may hold secrets: it is readable by you alone,
    and none that was made before is ever written to. `provision restore` puts one back. Changes
    nothing on a board.
    """
    try:
        if devices and limits:
            raise UsageError(
                "name devices, or give --limit", hint="`provision backup kitchen` does"
            )
        fleet = api.load(manifest, limit=devices or limits, secrets=secrets, offline=offline)
    except ProvisionError as error:
        tell_failed(RunFailed.of(error), stdout=sys.stdout, json_lines=as_json)
        raise
    with open_outputs(
        stdout=sys.stdout,
        stderr=sys.stderr,
        json_lines=as_json,
        verbosity=verbose,
        redact=fleet.masked,
    ) as outputs:
        for warning in fleet.warnings:
            outputs.handle(Notice(message=f"warning: {warning}"))
        try:
            report, made = api.backup(
                fleet, folder, flash=flash, forks=forks, on_event=outputs.handle
            )
        except ProvisionError as error:
            outputs.handle(RunFailed.of(error))
            raise
        if made:
            outputs.handle(
                Notice(
                    message="warning: files of boards may hold passwords and keys; keep backups "
                    "out of version control and shared folders"
                )
            )
    if not as_json:
        for device, path in made.items():
            click.echo(f"{device}: {printable(path)}")
    return report.exit_code()
