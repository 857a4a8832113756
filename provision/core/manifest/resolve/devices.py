"""From the manifest to one desired state per device: variables, secrets, templates, files.

Everything that devices share is worked out once. A problem names the place in the manifest or in
the template where it can be mended, and one that many devices have in common is told once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from provision.core.manifest.model import DeviceEntry, FirmwareEntry, Layer, Manifest
from provision.core.manifest.reference_checks import (
    effective_port,
    normal_mac,
    port_taken,
    unusable_port,
    uses_variables,
)
from provision.core.manifest.resolve.files import FilePlanner, Planned, Sources, clean_dest
from provision.core.manifest.resolve.packages import (
    Library,
    LibraryFiles,
    joined_packages,
    shadowing,
)
from provision.core.manifest.template import render, render_path
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text
from provision.core.manifest.yaml_tree_reader import NotText, decode
from provision.core.wording import did_you_mean, printable, quoted
from provision.errors import Problem, TemplateError
from provision.model.board import BoardProfile
from provision.model.chip import Chip
from provision.model.secret import Secret
from provision.model.state import (
    Content,
    DesiredFile,
    DesiredFirmware,
    DesiredState,
    FirmwareSource,
    PortSelector,
)

_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]+", re.ASCII)

ImageComplaint = Callable[[FirmwareSource, BoardProfile], str | None]
"""Looks into an image file for a board: what speaks against it, or None."""


class Resolver:
    """Resolves the devices of one manifest; `problems()` tells what was found so far.

    `secrets` and `environment` answer `!secret` and `!env`; `no_secrets` is added to the message
    about an unknown secret (such as that there is no secrets file at all). `library` supplies
    packages and bytecode; without one, packages have no files and source stays as it is.
    `images` looks into image files; without it they only have to be there.
    """

    def __init__(
        self,
        manifest: Manifest,
        document: Document,
        *,
        sources: Sources,
        secrets: Mapping[str, Secret],
        environment: Mapping[str, str],
        no_secrets: str = "",
        library: Library | None = None,
        images: ImageComplaint | None = None,
    ) -> None:
        self.manifest = manifest
        self.document = document
        self.sources = sources
        self.secrets = secrets
        self.environment = environment
        self.no_secrets = no_secrets
        self.planner = FilePlanner(sources, self._report)
        self.images = images
        self.library = LibraryFiles(library, self._report)
        self._variables: dict[int, Mapping[str, object]] = {}
        self._shared_files: dict[tuple[str | None, str, bool], DesiredFile] = {}
        self._texts: dict[str, str | None] = {}
        self._found: dict[Problem, list[str]] = {}
        self._device = ""
        self._failed = False
        self.revealed: set[str] = set()

    def states(self, names: Iterable[str]) -> Iterator[DesiredState]:
        """The desired states of these devices, in order, without those that have a problem."""
        ports: dict[PortSelector, DeviceEntry] = {}
        for name in names:
            device = self.manifest.devices[name]
            state = self._state(device)
            port = state.port if state is not None else None
            if port is not None:
                owner = ports.setdefault(port, device)
                if owner is not device:
                    self._templated_port_taken(device, owner, port)
                    continue
            if state is not None:
                yield state

    def ports(self, names: Iterable[str]) -> Iterator[PortSelector]:
        """The ports of these devices, and nothing else of them, without those that have a
        problem."""
        for name in names:
            device = self.manifest.devices[name]
            port = self._port(device, self.variables(device))
            if port is not None:
                yield port

    def check_firmware_files(self) -> None:
        """Every image file of the firmware table must be there, used or not."""
        for entry in self.manifest.firmware.values():
            self._check_firmware_file(entry)

    def problems(self) -> tuple[Problem, ...]:
        """What was found, each problem once; one in a template names the devices it is about."""
        told = []
        for problem, devices in self._found.items():
            if devices and problem.place.file != self.document.file:
                more = f" and {len(devices) - 1:,} more" if len(devices) > 1 else ""
                problem = replace(problem, message=f"{problem.message} (for {devices[0]}{more})")  # noqa: PLW2901
            told.append(problem)
        return tuple(told)

    # -- problems --------------------------------------------------------------------------------

    def _report(self, node: Node, path: str, message: str) -> None:
        self._tell(self.document.problem(node, path, message))

    def _tell(self, problem: Problem) -> None:
        self._failed = True
        devices = self._found.setdefault(problem, [])
        if self._device and (not devices or devices[-1] != self._device):
            devices.append(self._device)

    # -- one device ------------------------------------------------------------------------------

    def _state(self, device: DeviceEntry) -> DesiredState | None:
        manifest = self.manifest
        layers = manifest.layers(device)
        self._device, self._failed = device.name, False
        board_name = next(
            (layer.board for layer in reversed(layers) if layer.board is not None), None
        )
        board = manifest.boards.get(board_name) if board_name is not None else None
        variables = self.variables(device)
        files = self._files(layers, variables)
        port = self._port(device, variables)
        prune = self._prune(layers)
        firmware = next((layer.firmware for layer in reversed(layers) if layer.firmware), None)
        if firmware is not None:
            self._check_firmware_file(firmware)
        absent = {dest for dest, planned in files.items() if planned.source is None}
        desired = self._firmware(firmware, board) if firmware is not None and board else None
        if self.images and desired and board and firmware and firmware.file and not self._failed:
            said = self.images(desired.source, board)
            if said is not None:
                self._report(firmware.file, f"{firmware.path}.file", said)
        source = desired.source if desired is not None else None
        wanted = [
            self._compiled(planned, variables, source, board.chip)
            if planned.compile and board is not None
            else self._file(planned, variables)
            for planned in files.values()
            if planned.source is not None
        ]
        packages = joined_packages(layers)
        fetched = self.library.add(packages, files, source) if packages else []
        bytecode = [dest for dest, planned in files.items() if planned.compile]
        bytecode += [file.dest for file in fetched]
        if bytecode:
            absent |= shadowing(bytecode, {*files, *(file.dest for file in fetched)})
        self._device = ""
        if self._failed or board is None:
            return None
        check = next((layer.check for layer in reversed(layers) if layer.check), None)
        baud = next((layer.baud for layer in reversed(layers) if layer.baud), 115200)
        return DesiredState(
            device=str(device.name),
            board=board,
            port=port,
            mac=normal_mac(device.mac) if device.mac is not None else None,
            firmware=desired,
            files=tuple(
                sorted([*(file for file in wanted if file is not None), *fetched], key=_dest)
            ),
            absent=tuple(sorted(absent)),
            prune=prune,
            check=check,
            baud=baud,
            groups=device.groups,
            packages=tuple(str(entry.text) for entry in packages),
            variables=variables,
        )

    def _files(
        self, layers: tuple[Layer, ...], variables: Mapping[str, object]
    ) -> Mapping[str, Planned]:
        return self.planner.plan(
            layers, lambda text: render_path(text, variables=variables)
        ).by_dest

    def _port(self, device: DeviceEntry, variables: Mapping[str, object]) -> PortSelector | None:
        entry = effective_port(self.manifest, device)
        if entry is None:
            return None
        value = str(entry.value)
        kind = entry.kind
        if uses_variables(value):
            try:
                value = render_path(value, variables=variables)
            except TemplateError as error:
                self._report(entry.value, entry.path, error.problem.message)
                return None
            wrong = unusable_port(kind, value) if value.strip() else "renders to nothing"
            if wrong is not None:
                self._report(entry.value, entry.path, wrong)
                return None
            if kind == "path" and "://" in value:
                kind = "url"
        if kind == "mac":
            value = normal_mac(value) or value
        return PortSelector(kind=kind, value=value)

    def _templated_port_taken(
        self, device: DeviceEntry, owner: DeviceEntry, port: PortSelector
    ) -> None:
        entries = [effective_port(self.manifest, each) for each in (device, owner)]
        for entry in entries:
            if entry is not None and uses_variables(entry.value):
                self._report(entry.value, entry.path, port_taken(port.value, device, owner))
                return

    def _prune(self, layers: Iterable[Layer]) -> tuple[str, ...]:
        paths: dict[str, None] = {}
        for layer in layers:
            for position, text in enumerate(layer.prune):
                if not text.strip("/"):
                    paths["/"] = None
                    continue
                try:
                    paths[clean_dest(text)] = None
                except ValueError as error:
                    self._report(text, f"{layer.path}.prune[{position}]", str(error))
        return tuple(sorted(paths))

    # -- firmware ----------------------------------------------------------------------------------

    def _firmware(self, entry: FirmwareEntry, board: BoardProfile) -> DesiredFirmware:
        released = entry.file is None and entry.url is None
        return DesiredFirmware(
            source=FirmwareSource(
                name=entry.name,
                file=str(entry.file) if entry.file is not None else None,
                url=str(entry.url) if entry.url is not None else None,
                version=entry.version,
                board=entry.board or (board.release if released else None),
                # A build named in the manifest is another one than the profile's.
                variant=entry.variant
                or (board.variant if released and entry.board is None else None),
                preview=entry.preview,
                sha256=entry.sha256,
            ),
            erase=entry.erase,
            verify=entry.verify,
        )

    def _check_firmware_file(self, entry: FirmwareEntry) -> None:
        if entry.file is None:
            return
        kind = self.sources.kind(entry.file)
        if kind not in ("file", "outside"):  # an image is never put on a board as a file
            what = "no such file" if kind == "missing" else "not a file"
            self._report(entry.file, f"{entry.path}.file", f"{what}: {quoted(entry.file)}")

    # -- variables ---------------------------------------------------------------------------------

    def variables(self, device: DeviceEntry) -> Mapping[str, object]:
        """What templates see: the manifest's variables over `name`, `fleet`, `board`, and in a
        range `index` and `number`."""
        layers = self.manifest.layers(device)
        merged: dict[str, object] = {"name": device.name, "fleet": self.manifest.fleet}
        for layer in reversed(layers):
            if layer.board is not None:
                merged["board"] = str(layer.board)
                break
        if device.index is not None:
            merged["index"] = device.index
            merged["number"] = device.number
        for layer in layers:
            if layer.vars:
                merged.update(self._layer_variables(layer))
        return MappingProxyType(merged)

    def _layer_variables(self, layer: Layer) -> Mapping[str, object]:
        known = self._variables.get(id(layer))
        if known is None:
            known = self._variables[id(layer)] = {
                str(name): self._value(node, f"{layer.path}.vars.{name}")
                for name, node in layer.vars.items()
            }
        return known

    def _value(self, node: Node, path: str) -> object:
        if isinstance(node, Table):
            return {str(key): self._value(item, f"{path}.{key}") for key, item in node.items()}
        if isinstance(node, Items):
            return [self._value(item, f"{path}[{place}]") for place, item in enumerate(node)]
        if node.tag is not None:
            return self._secret(node, path)
        return plain_value(node)

    def _secret(self, node: Text, path: str) -> Secret:
        name = node.strip()
        found: Secret | None
        if node.tag == "!env":
            value = self.environment.get(name)
            found = Secret(name, value) if value is not None else None
            message = f"the environment has no variable {printable(name, 60)}"
        else:
            found = self.secrets.get(name)
            message = f"unknown secret {quoted(name)}"
            message += did_you_mean(name, self.secrets) or self.no_secrets
        if found is None:
            if name:
                self._report(node, path, message)
            return Secret(name, "")
        self.revealed.add(found.reveal())
        return found

    # -- contents ----------------------------------------------------------------------------------

    def _file(self, planned: Planned, variables: Mapping[str, object]) -> DesiredFile | None:
        if not planned.template:
            key = (planned.source, planned.dest, planned.entry.create_only)
            shared = self._shared_files.get(key)
            if shared is None:
                content = self._read(planned)
                if content is None:
                    return None
                shared = self._shared_files[key] = _desired(planned, content)
            return shared
        text = self._template(planned)
        if text is None:
            return None
        assert planned.source is not None
        try:
            content = render(text, name=self.sources.locate(planned.source), variables=variables)
        except TemplateError as error:
            self._tell(error.problem)
            return None
        return _desired(planned, content)

    def _compiled(
        self,
        planned: Planned,
        variables: Mapping[str, object],
        firmware: FirmwareSource | None,
        chip: Chip,
    ) -> DesiredFile | None:
        file = self._file(planned, variables)
        if file is None:
            return None
        content = self.library.compiled(planned, file.content, firmware, chip)
        return replace(file, content=content) if content is not None else None

    def _read(self, planned: Planned) -> Content | None:
        assert planned.source is not None
        try:
            return self.sources.read(planned.source)
        except OSError as error:
            entry = planned.entry
            message = f"{quoted(planned.source)}: {error.strerror or error}"
            self._report(entry.src or entry.node, f"{entry.path}.src", message)
            return None

    def _template(self, planned: Planned) -> str | None:
        """A template's text; None, with the problem told, where it is no text."""
        assert planned.source is not None
        if planned.source in self._texts:
            text = self._texts[planned.source]
            self._failed = self._failed or text is None
            return text
        content = self._read(planned)
        text = None
        if content is not None:
            try:
                text = decode(content.data, self.sources.locate(planned.source))
            except NotText as error:
                self._tell(error.problem)
        self._texts[planned.source] = text
        return text


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


def _desired(planned: Planned, content: Content) -> DesiredFile:
    assert planned.source is not None
    return DesiredFile(
        dest=planned.dest,
        source=planned.source,
        content=content,
        create_only=planned.entry.create_only,
        template=planned.template,
    )


def _dest(file: DesiredFile) -> str:
    return file.dest
