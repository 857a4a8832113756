"""`provision status`: show what devices were at their last apply."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from provision import api
from provision.cli.options import (
    Where,
    host_options,
    json_option,
    limit_option,
    manifest_argument,
    offline_option,
    secrets_option,
)
from provision.cli.suggestions import about_the_manifest
from provision.core.wording import aligned, harmless_line, plural
from provision.output.setup import open_outputs
from provision.output.style import Style, wants_colour

Reports = dict[str, api.DeviceReport]

_SHORT = 10  # digits of a commit, as people tell them apart


@click.command(name="status")
@manifest_argument
@limit_option
@host_options
@secrets_option
@offline_option
@click.option("--observe", is_flag=True,
              help="Also look at the boards, as `provision plan`; exit with 6 when one is not as "
                   "the manifest says.")  # fmt: skip
@click.option("--match-by-mac", is_flag=True,
              help="With --observe: find each board by its MAC, on any port.")  # fmt: skip
@click.option("--forks", type=click.IntRange(min=0), default=0, show_default="all",
              help="With --observe: how many devices to look at at once.")  # fmt: skip
@click.option("-v", "--verbose", count=True, help="Show more of what --observe does.")
@json_option
def command(
    *,
    manifest: str | None,
    limits: tuple[str, ...],
    where: Where,
    secrets: Path | None,
    offline: bool,
    observe: bool,
    match_by_mac: bool,
    forks: int,
    verbose: int,
    as_json: bool,
) -> int:
    """Show when each device of MANIFEST (fleet.yaml) was last applied, to which board and at which
    commit, and whether its port is plugged in.

    It is what this computer remembers: without --observe no board is touched.
    """
    fleet = api.load(
        manifest, limit=limits, secrets=secrets, offline=offline, **where.as_arguments()
    )
    code, reports = 0, Reports()
    if observe:
        with open_outputs(
            stdout=sys.stdout,
            stderr=sys.stderr,
            results=False,
            verbosity=verbose,
            redact=fleet.masked,
            suggest=about_the_manifest(click.get_current_context()),
        ) as outputs:
            report = api.plan(
                fleet, forks=forks, match_by_mac=match_by_mac, on_event=outputs.handle
            )
        code = report.exit_code(detailed=True)
        reports = {item.device: item for item in report.devices}
    found = api.status(fleet)
    if as_json:
        devices = [_data(one, reports.get(one.device)) for one in found.devices]
        click.echo(json.dumps({"version": 1, "commit": found.commit, "devices": devices}, indent=2))
        return code
    style = Style(wants_colour(sys.stdout, os.environ))
    for line in table(found, reports, style):
        click.echo(line, color=style.colour)
    return code


def table(found: api.FleetStatus, reports: Reports, style: Style) -> Iterator[str]:
    """The status for people: a row a device and, below it, why its last apply did not end well."""
    heads = ["DEVICE", "APPLIED", "COMMIT", "FIRMWARE", "MAC", "CHECK", "PORT"]
    if reports:
        heads.append("OBSERVED")
    rows = [list(map(harmless_line, _cells(one, reports))) for one in found.devices]
    head, *lines = aligned([heads, *rows])
    yield style(head, "bold")
    for one, line in zip(found.devices, lines, strict=True):
        yield line
        last = one.last
        if last is not None and last.error is not None:
            when = _local(last.time)
            yield style(f"  last apply, {when}: {last.outcome}: {harmless_line(last.error)}", "dim")
        if one.device in reports and (error := reports[one.device].error) is not None:
            yield style(f"  now: {harmless_line(error.message)}", "dim")
    behind = [
        one
        for one in found.devices
        if one.last and one.last.made and one.last.made.commit != found.commit
    ]
    if found.commit is not None:
        note = f"the manifest is at commit {found.commit[:_SHORT]}"
        if behind:
            note += f"; {plural(len(behind), 'device')} last applied at another"
        yield style(note, "dim")


def _cells(one: api.DeviceStatus, reports: Reports) -> list[str]:
    made = one.last.made if one.last is not None else None
    if made is None:
        cells = ["never", "-", "-", "-"]
    else:
        cells = [
            _local(made.time),
            made.commit[:_SHORT] if made.commit else "-",
            made.version or "-",
            made.mac or "-",
        ]
    where = one.port or "-"
    if one.plugged_in is not None:
        where = (one.address or where) if one.plugged_in else f"{where} (not plugged in)"
    cells = [one.device, *cells, one.check or "-", where]
    if reports:
        cells.append(_observed(reports[one.device]) if one.device in reports else "-")
    return cells


def _observed(report: api.DeviceReport) -> str:
    if report.outcome == "pending" and report.plan is not None and report.plan.change_count:
        return f"{plural(report.plan.change_count, 'change')} pending"
    return report.outcome


def _data(one: api.DeviceStatus, report: api.DeviceReport | None) -> dict[str, Any]:
    last = asdict(one.last) if one.last is not None else None
    made = last.pop("made") if last is not None else None
    return {
        "device": one.device,
        "last_apply": last,
        "applied": made,
        "check": one.check,
        "port": {"selector": one.port, "address": one.address, "plugged_in": one.plugged_in},
        "observed": None
        if report is None
        else {
            "outcome": report.outcome,
            "changes": report.plan.change_count if report.plan is not None else 0,
            "error": report.error.message if report.error else None,
            "code": report.error.code if report.error else None,
        },
    }


def _local(time: str) -> str:
    try:
        return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):  # somebody wrote into the record
        return time
