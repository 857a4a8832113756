"""`provision discover`: list serial ports, and which device is on each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from provision.app import probe_board
from provision.cli.options import json_option
from provision.core.planning.port_choice import matching
from provision.core.wording import flash_size, harmless, one_line
from provision.errors import ManifestError, ProvisionError
from provision.interfaces import PortInfo
from provision.model.board import BoardProfile
from provision.model.state import ActualState, DesiredState, FirmwareIdentity
from provision.output.style import Style, wants_colour

Probe = Callable[[str, BoardProfile | None], ActualState]
"""Asks the board at an address; the profile is that of the manifest's device on that port, if
there is one. Raises ProvisionError when nothing answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One line of the list. `devices` are those of the manifest that name this port, or whose
    MAC answered there; `answer` and `error` are what came of probing."""

    port: PortInfo
    devices: tuple[str, ...] = ()
    answer: ActualState | None = None
    error: str | None = None


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
    from provision.device.transport.discovery import SerialDiscovery

    states, learned = devices_of(manifest)
    found = list_ports(SerialDiscovery().ports(), states)
    hidden = [] if everything else [one for one in found if built_in(one)]
    found = [one for one in found if one not in hidden]
    if probing:
        found = ask(found, states, learned, probe_board)
    if as_json:
        click.echo(json.dumps({"version": 1, "ports": [port_data(one) for one in found]}, indent=2))
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


def devices_of(manifest: str | None) -> tuple[Sequence[DesiredState], Mapping[str, str]]:
    """The manifest's devices, and the MACs that fleet.lock has learned for them.

    A fleet.yaml that merely lies around and is invalid must not keep the ports from being seen.
    """
    from provision.lockfile.store import read_lock
    from provision.project.manifest_file import DEFAULT_NAME, load

    if manifest is None and not Path(DEFAULT_NAME).is_file():
        return (), {}
    try:
        loaded = load(manifest)
        states = loaded.states()
        lock = read_lock(loaded.lock_path)
    except ManifestError as error:
        if manifest is not None:
            raise
        click.echo(f"{DEFAULT_NAME} is left aside: {error.message}", err=True)
        return (), {}
    macs = {state.device: state.mac or lock.mac_of(state.device) for state in states}
    return states, {device: mac for device, mac in macs.items() if mac is not None}


def built_in(found: Found) -> bool:
    """Whether this is a port of the computer's own, which nobody plugged a board into: a PC lists
    up to 32 of them, mostly with nothing behind."""
    return found.port.usb_id is None and not found.devices


def list_ports(ports: Sequence[PortInfo], states: Sequence[DesiredState]) -> list[Found]:
    """The ports and, below them, what the manifest reaches by other ways: URLs, and paths that
    the system does not list as serial ports."""
    devices: dict[str, list[str]] = {port.path: [] for port in ports}
    others: dict[str, PortInfo] = {}
    for state in states:
        if state.port is None:
            continue
        for port in matching(state.port, ports):
            devices[port.path].append(state.device)
        value = state.port.value
        is_path = state.port.kind == "path" and not matching(state.port, ports)
        if state.port.kind == "url" or (is_path and Path(value).exists()):
            others.setdefault(value, PortInfo(path=value))
            devices.setdefault(value, []).append(state.device)
    return [
        Found(port=port, devices=tuple(devices[port.path])) for port in (*ports, *others.values())
    ]


def ask(
    found: Sequence[Found],
    states: Sequence[DesiredState],
    macs: Mapping[str, str],
    probe: Probe,
) -> list[Found]:
    """The same with what the boards say, all asked at once.

    Built-in serial ports are left alone unless the manifest names them. `macs` says which device
    a MAC belongs to.
    """
    boards = {state.device: state.board for state in states}
    by_mac = {mac: device for device, mac in macs.items()}
    by_mac.update(
        {s.port.value.lower(): s.device for s in states if s.port and s.port.kind == "mac"}
    )

    def one(each: Found) -> Found:
        if built_in(each):
            return each
        board = boards.get(each.devices[0]) if each.devices else None
        try:
            answer = probe(each.port.path, board)
        except ProvisionError as error:
            return replace(each, error=error.message)
        device = by_mac.get(answer.mac or "")
        known = (device,) if device and device not in each.devices else ()
        return replace(each, answer=answer, devices=each.devices + known)

    with ThreadPoolExecutor(max_workers=max(len(found), 1)) as pool:
        return list(pool.map(one, found))


def table(found: Sequence[Found], probed: bool, style: Style) -> Iterator[str]:
    """The list for people: a row a port and, dimmed, its lasting name below."""
    if probed:
        heads = ("PORT", "DEVICE", "CHIP", "MAC", "FLASH", "FIRMWARE")
    else:
        heads = ("PORT", "DEVICE", "USB", "SERIAL", "LOCATION", "DESCRIPTION")
    rows = [tuple(map(_clean, _cells(one, probed))) for one in found]
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    yield style(_row(heads, widths), "bold")
    for one, cells in zip(found, rows, strict=True):
        yield _row(cells, widths)
        if one.port.links:
            # by-path differs for every socket; many bridges share one by-id name
            lasting = [link for link in one.port.links if "/by-path/" in link] or one.port.links
            yield style(f"  {_clean(lasting[0])}", "dim")


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cells(one: Found, probed: bool) -> tuple[str, ...]:
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
    answer = one.answer
    if answer is None:
        return (*start, "-", "-", "-", one.error or "not asked")
    return (
        *start,
        answer.chip.label if answer.chip else "-",
        answer.mac or "-",
        flash_size(answer.flash_size) if answer.flash_size is not None else "-",
        firmware_text(answer.firmware),
    )


def firmware_text(firmware: FirmwareIdentity | None) -> str:
    """Version and board of a MicroPython, or that there is none."""
    if firmware is None:
        return "no MicroPython answers"
    return f"MicroPython {firmware.version} ({firmware.machine})"


def port_data(one: Found) -> dict[str, Any]:
    """A port as JSON has it; `probed` is null where nobody asked or nothing answered."""
    port, answer = one.port, one.answer
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


def _clean(text: str) -> str:
    return one_line(harmless(text))
