"""The manifest as data: what was written, checked for form and references, nothing resolved yet.

Texts are `Text`, so that whoever finds a mistake later can say where it stands. Variables,
templates and secrets are still as they were written; `resolve/` resolves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from provision.core.manifest.yaml_tree import Node, Table, Text
from provision.model.board import BoardProfile
from provision.model.language import record
from provision.model.plan import Rollout
from provision.model.state import Check, PortKind
from provision.model.station import StationSettings
from provision.model.unit_data import NVS_TYPES, NvsType


@record
class FileEntry:
    """One entry of a `files` list; `path` is its dotted path in the manifest."""

    node: Node
    path: str
    src: Text | None
    dest: Text | None
    absent: bool = False
    template: bool = False
    create_only: bool = False
    compile: bool = False
    exclude: tuple[str, ...] = ()


@record
class PackageEntry:
    """One entry of a `packages` list; `path` is its dotted path in the manifest."""

    text: Text
    path: str

    @property
    def name(self) -> str:
        """What it is a version of: the later layer's version of a name wins."""
        text = str(self.text)
        return text if "://" in text else text.partition("@")[0]


NvsForm = NvsType | Literal["hex", "base64", "file"]
"""How a value of NVS is written: as its type, or as a blob in another form than text."""
NVS_FORMS: tuple[NvsForm, ...] = (*NVS_TYPES, "hex", "base64", "file")


@record
class NvsSetting:
    """One entry of `nvs` as written; `value` may use variables or be a secret, `path` is its
    dotted path in the manifest."""

    namespace: Text
    key: Text
    form: NvsForm
    value: Text
    path: str

    @property
    def place(self) -> tuple[str, str]:
        return str(self.namespace), str(self.key)


@record
class CertificateEntry:
    """`certificate` as written; its texts may use variables, but for the CA's files."""

    node: Table
    path: str
    ca_cert: Text
    ca_key: Text
    cn: Text
    dest_cert: Text
    dest_key: Text
    key: Literal["ec", "rsa"] = "ec"
    days: int = 365
    renew: int = 30


@record
class PortEntry:
    """A port as written; `value` may use variables, `path` is its dotted path."""

    path: str
    kind: PortKind
    value: Text


@record
class FirmwareEntry:
    """One firmware image as written. `name` is its key in the firmware table, or its version."""

    node: Node
    path: str
    name: str
    file: Text | None = None
    url: Text | None = None
    version: str | None = None
    board: str | None = None
    variant: str | None = None
    preview: bool = False
    sha256: str | None = None
    verify: Literal["banner", "flash"] = "banner"
    erase: Literal["auto", "always", "never"] = "auto"


@record(slots=False)
class Layer:
    """What defaults, one group or one device say; None and empty where they say nothing."""

    path: str
    board: Text | None = None
    firmware: FirmwareEntry | None = None
    host: Text | None = None
    port: PortEntry | None = None
    baud: int | None = None
    transfer_baud: int | None = None  # 0 for `off`
    vars: Mapping[str, Node] = field(default_factory=lambda: MappingProxyType({}))
    files: tuple[FileEntry, ...] = ()
    packages: tuple[PackageEntry, ...] = ()
    prune: tuple[Text, ...] = ()
    nvs: tuple[NvsSetting, ...] = ()
    certificate: CertificateEntry | None = None
    check: Check | None = None


@record
class DeviceEntry:
    """One device. Those of a range share `key` and `layer`; `index` is what the range put into
    this one's name ("07"), `number` its position in the range, from 1. Those of a table share
    `key`; `row` is the name at the cell of the table that it comes from."""

    name: str
    key: Text
    layer: Layer
    groups: tuple[str, ...] = ()
    mac: Text | None = None
    index: str | None = None
    number: int | None = None
    row: Text | None = None


@record
class StationEntry:
    """The station: its settings, and what only a unit resolves. `template` is a device of the
    manifest, and none of `Manifest.devices`."""

    node: Node
    template: DeviceEntry
    name: Text
    settings: StationSettings


@record
class Manifest:
    """A whole manifest. `boards` holds the built-in profiles and its own; the indexes are base
    URLs of its own for firmware releases and packages, or None."""

    file: str
    fleet: str
    defaults: Layer
    groups: Mapping[str, Layer]
    devices: Mapping[str, DeviceEntry]
    firmware: Mapping[str, FirmwareEntry]
    boards: Mapping[str, BoardProfile]
    firmware_index: str | None = None
    package_index: str | None = None
    station: StationEntry | None = None
    rollout: Rollout | None = None

    @property
    def image_files(self) -> tuple[str, ...]:
        """The images that it names as files, relative to its folder."""
        devices = (device.layer for device in self.devices.values())
        layers = (self.defaults, *self.groups.values(), *devices)
        entries = (*self.firmware.values(), *(layer.firmware for layer in layers))
        return tuple(str(each.file) for each in entries if each is not None and each.file)

    def layers(self, device: DeviceEntry) -> tuple[Layer, ...]:
        """What makes up a device, the weakest first: defaults, groups as listed, the device."""
        groups = (self.groups[name] for name in device.groups)
        return (self.defaults, *groups, device.layer)
