"""The commands that messages suggest, as they have to be typed: about the manifest that the command
line names, where that is not the one which is found by itself.

Messages name commands in backquotes, without a manifest, wherever they are written. Here each gets
the one of the run, as that command takes it: as a word, or behind `-m`.
"""

from __future__ import annotations

import re
import shlex

import click

from provision.core.wording import Redact
from provision.errors import ProvisionError

_COMMAND = re.compile(r"`provision ([a-z]+)((?: [^`]*)?)`")
_META = f"{__name__}.manifest"


def remember(context: click.Context, manifest: str | None) -> None:
    """This is the manifest that the command line names; None where it names none."""
    context.meta[_META] = manifest


def about_the_manifest(context: click.Context) -> Redact:
    """Has the commands in a text name the manifest of this command line. A text that has been
    through it stays as it is."""
    from provision.project.parts.main_file import DEFAULT_NAME, STDIN

    manifest = context.meta.get(_META)
    if manifest in (None, DEFAULT_NAME, STDIN):
        return str
    word = shlex.quote(manifest)
    root = context.find_root()

    def named(match: re.Match[str]) -> str:
        command, rest = match.groups()
        way = _way(root, command)
        if way is None or word in rest:
            return match[0]
        return f"`provision {command} {way}{word}{rest}`"

    return lambda text: _COMMAND.sub(named, text) if "`provision " in text else text


def complete(error: ProvisionError, context: click.Context) -> None:
    """The same for what an error says."""
    suggest = about_the_manifest(context)
    error.message, error.hint = suggest(error.message), suggest(error.hint)


def _way(root: click.Context, name: str) -> str | None:
    """What stands before the manifest of a command; None for one that takes none, or not first."""
    group = root.command
    command = group.get_command(root, name) if isinstance(group, click.Group) else None
    words = [each for each in command.params if isinstance(each, click.Argument)] if command else []
    if words and words[0].name == "manifest":
        return ""
    options = command.params if command is not None else []
    return "-m " if any(each.name == "manifest" and "-m" in each.opts for each in options) else None
