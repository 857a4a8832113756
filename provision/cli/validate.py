"""`provision validate`: everything that can be known to be wrong without touching a board."""

from __future__ import annotations

import json
from pathlib import Path

import click

from provision.cli.options import json_option, limit_option, manifest_argument, secrets_option
from provision.cli.problems import masked, problem_data, report_problems, report_warnings
from provision.core.wording import harmless, plural
from provision.errors import ManifestError
from provision.project.manifest_file import load
from provision.sources.images import LocalImages


@click.command("validate")
@manifest_argument
@limit_option
@secrets_option
@json_option
def command(
    manifest: str | None, limits: tuple[str, ...], secrets: Path | None, as_json: bool
) -> int:
    """Check a manifest without touching any board.

    MANIFEST is a file, a folder that holds a fleet.yaml, or - for standard input; fleet.yaml in
    the working directory when left out. Every device's templates are rendered, every source is
    looked for, and image files are looked into. Ends with 0 for a valid manifest and 3 for an
    invalid one.
    """
    devices = files = 0
    try:
        loaded = load(manifest, secrets=secrets)
        loaded = loaded.with_images(LocalImages(loaded.folder).problem)
        for state in loaded.each_state(limits):
            devices += 1
            files += len(state.files)
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
            "warnings": list(loaded.warnings),
            "manifest": loaded.file,
            "fleet": loaded.manifest.fleet,
            "devices": devices,
            "groups": len(loaded.manifest.groups),
            "files": files,
        }
        click.echo(json.dumps(masked(result, loaded.redactor.text), indent=2))
        return 0
    report_warnings(loaded.warnings)
    fleet = harmless(loaded.redactor.text(loaded.manifest.fleet))
    click.echo(
        f"{loaded.file}: valid: fleet '{fleet}' with {plural(devices, 'device')}"
        f" and {plural(files, 'file')}"
    )
    return 0
