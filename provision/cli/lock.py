"""`provision lock`: resolve versions and packages and write fleet.lock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from provision import api
from provision.cli.options import json_option, manifest_argument, offline_option, secrets_option
from provision.cli.problems import report_error, report_warnings
from provision.core.wording import harmless
from provision.errors import LockError
from provision.sources.lock_resolution import Change


@click.command("lock")
@manifest_argument
@click.option(
    "--upgrade",
    "-U",
    "upgrades",
    multiple=True,
    is_flag=False,
    flag_value=api.EVERYTHING,
    metavar="[NAME]",
    help="Resolve this locked firmware or package again; without a name, all of them.",
)
@click.option(
    "--check", is_flag=True, help="Change nothing; exit with 3 when fleet.lock is out of date."
)
@secrets_option
@offline_option
@json_option
def command(
    *,
    manifest: str | None,
    upgrades: tuple[str, ...],
    check: bool,
    secrets: Path | None,
    offline: bool,
    as_json: bool,
) -> int:
    """Resolve versions and packages, and write URL, size and sha256 of each file to fleet.lock.

    `apply` uses only what is locked, and what is locked stays until --upgrade. Commit fleet.lock:
    the fleet of today can then be built again, byte for byte, from the same commit.
    """
    result = api.lock(manifest, upgrade=upgrades, check=check, secrets=secrets, offline=offline)
    _tell(result.changes, as_json, changed=not check)
    report_warnings(result.warnings)
    if check and result.changes:
        # What is not up to date is the document on stdout, with --json as without.
        report_error(
            LockError(
                f"{result.path} is not up to date",
                hint="run `provision lock` and commit fleet.lock",
            )
        )
        return LockError.exit_code
    return 0


def _tell(changes: Sequence[Change], as_json: bool, *, changed: bool) -> None:
    if as_json:
        data = [
            {"kind": each.kind, "name": each.name, "before": each.before, "after": each.after}
            for each in changes
        ]
        click.echo(json.dumps({"changes": data, "written": changed and bool(data)}, indent=2))
        return
    for each in changes:
        name = harmless(each.name)
        if each.before is None:
            click.echo(f"+ {name}: {harmless(each.after or '')}")
        elif each.after is None:
            click.echo(f"- {name}: {harmless(each.before)}")
        else:
            click.echo(f"~ {name}: {harmless(each.before)} -> {harmless(each.after)}")
    if not changes:
        click.echo("the lock is up to date")
