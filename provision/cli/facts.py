"""`provision facts`: show chip, MAC, flash and firmware of every board."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from provision import api
from provision.cli.nvs_values import nvs_value
from provision.cli.options import (
    Where,
    host_options,
    json_option,
    limit_option,
    manifest_argument,
    secrets_option,
)
from provision.cli.suggestions import about_the_manifest
from provision.core.wording import Redact, aligned, harmless, memory_size, plural
from provision.model.report import DeviceReport
from provision.model.secret import MASK
from provision.model.state import DesiredState
from provision.output.setup import open_outputs


@click.command(name="facts")
@manifest_argument
@limit_option
@host_options
@secrets_option
@json_option
@click.option(
    "--nvs",
    is_flag=True,
    help="List what their NVS holds too; of Wi-Fi's own entries no values.",
)
@click.option(
    "--forks",
    type=click.IntRange(min=0),
    default=0,
    show_default="all",
    help="How many devices to work on at once.",
)
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Show more; -vv shows the whole conversation with each board.",
)
def command(
    *,
    manifest: str | None,
    limits: tuple[str, ...],
    where: Where,
    secrets: Path | None,
    as_json: bool,
    nvs: bool,
    forks: int,
    verbose: int,
) -> int:
    """Observe every board of MANIFEST (fleet.yaml) and print what it is: chip, MAC, flash,
    firmware, free space. Changes nothing."""
    fleet = api.load(manifest, limit=limits, secrets=secrets, **where.as_arguments())
    with open_outputs(
        stdout=sys.stdout,
        stderr=sys.stderr,
        results=False,
        verbosity=verbose,
        redact=fleet.masked,
        suggest=about_the_manifest(click.get_current_context()),
    ) as outputs:
        report = api.facts(fleet, nvs=nvs, forks=forks, on_event=outputs.handle)
    states = {state.device: state for state in fleet.states}
    rows = [row(item, states[item.device].host or fleet.host) for item in report.devices]
    if as_json:
        if nvs:
            for item, data in zip(report.devices, rows, strict=True):
                data["nvs"] = nvs_data(item, states[item.device], fleet.masked)
        click.echo(json.dumps(rows, indent=2))
        return report.exit_code()
    for line in table(rows, hosts=any(state.host for state in fleet.states)):
        click.echo(line)
    for item in report.devices if nvs else ():
        for line in nvs_lines(item, states[item.device], fleet.masked):
            click.echo(line)
    return report.exit_code()


def row(report: DeviceReport, host: str) -> dict[str, object]:
    """One device's facts as plain data, and where its board hangs; None for what could not be
    learned."""
    actual = report.actual
    firmware = actual.firmware if actual else None
    free = actual.filesystem.free if actual and actual.filesystem else None
    return {
        "device": report.device,
        "host": host,
        "port": report.address,
        "outcome": report.outcome,
        "chip": str(actual.chip) if actual and actual.chip else None,
        "mac": actual.mac if actual else None,
        "flash_size": actual.flash_size if actual else None,
        "firmware": firmware.version if firmware else None,
        "machine": harmless(firmware.machine) if firmware else None,
        "secured": actual.secured if actual else None,
        "free": free,
        "error": harmless(report.error.message) if report.error else None,
        "code": report.error.code if report.error else None,
    }


def nvs_data(
    report: DeviceReport, state: DesiredState, redact: Redact
) -> list[dict[str, object]] | None:
    """The entries of a device's NVS as plain data; None where nobody could read it."""
    if report.actual is None or report.actual.nvs is None:
        return None
    secret = {entry.place for entry in state.nvs if entry.sensitive}
    return [
        {
            "namespace": harmless(redact(entry.namespace)),
            "key": harmless(redact(entry.key)),
            "type": entry.type,
            "value": MASK if entry.place in secret else nvs_value(entry, redact),
        }
        for entry in report.actual.nvs
    ]


def nvs_lines(report: DeviceReport, state: DesiredState, redact: Redact) -> list[str]:
    """The same for people."""
    entries = nvs_data(report, state, redact)
    if entries is None:
        return [f"{report.device}: no NVS was read"]
    cells = [
        (
            f"{entry['namespace']}.{entry['key']}",
            str(entry["type"]),
            "(not read)" if entry["value"] is None else str(entry["value"]),
        )
        for entry in entries
    ]
    return [
        f"{report.device}: {plural(len(cells), 'entry', 'entries')} in NVS",
        *(f"  {line}" for line in aligned(cells)),
    ]


def table(rows: list[dict[str, object]], *, hosts: bool) -> list[str]:
    """The rows as aligned columns under a heading, where there are several `hosts` with those."""
    heading = ["DEVICE", *(["HOST"] if hosts else []), "PORT", "CHIP", "MAC", "FLASH", "FIRMWARE"]
    cells = [heading]
    for item in rows:
        size = item["flash_size"]
        firmware = f"{item['firmware']} ({item['machine']})" if item["firmware"] else "none"
        cells.append(
            [
                str(item["device"]),
                *([str(item["host"])] if hosts else []),
                str(item["port"] or "-"),
                str(item["chip"] or "-"),
                str(item["mac"] or "-"),
                memory_size(size) if isinstance(size, int) else "-",
                f"{item['outcome']}: {item['code']}" if item["error"] else firmware,
            ]
        )
    return aligned(cells)
