"""The page about commands, from what `--help` is made of."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click
from markdown_text import prose, table

from provision.cli import GROUPS, main


def commands_page() -> str:
    """docs/reference/commands.md."""
    root = click.Context(main, info_name="provision", **main.context_settings)
    parts = [
        "# Every command and its options",
        "This page is made from what `--help` says. [Commands](../commands.md) tells which command "
        "is for what, and of exit codes; [Errors](errors.md) has every error.",
        "Options of `provision` itself stand before the command:",
        _options(main, root),
    ]
    for title, names in GROUPS.items():
        parts.append(f"## {title}")
        for name in names.split():
            command = main.get_command(root, name)
            assert command is not None, name
            parts += _described(command, _below(root, command, name), level=3)
    return "\n\n".join(part for part in parts if part) + "\n"


def _described(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{context.command_path}`"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    yield from _help(command.help or "")
    yield _options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            yield from _described(inner, _below(context, inner, name), level + 1)


def _below(context: click.Context, command: click.Command, name: str) -> click.Context:
    return click.Context(command, info_name=name, parent=context)


def _help(text: str) -> Iterator[str]:
    """Paragraphs; what click is told not to wrap (by a \\b) is a block."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith("\b"):
            yield "```text\n" + paragraph.removeprefix("\b\n") + "\n```"
        elif paragraph:
            yield prose(" ".join(paragraph.split()))


def _options(command: click.Command, context: click.Context) -> str:
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and "--help" not in parameter.opts:
            rows.append((f"`{record[0]}`", prose(record[1])))
    return table(("option", "means"), rows) if rows else ""
