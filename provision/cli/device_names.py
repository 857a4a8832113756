"""The names of devices and groups, for shells that complete them while a command is typed."""

from __future__ import annotations

import click

from provision.errors import ProvisionError


def devices(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Devices of the manifest that the line names so far; nothing where it is none."""
    return [name for name in _names(context)[0] if name.startswith(typed)]


def patterns(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """The same for `--limit`: groups too, and after a comma the next."""
    before, comma, last = typed.rpartition(",")
    mark = "!" if last.startswith("!") else ""
    names, groups = _names(context)
    choices = (f"{mark}{name}" for name in (*names, *(f"@{group}" for group in groups)))
    return [f"{before}{comma}{choice}" for choice in choices if choice.startswith(last)]


def _names(context: click.Context) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from provision.project.manifest_file import load

    try:
        loaded = load(context.params.get("manifest"))
        return loaded.names(), tuple(loaded.manifest.groups)
    except (ProvisionError, OSError):  # the command itself says what is wrong with it
        return (), ()
