"""`provision schema`: print the JSON schema of the manifest."""

from __future__ import annotations

import click

from provision.project.schemas import schema_text


@click.command("schema")
@click.argument("name", metavar="[NAME]", type=click.Choice(["fleet", "config"]), default="fleet")
def command(name: str) -> None:
    """Print the JSON schema of the manifest, or with the NAME config that of your own
    configuration (`provision config path`).

    An editor with a YAML language server completes and explains a manifest that starts with

    \b
        # yaml-language-server: $schema=fleet.schema.json
    """
    click.echo(schema_text(name), nl=False)
