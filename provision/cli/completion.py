"""`provision completion`: complete commands, options and device names in a shell."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.shell_completion import BashComplete, ShellComplete

_VARIABLE = "_PROVISION_COMPLETE"
_SHELLS: Mapping[str, type[ShellComplete]] = {"bash": BashComplete}


@click.command(name="completion")
@click.argument("shell", type=click.Choice([*_SHELLS]))
def command(*, shell: str) -> int:
    """Print a script that has SHELL complete `provision`, to be read when the shell starts.

    For bash, put this into ~/.bashrc: eval "$(provision completion bash)"
    """
    root = click.get_current_context().find_root().command
    complete = _SHELLS[shell](root, {}, "provision", _VARIABLE)
    # Not its own `source`, which runs the shell to ask for its version.
    click.echo(ShellComplete.source(complete))
    return 0
