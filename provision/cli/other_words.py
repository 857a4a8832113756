"""What people type who come from other tools, and what this one calls it."""

from __future__ import annotations

import click

_COMMANDS = {
    "deploy": "apply",
    "flash": "apply",
    "install": "apply",
    "playbook": "apply",
    "push": "apply",
    "sync": "apply",
    "update": "apply",
    "upload": "apply",
    "converge": "apply",
    "diff": "plan",
    "preview": "plan",
    "connect": "repl",
    "console": "repl",
    "shell": "repl",
    "miniterm": "repl",
    "terminal": "repl",
    "monitor": "logs",
    "exec": "run",
    "eval": "run",
    "get": "cp",
    "put": "cp",
    "copy": "cp",
    "pull": "backup",
    "download": "vendor",
    "dump": "backup",
    "tree": "ls",
    "devs": "discover",
    "list": "discover",
    "ports": "discover",
    "scan": "discover",
    "setup": "facts",
    "ping": "facts",
    "info": "facts",
    "reboot": "reset",
    "restart": "reset",
    "soft-reset": "reset",
    "test": "check",
    "lint": "validate",
    "undo": "rollback",
    "revert": "rollback",
    "new": "init",
    "compile": "image",
}
_OPTIONS = {
    "--dry-run": "--check",
    "--dryrun": "--check",
    "--simulate": "--check",
    "--device": "--limit",
    "--devices": "--limit",
    "--group": "--limit",
    "--force": "--yes",
    "--assume-yes": "--yes",
    "--parallel": "--forks",
    "--jobs": "--forks",
}


def command_meant(word: str) -> str | None:
    """The command for what another tool calls `word`, if one is known."""
    return _COMMANDS.get(word.lower())


def option_meant(error: click.NoSuchOption) -> click.UsageError:
    """The error, naming the option for it where another tool has it and the command the one."""
    meant = _OPTIONS.get(error.option_name)
    if meant is None or error.ctx is None:
        return error
    options = {each for parameter in error.ctx.command.params for each in parameter.opts}
    if meant not in options:
        return error
    said = f"there is no option '{error.option_name}'; did you mean '{meant}'?"
    return click.UsageError(said, error.ctx)
