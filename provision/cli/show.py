"""`provision show`: show the desired state of each device, secrets masked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from provision import api
from provision.cli.nvs_values import nvs_value
from provision.cli.options import (
    Where,
    host_options,
    json_option,
    limit_option,
    manifest_argument,
    offline_option,
    secrets_option,
    variables_option,
)
from provision.cli.problems import masked, problem_data, report_problems, report_warnings
from provision.core.wording import Redact, aligned, harmless_line, listed
from provision.errors import ManifestError
from provision.model.secret import MASK, Secret
from provision.model.state import Check, DesiredFile, DesiredFirmware, DesiredState
from provision.model.unit_data import DesiredCertificate, NvsEntry
from provision.output.style import Style, wants_colour


@click.command("show")
@manifest_argument
@limit_option
@host_options
@variables_option
@secrets_option
@offline_option
@click.option("--hosts", is_flag=True,
              help="Only which devices hang on which computer; no more is resolved.")  # fmt: skip
@json_option
def command(
    *,
    manifest: str | None,
    limits: tuple[str, ...],
    where: Where,
    variables: Mapping[str, str],
    secrets: Path | None,
    offline: bool,
    hosts: bool,
    as_json: bool,
) -> int:
    """Show the desired state of each device, secrets masked.

    Groups, variables, templates and secrets are resolved; each file is listed with its size, its
    sha256 and the source it comes from; packages are what fleet.lock says. A file that a secret
    went into shows *** for its sha256.
    """
    try:
        if hosts:
            return _show_hosts(api.hosts(manifest, limit=limits, secrets=secrets), as_json)
        fleet = api.load(
            manifest,
            limit=limits,
            secrets=secrets,
            offline=offline,
            variables=variables,
            **where.as_arguments(),
        )
    except ManifestError as error:
        if as_json:
            problems = [problem_data(problem) for problem in error.problems]
            click.echo(json.dumps({"problems": problems}, indent=2))
        else:
            report_problems(error)
        return error.exit_code
    if as_json:
        data = {
            "fleet": fleet.name,
            "warnings": list(fleet.warnings),
            "devices": [state_data(state) for state in fleet.states],
        }
        click.echo(json.dumps(masked(data, fleet.masked), indent=2))
        return 0
    report_warnings(fleet.warnings)
    style = Style(wants_colour(sys.stdout, os.environ))
    for number, state in enumerate(fleet.states):
        if number:
            click.echo("")
        for line in state_lines(state, fleet.masked, style):
            click.echo(line, color=style.colour)
    return 0


def _show_hosts(found: api.FleetHosts, as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
        return 0
    rows = [(host, listed(devices)) for host, devices in found.hosts.items()]
    if found.anywhere:
        rows.append(("-", listed(found.anywhere)))
    for line in aligned(rows):
        click.echo(line)
    return 0


def state_data(state: DesiredState) -> dict[str, Any]:
    """A desired state as JSON has it; secrets among the variables are still to be masked."""
    port, check = state.port, state.check
    return {
        "name": state.device,
        "board": state.board.name,
        "chip": str(state.board.chip),
        "host": state.host,
        "port": {"kind": port.kind, "value": port.value} if port is not None else None,
        "mac": state.mac,
        "baud": state.baud,
        "transfer_baud": state.transfer_baud,
        "groups": list(state.groups),
        "packages": list(state.packages),
        "firmware": _firmware_data(state.firmware),
        "variables": state.variables,
        "files": [_file_data(file) for file in state.files],
        "absent": list(state.absent),
        "prune": list(state.prune),
        "nvs": [_nvs_data(entry) for entry in state.nvs],
        "certificate": _certificate_data(state.certificate),
        "check": _check_data(check) if check is not None else None,
    }


def _check_data(check: Check) -> dict[str, Any] | list[dict[str, Any]]:
    if check.steps:
        return [{"name": step.name, **_step_data(step)} for step in check.steps]
    return _step_data(check)


def _step_data(check: Check) -> dict[str, Any]:
    asked: dict[str, Any] = {"expression": check.expression, "console": check.console}
    limits = {
        name: limit for name, limit in (("min", check.min), ("max", check.max)) if limit is not None
    }
    return {**asked, "timeout": check.timeout, **limits}


def _firmware_data(firmware: DesiredFirmware | None) -> dict[str, Any] | None:
    if firmware is None:
        return None
    source = firmware.source
    return {
        "name": source.name,
        "file": source.file,
        "url": source.url,
        "version": source.version,
        "board": source.board,
        "variant": source.variant,
        "sha256": source.sha256,
        "erase": firmware.erase,
        "verify": firmware.verify,
    }


def _file_data(file: DesiredFile) -> dict[str, Any]:
    return {
        "dest": file.dest,
        "source": file.source,
        "size": file.content.size,
        "sha256": MASK if file.content.sensitive else file.content.sha256,
        "sensitive": file.content.sensitive,
        "template": file.template,
        "create_only": file.create_only,
    }


def _certificate_data(wanted: DesiredCertificate | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    names = ("ca", "cn", "dest_cert", "dest_key", "key", "days", "renew")
    return {name: getattr(wanted, name) for name in names}


def _nvs_data(entry: NvsEntry) -> dict[str, Any]:
    value = entry.value.hex() if isinstance(entry.value, bytes) else entry.value
    return {
        "namespace": entry.namespace,
        "key": entry.key,
        "type": entry.type,
        "value": MASK if entry.sensitive else value,
        "sensitive": entry.sensitive,
    }


def state_lines(state: DesiredState, redact: Redact, style: Style) -> Iterator[str]:
    """A desired state for people."""

    def clean(value: object) -> str:
        return harmless_line(redact(str(value)))

    yield style(clean(state.device), "bold")
    facts: list[tuple[str, str]] = [("board", f"{state.board.name} ({state.board.chip.label})")]
    facts.append(("port", str(state.port) if state.port is not None else "not said"))
    if state.host is not None:
        facts.append(("host", state.host))
    if state.mac is not None:
        facts.append(("mac", state.mac))
    if state.baud != 115200:
        facts.append(("baud", str(state.baud)))
    if state.transfer_baud is not None:
        facts.append(("transfer baud", str(state.transfer_baud or "off")))
    facts.append(("firmware", _firmware_text(state.firmware)))
    if state.groups:
        facts.append(("groups", ", ".join(state.groups)))
    if state.check is not None:
        facts.append(("check", _check_text(state.check)))
    if state.certificate is not None:
        made = state.certificate
        facts.append(("cert", f"{made.dest_cert} and {made.dest_key} for {made.cn}, by {made.ca}"))
    if state.prune:
        facts.append(("prune", ", ".join(state.prune)))
    if state.absent:
        facts.append(("absent", ", ".join(state.absent)))
    for name, text in facts:
        yield f"  {style(name.ljust(8), 'dim')}  {clean(text)}"
    variables = {name: _value_text(value, redact) for name, value in state.variables.items()}
    yield from _table(
        "vars", [(clean(name), clean(text)) for name, text in variables.items()], style
    )
    rows = [
        (
            clean(file.dest),
            f"{file.content.size:,} B",
            MASK if file.content.sensitive else file.content.sha256,
            clean(file.source) + _notes(file),
        )
        for file in state.files
    ]
    yield from _table("files", rows, style)
    settings = [
        (
            clean(entry.name),
            entry.type,
            MASK if entry.sensitive else clean(nvs_value(entry, redact)),
        )
        for entry in state.nvs
    ]
    yield from _table("nvs", settings, style)


def _table(title: str, rows: Sequence[Sequence[str]], style: Style) -> Iterator[str]:
    if not rows:
        return
    yield f"  {style(title, 'dim')}"
    for line in aligned(rows):
        yield f"    {line}"


def _notes(file: DesiredFile) -> str:
    notes = [
        note
        for note, applies in (("template", file.template), ("create only", file.create_only))
        if applies
    ]
    return f" ({', '.join(notes)})" if notes else ""


def _value_text(value: object, redact: Redact) -> str:
    if isinstance(value, (str, Secret)):
        return str(value)
    return json.dumps(masked(value, redact), ensure_ascii=False)


def _firmware_text(firmware: DesiredFirmware | None) -> str:
    if firmware is None:
        return "left as it is"
    source = firmware.source
    place = source.file or source.url
    if place is None:
        build = f"{source.board}-{source.variant}" if source.variant else source.board
        place = f"MicroPython {source.version} for {build}"
    extras = []
    if firmware.erase != "auto":
        extras.append(f"erase {firmware.erase}")
    if firmware.verify != "banner":
        extras.append(f"verify {firmware.verify}")
    named = place if source.name in place else f"{source.name}: {place}"
    return f"{named} ({', '.join(extras)})" if extras else named


def _limits_text(check: Check) -> str:
    least = f" from {check.min:g}" if check.min is not None else ""
    return least + (f" to {check.max:g}" if check.max is not None else "")


def _check_text(check: Check) -> str:
    if check.steps:
        return "; ".join(f"{step.name}: {_check_text(step)}" for step in check.steps)
    what = (
        f"`{check.expression}`{_limits_text(check)}"
        if check.expression is not None
        else f"/{check.console}/ printed"
    )
    return f"{what} within {check.timeout:g} s"
