"""A unit of a station as a device of the manifest.

A unit is the template under a name of its own, with its port, its MAC and its variables. What is
made of it then is what is made of any device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType

from provision.core.manifest.device_checks import uses_variables
from provision.core.manifest.model import Layer, Manifest, PortEntry, StationEntry
from provision.core.manifest.resolve.variables import BUILT_IN
from provision.core.manifest.table_reader import NAME
from provision.core.manifest.template import render_path
from provision.core.manifest.yaml_tree import Node, Text
from provision.core.wording import quoted
from provision.errors import TemplateError
from provision.model.language import record
from provision.model.state import PortSelector

VARIABLES = BUILT_IN | {"serial", "mac", "station"}
"""What no column of the table may be called."""

_SAMPLE_MAC = "02:00:00:00:00:00"


@record
class UnitValues:
    """What a unit differs by: its number, its board's MAC (None of one that has not said who it is
    yet) and port, the station, and the columns of its row in the table."""

    serial: str
    mac: str | None
    station: str
    port: PortSelector
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def variables(self) -> dict[str, str]:
        return {
            **self.columns,
            "serial": self.serial,
            "mac": self.mac or _SAMPLE_MAC,
            "station": self.station,
        }


def unit_name(station: StationEntry, values: UnitValues) -> str:
    """What a unit is called; ValueError for what cannot be a device's name."""
    try:
        name = render_path(station.name, variables=values.variables)
    except TemplateError as error:
        raise ValueError(error.problem.message) from None
    if not NAME.fullmatch(name):
        raise ValueError(f"{quoted(name)} cannot name a unit; use letters, digits, _, . and -")
    return name


def unit_manifest(manifest: Manifest, values: UnitValues) -> tuple[Manifest, str]:
    """The manifest with a unit among its devices, and the unit's name; ValueError as `unit_name`,
    and for the name of another device."""
    station = manifest.station
    assert station is not None
    name = unit_name(station, values)
    if name in manifest.devices:
        raise ValueError(f"{quoted(name)} is a device of the manifest")
    template = station.template
    key = template.key
    layer = template.layer
    own: dict[str, Node] = {
        name: Text.at(text, key.line, key.column, plain=False)
        for name, text in values.variables.items()
    }
    unit = replace(
        template,
        name=name,
        layer=replace(
            layer,
            port=PortEntry(
                path=layer.path,
                kind=values.port.kind,
                value=Text.at(values.port.value, key.line, key.column, plain=False),
            ),
            vars=MappingProxyType({**layer.vars, **own}),
        ),
        mac=Text.at(values.mac, key.line, key.column, plain=False) if values.mac else None,
    )
    return replace(manifest, devices=MappingProxyType({**manifest.devices, name: unit})), name


def sample_values(serial: str, columns: Mapping[str, str]) -> UnitValues:
    """A unit as it might be."""
    return UnitValues(
        serial=serial,
        mac=_SAMPLE_MAC,
        station="station",
        port=PortSelector(kind="path", value="-"),
        columns=columns,
    )


def bare_manifest(manifest: Manifest, values: UnitValues) -> tuple[Manifest, str]:
    """The manifest of a unit alone, for what is to be known before it has a number. Sources that
    depend on the unit are left out: whoever makes them may do so for each."""
    made, name = unit_manifest(manifest, values)
    unit = made.devices[name]
    return replace(
        made,
        defaults=_without_own_sources(made.defaults),
        groups=MappingProxyType(
            {group: _without_own_sources(layer) for group, layer in made.groups.items()}
        ),
        devices=MappingProxyType({name: replace(unit, layer=_without_own_sources(unit.layer))}),
    ), name


def _without_own_sources(layer: Layer) -> Layer:
    files = tuple(one for one in layer.files if one.src is None or not uses_variables(one.src))
    return replace(layer, files=files) if len(files) != len(layer.files) else layer
