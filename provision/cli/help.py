"""`provision help`: show how a command is used."""

from __future__ import annotations

import click

from provision.core.wording import did_you_mean


@click.command("help")
@click.argument("name", metavar="[COMMAND]", required=False)
@click.pass_context
def command(context: click.Context, name: str | None) -> None:
    """Show how COMMAND is used, or list all commands."""
    root = context.find_root()
    group = root.command
    assert isinstance(group, click.Group)
    if name is None:
        click.echo(group.get_help(root))
        return
    found = group.get_command(root, name)
    if found is None:
        guess = did_you_mean(name, group.list_commands(root))
        raise click.UsageError(f"there is no command '{name}'{guess}", context)
    with click.Context(found, info_name=name, parent=root) as shown:
        click.echo(found.get_help(shown))
