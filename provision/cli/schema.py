"""`provision schema`: print the JSON schema of the manifest."""

from __future__ import annotations

import click

from provision.project.schemas import schema_text


@click.command("schema")
def command() -> None:
    """Print the JSON schema of the manifest.

    An editor with a YAML language server completes and explains a manifest that starts with

    \b
        # yaml-language-server: $schema=fleet.schema.json
    """
    click.echo(schema_text("fleet"), nl=False)
