"""What fleet.lock holds: which board each device is, and which bytes each download stands for.

Plain frozen data. `yaml_format` turns it into the text of the file and back, `store` reads and
writes the file. Keys that this version does not know are kept in `unknown` and written back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from provision.model.language import record

if TYPE_CHECKING:
    from provision.model.state import FirmwareSource

VENDOR = "vendor"
"""The directory beside a lock that may hold all that it names."""

SOURCE_CODE = "py"
"""In place of a bytecode version: a package's files as source, which any MicroPython imports."""


def _empty() -> Any:  # a mapping of whatever type the field has
    return field(default_factory=lambda: MappingProxyType({}))


def _unknown() -> Any:
    """What else stood in an entry. It says nothing about whether two entries are the same."""
    return field(default_factory=lambda: MappingProxyType({}), compare=False)


@record
class LockedDevice:
    """The board that a device was found to be; `mac` is six or eight lower-case hex pairs
    with colons."""

    mac: str | None = None
    unknown: Mapping[str, object] = _empty()


@record
class LockedFile:
    """One file: `size` in bytes; `url` is empty for a file of the manifest's own directory."""

    url: str
    size: int
    sha256: str
    unknown: Mapping[str, object] = _unknown()


@record
class LockedFirmware:
    """One image: where its bytes come from, and the version that its banner tells."""

    file: LockedFile
    version: str


@record
class LockedPackage:
    """What one package request resolved to for one bytecode version, dependencies included.

    `files` are by path below /lib. `version` is what the package says of itself, or "".
    """

    version: str
    files: Mapping[str, LockedFile]
    unknown: Mapping[str, object] = _unknown()


@record
class Lock:
    """The content of one fleet.lock.

    `devices` are by name. `firmware` is by what was asked for (`request_key`), not by its name in
    one manifest's table, so that a renamed entry stays locked and two equal ones are locked once.
    `packages` are by request and bytecode version ("6", or "py" for source).
    """

    devices: Mapping[str, LockedDevice] = _empty()
    firmware: Mapping[str, LockedFirmware] = _empty()
    packages: Mapping[tuple[str, str], LockedPackage] = _empty()
    unknown: Mapping[str, object] = _empty()

    def mac_of(self, device: str) -> str | None:
        """The MAC learned for a device, or None."""
        entry = self.devices.get(device)
        return entry.mac if entry is not None else None

    def with_macs(self, macs: Mapping[str, str]) -> Lock:
        """The same lock with the MACs of these devices learned, or learned anew. A board that was
        another device's until now is moved, so that a MAC is in the lock once."""
        learned = {
            device: replace(self.devices.get(device, LockedDevice()), mac=mac)
            for device, mac in macs.items()
        }
        devices = {**self.devices, **learned}
        taken = set(macs.values())
        for device, entry in self.devices.items():
            if device in macs or entry.mac not in taken:
                continue
            if entry.unknown:
                devices[device] = replace(entry, mac=None)
            else:
                del devices[device]
        return replace(self, devices=devices)

    def with_sources(
        self,
        *,
        firmware: Mapping[str, LockedFirmware],
        packages: Mapping[tuple[str, str], LockedPackage],
    ) -> Lock:
        """The same lock with all of its firmware and packages replaced."""
        return replace(self, firmware=firmware, packages=packages)


def request_key(source: FirmwareSource) -> str:
    """What a firmware source asks for, in one line: "ESP32_GENERIC-SPIRAM 1.24.1"."""
    if source.file is not None:
        return source.file
    if source.url is not None:
        return source.url
    board = f"{source.board or '?'}{f'-{source.variant}' if source.variant else ''}"
    return f"{board} {source.version}{' preview' if source.preview else ''}"


def bytecode_name(bytecode: str) -> str:
    """A bytecode version as fleet.lock and people write it: `mpy-6`, or `py` for source."""
    return bytecode if bytecode == SOURCE_CODE else f"mpy-{bytecode}"
