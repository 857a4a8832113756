"""`provision lock`: resolve versions and packages and write fleet.lock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from provision import api
from provision.cli.options import (
    json_option,
    manifests_argument,
    no_secrets_option,
    offline_option,
    secrets_option,
)
from provision.cli.problems import report_error, report_warnings
from provision.core.wording import harmless, harmless_line
from provision.errors import LockError, UsageError
from provision.lockfile.merge import Conflict
from provision.sources.lock_resolution import Change


@click.command("lock")
@manifests_argument
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
@click.option(
    "--merge",
    "other",
    metavar="FILE",
    help="Add the boards that another host's fleet.lock knows, - for standard input; nothing is "
    "looked up.",
)
@click.option(
    "--accept-new-board",
    "accept_new",
    multiple=True,
    metavar="PATTERNS",
    help="With --merge: these devices may have another board than before; patterns as of --limit.",
)
@secrets_option
@no_secrets_option
@offline_option
@json_option
def command(
    *,
    manifest: str | None,
    upgrades: tuple[str, ...],
    check: bool,
    other: str | None,
    accept_new: tuple[str, ...],
    secrets: Path | None,
    no_secrets: bool,
    offline: bool,
    as_json: bool,
) -> int:
    """Resolve versions and packages, and write URL, size and sha256 of each file to fleet.lock.

    `apply` uses only what is locked, and what is locked stays until --upgrade. Commit fleet.lock:
    the fleet of today can then be built again, byte for byte, from the same commit.
    """
    if other is not None:
        if check or upgrades:
            raise UsageError(
                "--merge goes with neither --check nor --upgrade",
                hint=f"write `provision lock --merge {other}`, then the other",
            )
        return _merge(manifest, other, accept_new, as_json)
    if accept_new:
        raise UsageError(
            "--accept-new-board goes with --merge", hint="write `provision lock --merge FILE …`"
        )
    result = api.lock(
        manifest,
        upgrade=upgrades,
        check=check,
        secrets=secrets,
        offline=offline,
        no_secrets=no_secrets,
    )
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


def _merge(manifest: str | None, other: str, accept_new: Sequence[str], as_json: bool) -> int:
    """What cannot be taken over ends it with an error, after the rest was taken over."""
    merged = api.merge_lock(other, manifest, accept_new_boards=accept_new)
    if as_json:
        conflicts = [asdict(each) for each in merged.conflicts]
        data = {"learned": dict(merged.learned), "conflicts": conflicts}
        click.echo(json.dumps(data, indent=2))
    else:
        for device, mac in merged.learned.items():
            click.echo(f"+ {device}: {mac}")
        if not merged.learned and not merged.conflicts:
            click.echo("the lock knows them all")
    if not merged.conflicts:
        return 0
    names = [each.device for each in merged.conflicts if not each.declared]
    replaced = "change its `mac:` in the manifest"
    if names:
        accept = f"--accept-new-board {','.join(names)}"
        replaced = f"write `provision lock --merge {other} {accept}`"
    report_error(  # what was merged is the document on stdout, with --json as without
        LockError(
            f"{harmless_line(other)}: " + "; ".join(map(_conflict, merged.conflicts)),
            hint=f"the rest was taken over. Where a board was replaced, {replaced}; else see that "
            "each board is on its own port",
        )
    )
    return LockError.exit_code


def _conflict(each: Conflict) -> str:
    if each.owner is not None:
        return f"{each.device} would be {each.theirs}, which is {each.owner}'s board"
    return f"{each.device} would be {each.theirs}, and is {each.ours}"


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
