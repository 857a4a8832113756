"""Man pages, one for each command, from what `--help` is made of.

click-man was tried: it asks a group for its `commands`, of which ours has none before they are
imported, and lets a line of a help text begin with a dot, which groff takes for an order.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from provision.cli import GROUPS, commands, main

MADE = '.\\" Made by `python tools/docs_site/reference.py`; what is edited here is lost.\n'


def man_pages() -> dict[str, str]:
    """Each page by its file's name: `provision-sim-up.1`."""
    root = click.Context(main, info_name="provision", **main.context_settings)
    return {
        f"{context.command_path.replace(' ', '-')}.1": MADE + "\n".join(_page(context)) + "\n"
        for context in _contexts(root)
    }


def _contexts(context: click.Context) -> Iterator[click.Context]:
    yield context
    for name, command in _inner(context):
        yield from _contexts(click.Context(command, info_name=name, parent=context))


def _inner(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None, name
            if not command.hidden:
                yield name, command


def _page(context: click.Context) -> Iterator[str]:
    command, name = context.command, context.command_path.replace(" ", "-")
    yield f'.TH "{_text(name.upper())}" 1 "" "provision" "provision"'
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(_title(context))}"
    yield ".SH SYNOPSIS"
    yield f"\\fB{_text(context.command_path)}\\fR"
    yield _text(" ".join(command.collect_usage_pieces(context)))
    yield ".SH DESCRIPTION"
    yield from _paragraphs(command.help or "")
    yield ".SH OPTIONS"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            yield from _entry(*record)
    inner = dict(_inner(context))
    if context.parent is None:
        for title, names in GROUPS.items():
            yield f".SH {_text(title.upper())}"
            for each in names.split():
                yield from _entry(f"provision {each}", commands()[each])
    elif inner:
        yield ".SH COMMANDS"
        for each, one in inner.items():
            yield from _entry(f"{context.command_path} {each}", one.get_short_help_str(200))
    others = [context.parent] if context.parent is not None else []
    yield ".SH SEE ALSO"
    yield ", ".join(
        [
            *(f"\\fB{_text(one.command_path.replace(' ', '-'))}\\fR(1)" for one in others),
            *(f"\\fB{_text(f'{name}-{each}')}\\fR(1)" for each in inner),
            *(
                []
                if name == "provision-explain" or "explain" in inner
                else ["\\fBprovision\\-explain\\fR(1)"]
            ),
        ]
    )


def _title(context: click.Context) -> str:
    """The line that a list of commands shows, without its full stop."""
    own = context.command.get_short_help_str(200)
    listed = context.parent is not None and context.parent.parent is None
    title = commands()[context.info_name or ""] if listed else own
    return title[0].lower() + title[1:].rstrip(".")


def _entry(term: str, meaning: str) -> Iterator[str]:
    yield ".TP"
    yield f"\\fB{_text(term)}\\fR"
    yield _text(meaning)


def _paragraphs(text: str) -> Iterator[str]:
    """What click is told not to wrap (by a \\b) stays as it is."""
    for place, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(text))):
        if place:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield ".nf"
            yield "\n".join(map(_text, paragraph.removeprefix("\b\n").splitlines()))
            yield ".fi"
        else:
            yield _text(" ".join(paragraph.split()))


def _text(text: str) -> str:
    """As groff shows it: no escape, no hyphen where a minus is meant, no order."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    plain = plain.replace("|", "|\\:")  # where a long line may be broken
    plain = re.sub(r"[^\x00-\x7f]", lambda match: f"\\[u{ord(match[0]):04X}]", plain)
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain
