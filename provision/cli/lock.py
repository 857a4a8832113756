"""`provision lock`: write down which bytes the manifest's versions and packages stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from provision.app import supply
from provision.cli.options import json_option, manifest_argument, offline_option, secrets_option
from provision.cli.problems import report_warnings
from provision.core.wording import did_you_mean, harmless
from provision.errors import LockError, UsageError
from provision.lockfile.store import update_lock
from provision.project.manifest_file import load
from provision.sources.lock_resolution import (
    Change,
    Requirements,
    Upgrade,
    changes_between,
    pending_changes,
    resolve_requirements,
)

ALL = "*"


@click.command("lock")
@manifest_argument
@click.option(
    "--upgrade",
    "-U",
    "upgrades",
    multiple=True,
    is_flag=False,
    flag_value=ALL,
    metavar="[NAME]",
    help="Look up anew what is locked already: this firmware or package, or all.",
)
@click.option(
    "--check", is_flag=True, help="Change nothing; end with 3 when the lock is not up to date."
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

    `apply` uses only what is locked. What is locked stays, until --upgrade. Commit fleet.lock:
    then the fleet of today can be built again from the same commit, byte for byte.
    """
    loaded = load(manifest, secrets=secrets)
    supplies = supply(loaded, offline=offline)
    requirements = Requirements.of(loaded.each_state())
    current = supplies.locked
    resolver = supplies.firmware_resolver()
    if check:
        changes = pending_changes(requirements, current, resolver)
        _tell(changes, as_json, changed=False)
        if changes:
            raise LockError(
                f"{loaded.lock_path} is not up to date",
                hint="run `provision lock` and commit fleet.lock",
            )
        return 0
    report_warnings(loaded.warnings)
    with supplies.http.session():
        after = resolve_requirements(
            requirements,
            current,
            resolver,
            supplies.package_resolver(),
            _upgrade(upgrades, requirements),
        )
    update_lock(
        loaded.lock_path,
        lambda lock: lock.with_sources(firmware=after.firmware, packages=after.packages),
    )
    _tell(changes_between(current, after), as_json, changed=True)
    unpinned = requirements.unpinned()
    if unpinned:
        report_warnings(
            [
                f"{name} names no version: once its files change there, the locked ones can be had "
                "only from the cache or vendored; write @ and a tag behind it"
                for name in unpinned
            ]
        )
    return 0


def _upgrade(names: Sequence[str], requirements: Requirements) -> Upgrade:
    known = requirements.names()
    for name in names:
        if name != ALL and name not in known:
            raise UsageError(
                f"nothing to upgrade is called {name!r}{did_you_mean(name, known)}",
                hint="name a firmware or package of the manifest; to upgrade all, write "
                "`provision lock MANIFEST --upgrade`",
            )
    return lambda name: ALL in names or name in names


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
