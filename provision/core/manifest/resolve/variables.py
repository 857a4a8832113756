"""What templates of a device see: the manifest's `vars`, `!secret` and `!env`, and a few built in.

The layers' variables are evaluated once each and shared by the devices; a secret stays a `Secret`
until a template renders it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from provision.core.manifest.model import DeviceEntry, Layer, Manifest
from provision.core.manifest.resolve.packages import Report
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text
from provision.core.wording import did_you_mean, printable, quoted
from provision.model.language import assert_never
from provision.model.secret import PLACEHOLDER, Secret

_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
BUILT_IN = frozenset({"name", "fleet", "board", "index", "number"})
_IN_BRACES = re.compile(r"\{\{-?\s*([A-Za-z_]\w{0,99})\s*[|}.\[]", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]+", re.ASCII)


class Variables:
    """The variables of one manifest's devices; what is wrong with one goes to `report`.

    `no_secrets` is added to the message about an unknown secret; `secret_faults` says of some why
    they are.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        secrets: Mapping[str, Secret],
        environment: Mapping[str, str],
        no_secrets: str,
        secret_faults: Mapping[str, str],
        report: Report,
    ) -> None:
        self._manifest = manifest
        self._secrets = secrets
        self._environment = environment
        self._no_secrets = no_secrets
        self._secret_faults = secret_faults
        self._report = report
        self._by_layer: dict[int, Mapping[str, object]] = {}

    def of(self, device: DeviceEntry) -> Mapping[str, object]:
        """The manifest's variables over `name`, `fleet`, `board`, and in a range `index` and
        `number`."""
        layers = self._manifest.layers(device)
        merged: dict[str, object] = {"name": device.name, "fleet": self._manifest.fleet}
        for layer in reversed(layers):
            if layer.board is not None:
                merged["board"] = str(layer.board)
                break
        if device.index is not None:
            merged["index"] = device.index
            merged["number"] = device.number
        for layer in layers:
            if layer.vars:
                merged.update(self._of_layer(layer))
        return MappingProxyType(merged)

    def _of_layer(self, layer: Layer) -> Mapping[str, object]:
        known = self._by_layer.get(id(layer))
        if known is None:
            known = self._by_layer[id(layer)] = {
                str(name): self._value(node, f"{layer.path}.vars.{name}")
                for name, node in layer.vars.items()
            }
        return known

    def _value(self, node: Node, path: str) -> object:
        match node:
            case Table():
                return {str(key): self._value(item, f"{path}.{key}") for key, item in node.items()}
            case Items():
                return [self._value(item, f"{path}[{place}]") for place, item in enumerate(node)]
            case Text():
                return plain_value(node) if node.tag is None else self._secret(node, path)
            case _:
                return assert_never(node)

    def _secret(self, node: Text, path: str) -> Secret:
        name = node.strip()
        found: Secret | None
        hint = None
        if node.tag == "!env":
            value = self._environment.get(name)
            found = Secret(name, value) if value is not None else None
            message = f"the environment variable {printable(name, 60)} is not set"
        else:
            found = self._secrets.get(name)
            message = f"unknown secret {quoted(name)}"
            near = did_you_mean(name, self._secrets)
            message += near or self._no_secrets
            if not near:
                hint = (
                    f"write `{printable(name, 60)}: …` into secrets.yaml beside the manifest, or "
                    "name another file with `--secrets FILE`"
                )
            if name in self._secret_faults:
                message = f"the secret {quoted(name)} {self._secret_faults[name]}"
                hint = "`provision config` shows the command and its folders; try it by hand"
        if found is None:
            if name:
                self._report(node, path, message, hint=hint)
            return Secret(name, PLACEHOLDER)  # of whose value nothing more is said
        return found


def secret_names(manifest: Manifest, devices: Iterable[DeviceEntry]) -> Iterator[str]:
    """What `!secret` asks for in anything that these devices are made of."""
    layers = {id(layer): layer for device in devices for layer in manifest.layers(device)}
    for layer in layers.values():
        for node in layer.vars.values():
            for text, _ in _texts(node, ""):
                if text.tag == "!secret" and text.strip():
                    yield text.strip()


def unrendered_variables(manifest: Manifest, document: Document) -> Iterator[str]:
    """A warning for each variable whose value names another one in `{{ … }}`: values are no
    templates, and a board would get it as it is written. What names none is text for others, such
    as Home Assistant's templates."""
    own = tuple(device.layer for device in manifest.devices.values())
    layers = {id(layer): layer for layer in (manifest.defaults, *manifest.groups.values(), *own)}
    names = {str(name) for layer in layers.values() for name in layer.vars} | BUILT_IN
    for layer in layers.values():
        for name, node in layer.vars.items():
            for text, path in _texts(node, f"{layer.path}.vars.{name}"):
                if text.tag is not None:
                    continue
                used = next((m[1] for m in _IN_BRACES.finditer(text) if m[1] in names), None)
                if used is not None:
                    place = document.problem(text, path, "").place
                    yield (
                        f"{place}: {path}: variables are not rendered: this stays {quoted(text)} "
                        f"wherever it is used; write {{{{ {used} }}}} in the template itself"
                    )


def _texts(node: Node, path: str) -> Iterator[tuple[Text, str]]:
    match node:
        case Table():
            for key, item in node.items():
                yield from _texts(item, f"{path}.{key}")
        case Items():
            for place, item in enumerate(node):
                yield from _texts(item, f"{path}[{place}]")
        case Text():
            yield node, path
        case _:
            assert_never(node)


def plain_value(text: Text) -> object:
    """A variable's value: true, false, null and numbers in their plain form have their own type,
    so that templates can calculate; whatever would not be printed as it was written is text."""
    if text.null:
        return None
    if not text.plain:
        return str(text)
    if text in _TRUTHS:
        return _TRUTHS[text]
    number = text.integer
    if number is not None and str(number) == text:
        return number
    if _FLOAT.fullmatch(text) and len(text) < 20 and repr(float(text)) == text:
        return float(text)
    return str(text)
