"""The names of devices and groups, and paths on boards, for shells that complete them while a
command is typed. No board is touched: what a path can be is what the manifest puts there."""

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


def board_paths(context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """`DEVICE:`, and behind the colon what the manifest puts at the next level of the board."""
    device, colon, path = typed.partition(":")
    if not colon:
        return [f"{name}:" for name in _names(context)[0] if name.startswith(typed)]
    folder = path.rpartition("/")[0] + "/"
    found: dict[str, None] = {}
    for dest in _dests(context, device):
        if dest.startswith(folder):
            name, slash, _ = dest[len(folder) :].partition("/")
            found[f"{folder}{name}{slash}"] = None
    return [f"{device}:{each}" for each in sorted(found) if each.startswith(path)]


def _dests(context: click.Context, device: str) -> list[str]:
    """What the manifest puts on a device, or on all; what packages hold is not known here."""
    from provision.project.manifest_file import load
    from provision.project.user.known_secrets import Lookup
    from provision.project.user.secrets_command import users_command

    try:
        loaded = load(
            context.params.get("manifest"), secrets_command=users_command(), lookup=Lookup.LATER
        )
        states = loaded.states([device] if device else ())
    except (ProvisionError, OSError):
        return []
    return [file.dest for state in states for file in state.files]


def _names(context: click.Context) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from provision.project.manifest_file import load

    try:
        loaded = load(context.params.get("manifest"))
        return loaded.names(), tuple(loaded.manifest.groups)
    except (ProvisionError, OSError):  # the command itself says what is wrong with it
        return (), ()
