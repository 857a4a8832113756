"""`provision repl`: a board's prompt on this terminal."""

from __future__ import annotations

from contextlib import closing

import click

from provision import api
from provision.cli.board_paths import BoardsRequest, one_device_options
from provision.cli.device_names import devices
from provision.cli.fleet_command import FleetCommand, run_command
from provision.errors import UsageError


@click.command(name="repl")
@click.argument("device", shell_complete=devices)
@one_device_options
def command(*, device: str, request: BoardsRequest) -> int:
    """Give the prompt of DEVICE's board, until Ctrl-].

    Its app is interrupted, and started again afterwards where the board is at its prompt then. What
    you have started goes on.
    """
    from provision.output.terminal import Terminal

    def fleet() -> api.Fleet:
        opened = request.open([device])
        if len(opened.devices) != 1:
            raise UsageError(
                f"{device} is more than one device", hint="name one: a terminal has one prompt"
            )
        return opened

    with closing(Terminal()) as terminal:

        def run(command: FleetCommand) -> api.RunReport:
            return api.repl(
                command.fleet, terminal, on_event=command.outputs.handle, cancel=command.cancel
            )

        return run_command(fleet, run, json=False, verbose=request.verbose, console=True)
