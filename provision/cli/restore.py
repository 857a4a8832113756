"""`provision restore`: put a backup back onto its board, or onto a new one."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from provision import api
from provision.cli.board_paths import one_device_options
from provision.cli.fleet_command import typed_line
from provision.core.wording import listed, plural
from provision.errors import ProvisionError, UsageError
from provision.model.event import Notice, RunFailed
from provision.model.plan import Plan
from provision.output.fanout import Fanout
from provision.output.setup import open_outputs, tell_failed


@click.command(name="restore")
@click.argument("device")
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
    manifest: str | None,
    secrets: Path | None,
    offline: bool,
    verbose: int,
    as_json: bool,
) -> int:
    """Make the board of DEVICE hold what BACKUP, a folder that `provision backup` made, has.

    Files that the backup does not have are deleted; a blank board gets the firmware as well. What
    will be done is shown, and asked for. The next `provision apply` makes the board match the
    manifest again.
    """
    try:
        fleet = api.load(manifest, limit=[device], secrets=secrets, offline=offline)
        saved = api.read_backup(backup)
        if len(fleet.devices) != 1:
            raise UsageError(
                f"{device} is more than one device", hint="restore one device at a time"
            )
    except ProvisionError as error:
        tell_failed(RunFailed.of(error), stdout=sys.stdout, json_lines=as_json)
        raise
    interactive = sys.stdin.isatty() and sys.stderr.isatty()
    cancel = api.Cancellation()
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
            report = api.restore(
                fleet,
                saved,
                new_board=new_board,
                yes=yes,
                operator=interactive,
                confirm=_confirm(outputs, cancel) if interactive and not as_json else None,
                on_event=outputs.handle,
                cancel=cancel,
            )
        except ProvisionError as error:
            outputs.handle(RunFailed.of(error))
            raise
    return report.exit_code()


def _confirm(outputs: Fanout, cancel: api.Cancellation) -> api.Confirm:
    def ask(device: str, plan: Plan) -> bool:
        kinds = [action.kind for action in plan.actions]
        deleted = kinds.count("delete-file")
        what = f"make {plural(plan.change_count, 'change')} to this board"
        if deleted:
            what += f", of which {plural(deleted, 'file')} deleted"
        if plan.losses:
            what += f", and lose {listed(plan.losses)}"
        with outputs.paused():
            while True:
                click.echo(f"{device}: {what}? [y/N]: ", nl=False, err=True)
                answer = typed_line(cancel).strip().lower()
                if answer in ("y", "yes"):
                    return True
                if answer in ("", "n", "no"):
                    return False

    return ask
