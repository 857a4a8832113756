"""`provision backup`: copy everything that is on boards, to be restored."""

from __future__ import annotations

from pathlib import Path

import click

from provision import api
from provision.cli.board_paths import BoardsRequest, file_options
from provision.cli.device_names import devices
from provision.cli.fleet_command import FleetCommand, run_command
from provision.core.wording import printable
from provision.errors import UsageError
from provision.model.event import Notice


@click.command(name="backup")
@click.argument("devices", nargs=-1, metavar="[DEVICE]...", shell_complete=devices)
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
    request: BoardsRequest,
    as_json: bool,
) -> int:
    """Copy every file of each board, verified, with its firmware, MAC and partition table.

    DEVICE is a device or a pattern, as of --limit; without one, all. A board whose REPL does not
    answer is read through its bootloader. A backup may hold secrets: it is readable by you alone,
    and none that was made before is ever written to. `provision restore` puts one back. Changes
    nothing on a board.
    """

    def fleet() -> api.Fleet:
        if devices and request.limits:
            raise UsageError(
                "name devices, or give --limit", hint="`provision backup kitchen` does"
            )
        return request.open(devices or request.limits)

    made: dict[str, str] = {}

    def run(command: FleetCommand) -> api.RunReport:
        report, where = api.backup(
            command.fleet,
            folder,
            flash=flash,
            forks=request.forks,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )
        made.update(where)
        if made:
            command.outputs.handle(
                Notice(
                    message="warning: files of boards may hold passwords and keys; keep backups "
                    "out of version control and shared folders"
                )
            )
        return report

    code = run_command(fleet, run, json=as_json, verbose=request.verbose)
    if not as_json:
        for device, path in made.items():
            click.echo(f"{device}: {printable(path)}")
    return code
