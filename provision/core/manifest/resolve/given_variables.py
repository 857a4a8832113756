"""Variables that a command line gives, `-e name=value`: they go before those of every layer.

Pure. A value is plain text as in the manifest: `60` is a number, `1.20` stays `1.20`. One that
takes the place of a secret is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from provision.core.manifest.model import DeviceEntry, Layer, Manifest
from provision.core.manifest.resolve.variables import BUILT_IN
from provision.core.manifest.yaml_tree import Items, Node, Table, Text
from provision.core.wording import did_you_mean
from provision.model.language import assert_never
from provision.model.secret import Secret


def with_variables(
    manifest: Manifest, given: Mapping[str, str]
) -> tuple[Manifest, Mapping[str, Secret], tuple[str, ...]]:
    """The manifest whose devices, and the units of its station, have these variables; the secrets
    among them, by the names that it now asks for; and warnings of those that it does not have."""
    if not given:
        return manifest, {}, ()
    devices = [*manifest.devices.values()]
    if manifest.station is not None:
        devices.append(manifest.station.template)
    layers = {
        id(layer): layer
        for layer in (
            manifest.defaults,
            *manifest.groups.values(),
            *(device.layer for device in devices),
        )
    }
    known = {str(name) for layer in layers.values() for name in layer.vars} | BUILT_IN
    hidden = {
        name
        for layer in layers.values()
        for name, node in layer.vars.items()
        if name in given and _has_secret(node)
    }
    # A name that no file can have, so that none is taken for it.
    secrets = {f"-e {name}": Secret(name, given[name]) for name in hidden}
    nodes: dict[str, Node] = {
        name: Text.at(f"-e {name}", 1, 1, tag="!secret")
        if name in hidden
        else Text.at(value, 1, 1, plain=bool(value))
        for name, value in given.items()
    }
    own: dict[int, Layer] = {}  # those of a range stay one

    def told(device: DeviceEntry) -> DeviceEntry:
        layer = own.get(id(device.layer))
        if layer is None:
            layer = replace(device.layer, vars=MappingProxyType({**device.layer.vars, **nodes}))
            own[id(device.layer)] = layer
        return replace(device, layer=layer)

    station = manifest.station
    return (
        replace(
            manifest,
            devices=MappingProxyType({key: told(one) for key, one in manifest.devices.items()}),
            station=replace(station, template=told(station.template)) if station else None,
        ),
        secrets,
        tuple(
            f"-e {name}: the manifest has no such variable{did_you_mean(name, known)}"
            for name in given
            if name not in known
        ),
    )


def _has_secret(node: Node) -> bool:
    match node:
        case Table():
            return any(map(_has_secret, node.values()))
        case Items():
            return any(map(_has_secret, node))
        case Text():
            return node.tag is not None
        case _:
            return assert_never(node)
