"""`provision restore`: put a backup back onto its board, or onto a new one."""

from __future__ import annotations

from pathlib import Path

import click

from provision import api
from provision.cli.board_paths import BoardsRequest, one_device_options
from provision.cli.device_names import devices
from provision.cli.fleet_command import FleetCommand, run_command
from provision.core.wording import listed, plural
from provision.errors import UsageError
from provision.model.plan import Plan


@click.command(name="restore")
@click.argument("device", shell_complete=devices)
@click.argument("backup", type=click.Path(path_type=Path))
@click.option("--new-board", is_flag=True, help="Onto another board than it was made of.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@one_device_options
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def command(
    *,
    device: str,
    backup: Path,
    new_board: bool,
    yes: bool,
    request: BoardsRequest,
    as_json: bool,
) -> int:
    """Make the board of DEVICE hold what BACKUP, a folder that `provision backup` made, has.

    Files that the backup does not have are deleted; a blank board gets the firmware as well. What
    will be done is shown, and asked for. The next `provision apply` makes the board match the
    manifest again.
    """
    saved: list[api.SavedBackup] = []

    def fleet() -> api.Fleet:
        opened = request.open([device])
        saved.append(api.read_backup(backup))
        if len(opened.devices) != 1:
            raise UsageError(
                f"{device} is more than one device", hint="restore one device at a time"
            )
        return opened

    def run(command: FleetCommand) -> api.RunReport:
        return api.restore(
            command.fleet,
            *saved,
            new_board=new_board,
            yes=yes,
            operator=command.operator,
            confirm=command.confirm,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_command(fleet, run, json=as_json, verbose=request.verbose, question=_of_restoring)


def _of_restoring(plan: Plan, _boards: int) -> str:
    deleted = [action.kind for action in plan.actions].count("delete-file")
    what = f"make {plural(plan.change_count, 'change')} to this board"
    if deleted:
        what += f", of which {plural(deleted, 'file')} deleted"
    return f"{what}, and lose {listed(plan.losses)}" if plan.losses else what
