"""`provision discover`: list serial ports, and which device is on each."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from provision import api
from provision.app import this_host
from provision.cli.named_manifest import of_the_environment
from provision.cli.options import json_option
from provision.core.wording import aligned, harmless_line, memory_size
from provision.errors import ManifestError, UsageError
from provision.model.state import FirmwareIdentity
from provision.output.style import Style, wants_colour
from provision.project.parts.main_file import DEFAULT_NAME


@click.command("discover")
@click.argument("manifest", required=False, metavar="[MANIFEST]")
@click.option("--probe", "probing", is_flag=True,
              help="Also ask each board for its chip, MAC, flash and firmware. It interrupts what "
                   "runs there, and resets a board whose REPL does not answer.")  # fmt: skip
@click.option("--all", "everything", is_flag=True,
              help="Also list built-in serial ports that no device is on.")  # fmt: skip
@json_option
def command(manifest: str | None, probing: bool, everything: bool, as_json: bool) -> int:
    """List the serial ports that are plugged in, and the devices of MANIFEST on them.

    Without MANIFEST, fleet.yaml in the working directory is read if there is one. Its devices on
    URLs (rfc2217://, socket://) are listed too.
    """
    found = find_ports(manifest, probe=probing)
    hidden = [] if everything else [one for one in found if one.built_in]
    found = [one for one in found if one not in hidden]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "version": 1,
                    "host": this_host(),
                    "ports": [port_data(one) for one in found],
                },
                indent=2,
            )
        )
        return 0
    style = Style(wants_colour(sys.stdout, os.environ))
    for line in table(found, probing, style):
        click.echo(line, color=style.colour)
    if hidden:
        click.echo(f"{len(hidden)} built-in, not shown: --all lists them", err=True)
    if not found:
        click.echo("no serial port is plugged in", err=True)
        click.echo(
            "hint: check that the cable carries data, and on Windows that the driver of the "
            "USB bridge (CP210x VCP or CH340) is installed",
            err=True,
        )
    return 0


def find_ports(manifest: str | None, *, probe: bool) -> Sequence[api.FoundPort]:
    """A fleet.yaml that merely lies around and is invalid must not keep ports from being seen."""
    if manifest is not None:
        if "://" in manifest or manifest.startswith("/dev/"):
            raise UsageError(
                f"{manifest} is a port, and `provision discover` lists the ports that there are",
                hint=f"`provision init {shlex.quote(manifest)}` asks the board on that one, and "
                "writes a manifest of it",
            )
        return api.discover(manifest, probe=probe)
    found = of_the_environment() or (DEFAULT_NAME if Path(DEFAULT_NAME).is_file() else None)
    try:
        return api.discover(found, probe=probe)
    except ManifestError as error:
        click.echo(
            f"{found} is ignored: {error.message}; `provision validate` tells more", err=True
        )
        return api.discover(probe=probe)


def table(found: Sequence[api.FoundPort], probed: bool, style: Style) -> Iterator[str]:
    """The list for people: a row a port and, dimmed, its lasting name below."""
    if probed:
        heads = ("PORT", "DEVICE", "CHIP", "MAC", "FLASH", "FIRMWARE")
    else:
        heads = ("PORT", "DEVICE", "USB", "SERIAL", "LOCATION", "DESCRIPTION")
    rows = [tuple(map(harmless_line, _cells(one, probed))) for one in found]
    if not rows:
        return
    head, *lines = aligned([heads, *rows])
    yield style(head, "bold")
    for one, line in zip(found, lines, strict=True):
        yield line
        if one.port.links:
            # by-path differs for every socket; many bridges share one by-id name
            lasting = [link for link in one.port.links if "/by-path/" in link] or one.port.links
            yield style(f"  {harmless_line(lasting[0])}", "dim")


def _cells(one: api.FoundPort, probed: bool) -> tuple[str, ...]:
    port = one.port
    start = (port.path, ", ".join(one.devices) or "-")
    if not probed:
        return (
            *start,
            port.usb_id or "-",
            port.serial_number or "-",
            port.location or "-",
            port.description,
        )
    answer = one.actual
    if answer is None:
        return (*start, "-", "-", "-", one.error or "not asked")
    return (
        *start,
        answer.chip.label if answer.chip else "-",
        answer.mac or "-",
        memory_size(answer.flash_size) if answer.flash_size is not None else "-",
        firmware_text(answer.firmware),
    )


def firmware_text(firmware: FirmwareIdentity | None) -> str:
    """Version and board of a MicroPython, or that there is none."""
    if firmware is None:
        return "no MicroPython answers"
    return f"MicroPython {firmware.version} ({firmware.machine})"


def port_data(one: api.FoundPort) -> dict[str, Any]:
    """A port as JSON has it; `probed` is null where nobody asked or nothing answered."""
    port, answer = one.port, one.actual
    probed = None
    if answer is not None:
        firmware = answer.firmware
        probed = {
            "chip": answer.chip.name if answer.chip else None,
            "mac": answer.mac,
            "flash_size": answer.flash_size,
            "firmware": None
            if firmware is None
            else {"version": firmware.version, "machine": firmware.machine, "date": firmware.date},
        }
    return {
        "port": port.path,
        "devices": list(one.devices),
        "description": port.description,
        "usb": port.usb_id,
        "serial": port.serial_number,
        "location": port.location,
        "links": list(port.links),
        "probed": probed,
        "error": one.error,
    }
