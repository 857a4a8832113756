"""`provision validate`: check a manifest without touching any board."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from provision import api
from provision.cli.options import (
    json_option,
    limit_option,
    manifests_argument,
    no_secrets_option,
    secrets_option,
    variables_option,
)
from provision.cli.problems import problem_data, report_problems, report_warnings
from provision.core.wording import harmless, plural
from provision.errors import ManifestError


@click.command("validate")
@manifests_argument
@limit_option
@variables_option
@secrets_option
@no_secrets_option
@json_option
def command(
    *,
    manifest: str | None,
    limits: tuple[str, ...],
    variables: Mapping[str, str],
    secrets: Path | None,
    no_secrets: bool,
    as_json: bool,
) -> int:
    """Check a manifest without touching any board.

    MANIFEST is a file, a folder that holds a fleet.yaml, or - for standard input; fleet.yaml in
    the working directory when left out; several are checked one after the other. Every device's
    templates are rendered, every source is looked for, and image files are read. Exits with 0 for
    a valid manifest and 3 for an invalid one.
    """
    try:
        valid = api.validate(
            manifest, limit=limits, secrets=secrets, no_secrets=no_secrets, variables=variables
        )
    except ManifestError as error:
        if as_json:
            problems = [problem_data(problem) for problem in error.problems]
            click.echo(json.dumps({"valid": False, "problems": problems}, indent=2))
        else:
            report_problems(error)
        return error.exit_code
    if as_json:
        result = {
            "valid": True,
            "problems": [],
            "warnings": list(valid.warnings),
            "manifest": valid.file,
            "fleet": valid.fleet,
            "devices": valid.devices,
            "groups": valid.groups,
            "files": valid.files,
            "secrets_not_looked_up": list(valid.not_looked_up),
        }
        click.echo(json.dumps(result, indent=2))
        return 0
    report_warnings(valid.warnings)
    left = plural(len(valid.not_looked_up), "secret")
    click.echo(
        f"{valid.file}: valid: fleet '{harmless(valid.fleet)}' with "
        f"{plural(valid.devices, 'device')} and {plural(valid.files, 'file')}"
        + (f"; {left} not looked up" if valid.not_looked_up else "")
    )
    return 0
