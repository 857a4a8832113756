"""What must hold between devices: everyone has a board, nobody shares a port or a MAC.

Ports that use variables are compared once they are rendered, by the resolver.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from provision.core.chips.registry import family_of
from provision.core.hosts import same_host
from provision.core.manifest.model import DeviceEntry, Manifest, PortEntry
from provision.core.manifest.yaml_tree import Document, Text
from provision.core.wording import quoted
from provision.errors import Problem
from provision.model.board import BoardProfile

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}(([:-][0-9A-Fa-f]{2}){2})?")
_SERIAL = re.compile(r"[0-9A-Fa-f]{16}")
_USB_ID = re.compile("[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")
_VARIABLE = re.compile(r"\{[{%#]")
_WINDOWS_PORT = re.compile(r"(\\\\\.\\)?com[0-9]+", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"[A-Za-z0-9][\w.-]*:[0-9]{1,5}", re.ASCII)


ANY_PORT = "any"  # as a port: wherever the board with the device's MAC is


def uses_variables(text: str) -> bool:
    """Whether a text has to be rendered before it means anything."""
    return "{" in text and _VARIABLE.search(text) is not None


def normal_mac(text: str, board: BoardProfile | None) -> str | None:
    """A MAC as six lower-case hex pairs joined by colons, or eight of a chip whose id has as many,
    also as its USB serial number writes them; None if it is none. `board` is the device's: which
    id its chip is known by, where it has two, is its family's to say."""
    if _SERIAL.fullmatch(text):
        plain = bytes.fromhex(text).hex(":")
    elif _MAC.fullmatch(text):
        plain = text.lower().replace("-", ":")
    else:
        return None
    return family_of(board.chip).usual_id(plain) if board is not None else plain


def unusable_port(kind: str, value: str) -> str | None:
    """What is wrong with a port's value, if anything."""
    if kind == "mac" and normal_mac(value, None) is None:
        return f'expected a MAC address such as "5c:cf:7f:01:02:03", got {quoted(value)}'
    if kind == "usb" and not _USB_ID.fullmatch(value):
        return f"expected a USB id such as 1a86:7523, got {quoted(value)}"
    if any(not char.isprintable() for char in value):
        return "a port must not contain control characters"
    if kind == "path" and _HOST_AND_PORT.fullmatch(value):
        return (
            f"{quoted(value)} is a host and a port, not a serial path; write rfc2217://{value}, or "
            f"socket://{value} for a raw port"
        )
    return None


def same_port(kind: str, value: str) -> tuple[str, str]:
    """The one spelling of a port: two devices with the same have the same port, however they write
    it. Names of hosts and of Windows' ports have no case, serial numbers and USB ids are looked up
    without; what stands behind the `?` of a URL says how a port is used, not which it is."""
    match kind:
        case "url":
            scheme, _, rest = value.partition("://")
            place = rest.partition("?")[0].rstrip("/")
            return kind, f"{scheme.lower()}://{place if scheme.lower() == 'sim' else place.lower()}"
        case "path" if _WINDOWS_PORT.fullmatch(value):
            return kind, value.rpartition("\\")[2].upper()
        case "path":
            return kind, posixpath.normpath(value)
        case "serial" | "usb" | "mac":
            return kind, value.lower()
        case _:
            return kind, value


def effective_port(manifest: Manifest, device: DeviceEntry) -> PortEntry | None:
    for layer in reversed(manifest.layers(device)):
        if layer.port is not None:
            return layer.port
    return None


def effective_host(manifest: Manifest, device: DeviceEntry) -> Text | None:
    for layer in reversed(manifest.layers(device)):
        if layer.host is not None:
            return layer.host
    return None


def effective_board(manifest: Manifest, device: DeviceEntry) -> BoardProfile | None:
    """The board of a device; None where it names none, or none that there is."""
    named = (layer.board for layer in reversed(manifest.layers(device)) if layer.board is not None)
    name = next(named, None)
    return manifest.boards.get(name) if name is not None else None


def declared_mac(manifest: Manifest, device: DeviceEntry) -> str | None:
    """The MAC that a device's `mac:` says; None where it has none, or that is none."""
    if device.mac is None:
        return None
    return normal_mac(device.mac, effective_board(manifest, device))


def check_devices(manifest: Manifest, document: Document) -> Iterator[Problem]:
    """Devices without a board, and two devices with one port or one MAC."""
    boards: set[int] = set()
    macs: dict[str, DeviceEntry] = {}
    ports: dict[tuple[str, ...], DeviceEntry] = {}
    hosts: dict[str, Text] = {}
    told: set[int] = set()  # a range is told once
    for device in manifest.devices.values():
        layers = manifest.layers(device)
        key = device.key
        if id(key) not in boards:
            boards.add(id(key))
            if not any(layer.board is not None for layer in layers):
                message = "no board; name one with `board:` here, in a group or in defaults"
                yield document.problem(key, f"devices.{key}", message)
        mac = declared_mac(manifest, device)
        if mac is not None and device.mac is not None:
            other = macs.setdefault(mac, device)
            if other is not device and id(device.mac) not in told:
                told.add(id(device.mac))
                message = f"{mac} is the MAC of {other.name} already; every board has its own"
                named = device.name if device.row is not None else key
                yield document.problem(device.mac, f"devices.{named}.mac", message)
        host = effective_host(manifest, device)
        if host is not None and id(host) not in told and not uses_variables(host):
            told.add(id(host))
            first = hosts.setdefault(host.casefold().partition(".")[0], host)
            if first.casefold() != host.casefold() and same_host(first, host):
                there = f"{quoted(first)} on {document.line_name(first)}"
                message = f"{quoted(host)} is {there}, in other words"
                path = next(one.path for one in manifest.layers(device) if one.host is host)
                yield document.problem(host, f"{path}.host", f"{message}; write one of them")
        port = effective_port(manifest, device)
        if port is None or port.kind == "any" or uses_variables(port.value):
            continue
        if host is not None and uses_variables(host):
            continue
        owner = ports.setdefault((host_key(host), *same_port(port.kind, port.value)), device)
        if owner is not device and id(port.value) not in told:
            told.add(id(port.value))
            yield document.problem(port.value, port.path, port_taken(port.value, device, owner))


def host_key(host: str | None) -> str:
    """By which ports of different computers are told apart."""
    return host.casefold() if host is not None else ""


def port_taken(port: str, device: DeviceEntry, owner: DeviceEntry) -> str:
    """The message for two devices with one port."""
    if owner.key is device.key:
        other = "{{ index }}" if device.row is None else "a column"
        return (
            f"{quoted(port)} would be the port of {owner.name} and of {device.name}; "
            f"tell them apart with {{{{ name }}}} or {other}"
        )
    return f"{quoted(port)} is the port of {owner.name} already, so it cannot be {device.name}'s"
