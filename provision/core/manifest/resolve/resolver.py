"""From the manifest to one desired state per device: variables, secrets, templates, files.

Everything that devices share is worked out once. A problem names the place in the manifest or in
the template where it can be mended, and one that many devices have in common is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from provision.core.hosts import host_fault
from provision.core.manifest.device_checks import (
    ANY_PORT,
    declared_mac,
    effective_board,
    effective_host,
    effective_port,
    host_key,
    normal_mac,
    port_taken,
    same_port,
    unusable_port,
    uses_variables,
)
from provision.core.manifest.manifest_builder import UrlCheck, any_url
from provision.core.manifest.model import DeviceEntry, FirmwareEntry, Layer, Manifest
from provision.core.manifest.resolve.destinations import missing_source
from provision.core.manifest.resolve.file_contents import FileContents
from provision.core.manifest.resolve.file_placement import (
    FilePlacement,
    FilePlacer,
    FileSet,
    Sources,
)
from provision.core.manifest.resolve.packages import (
    Library,
    LibraryFiles,
    joined_packages,
    shadowing_sources,
)
from provision.core.manifest.resolve.pruning import Pruning
from provision.core.manifest.resolve.unit_data import certificate_of, nvs_entries
from provision.core.manifest.resolve.variables import Variables
from provision.core.manifest.template import render_path
from provision.core.manifest.yaml_tree import Document, Node
from provision.core.wording import quoted
from provision.errors import Problem, TemplateError
from provision.model.board import BoardProfile
from provision.model.board_path import LIBRARY
from provision.model.chip import Chip
from provision.model.secret import Secret
from provision.model.state import (
    DesiredFile,
    DesiredFirmware,
    DesiredState,
    FirmwareSource,
    PortSelector,
)

ImageCheck = Callable[[FirmwareSource, BoardProfile], str | None]
"""Looks into an image file for a board: what speaks against it, or None."""

BytecodeCheck = Callable[[bytes, FirmwareSource, Chip], str | None]
"""Why a firmware on a chip cannot import this `.mpy`, or None."""


class Resolver:
    """Resolves the devices of one manifest; `problems()` tells what was found so far.

    `secrets` and `environment` answer `!secret` and `!env`; `no_secrets` is added to the message
    about an unknown secret (such as that there is no secrets file at all), `secret_faults` says of
    some why they are unknown. `library` supplies
    packages and bytecode; without one, packages have no files and source stays as it is.
    `check_image` looks into image files; without it they only have to be there. `check_bytecode`
    judges `.mpy` files, `check_url` the URLs of ports.
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
        secret_faults: Mapping[str, str] = MappingProxyType({}),
        library: Library | None = None,
        check_image: ImageCheck | None = None,
        check_bytecode: BytecodeCheck | None = None,
        check_url: UrlCheck = any_url,
    ) -> None:
        self.manifest = manifest
        self.document = document
        self.sources = sources
        self.variables = Variables(
            manifest,
            secrets=secrets,
            environment=environment,
            no_secrets=no_secrets,
            secret_faults=secret_faults,
            report=self._report,
        )
        self.placer = FilePlacer(sources, self._report, document.line_name)
        self._pruning = Pruning(self._report, document.line_name)
        self.check_image = check_image
        self.check_bytecode = check_bytecode
        self.check_url = check_url
        self.library = LibraryFiles(library, self._report, document.line_name)
        self.contents = FileContents(sources, self.library, self._report, self._add_problem)
        self._devices_by_problem: dict[Problem, list[str]] = {}
        self._device = ""
        self._failed = False

    def states(self, names: Iterable[str]) -> Iterator[DesiredState]:
        """The desired states of these devices, in order, without those that have a problem."""
        ports: dict[tuple[str, ...], DeviceEntry] = {}
        for name in names:
            device = self.manifest.devices[name]
            state = self._state(device)
            port = state.port if state is not None else None
            if state is not None and port is not None and port.kind != "any":
                key = (host_key(state.host), *same_port(port.kind, port.value))
                owner = ports.setdefault(key, device)
                if owner is not device:
                    self._report_shared_port(device, owner, port)
                    continue
            if state is not None:
                yield state

    def ports(self, names: Iterable[str]) -> Iterator[PortSelector]:
        """The ports of these devices, and nothing else of them, without those that have a
        problem."""
        for name in names:
            device = self.manifest.devices[name]
            port = self._port(device, self.variables.of(device))
            if port is not None:
                yield port

    def hosts(self) -> Mapping[str, str | None]:
        """The host of each device, and nothing else of them; None for one that names none, and for
        one that has a problem."""
        return {name: self._host(device) for name, device in self.manifest.devices.items()}

    def declared_macs(self) -> Mapping[str, str]:
        """The MAC of each device that declares one, by `mac:` or by a port that is found by it,
        without those that have a problem."""
        declared = {}
        for name, device in self.manifest.devices.items():
            mac = declared_mac(self.manifest, device)
            entry = effective_port(self.manifest, device)
            if mac is None and entry is not None and entry.kind == "mac":
                port = self._port(device, self.variables.of(device))
                mac = port.value if port is not None else None
            if mac is not None:
                declared[name] = mac
        return declared

    def check_firmware_files(self) -> None:
        """Every image file of the firmware table must be there, used or not."""
        for entry in self.manifest.firmware.values():
            self._check_firmware_file(entry)

    def problems(self) -> tuple[Problem, ...]:
        """What was found, each problem once; one in a template, or of the devices of a table,
        names those it is about."""
        problems = []
        for problem, devices in self._devices_by_problem.items():
            own = self.document.has_file(problem.place.file)
            rows = [name for name in devices if self.manifest.devices[name].row is not None]
            if devices and (rows or not own):
                more = f" and {len(devices) - 1:,} more" if len(devices) > 1 else ""
                problem = replace(problem, message=f"{problem.message} (for {devices[0]}{more})")  # noqa: PLW2901
            problems.append(problem)
        return tuple(problems)

    # -- problems --------------------------------------------------------------------------------

    def _report(self, node: Node, path: str, message: str, *, hint: str | None = None) -> None:
        self._add_problem(replace(self.document.problem(node, path, message), hint=hint))

    def _add_problem(self, problem: Problem) -> None:
        self._failed = True
        devices = self._devices_by_problem.setdefault(problem, [])
        if self._device and (not devices or devices[-1] != self._device):
            devices.append(self._device)

    # -- one device ------------------------------------------------------------------------------

    def _state(self, device: DeviceEntry) -> DesiredState | None:
        manifest = self.manifest
        layers = manifest.layers(device)
        self._device, self._failed = device.name, False
        board = effective_board(manifest, device)
        variables = self.variables.of(device)
        placed = self._placed(layers, variables)
        files = placed.by_dest
        host = self._host(device)
        port = self._port(device, variables)
        prune = self._pruning.roots(layers, files)
        packages = joined_packages(layers)
        self._pruning.check_empty_sources(placed, prune, LIBRARY if packages else None)
        firmware = next((layer.firmware for layer in reversed(layers) if layer.firmware), None)
        if firmware is not None:
            self._check_firmware_file(firmware)
        absent = {dest for dest, placement in files.items() if placement.source is None}
        desired = self._firmware(firmware, board) if firmware is not None and board else None
        if firmware is not None and desired is not None and board is not None:
            self._check_image(firmware, desired, board)
        source = desired.source if desired is not None else None
        wanted = [
            self.contents.compiled(placement, variables, source, board.chip)
            if placement.compile and board is not None
            else self.contents.file(placement, variables)
            for placement in files.values()
            if placement.source is not None
        ]
        if source is not None and board is not None:
            self._check_bytecode(files, wanted, source, board.chip)
        fetched = self.library.add(packages, files, source) if packages else []
        bytecode = [dest for dest, placement in files.items() if placement.compile]
        bytecode += [file.dest for file in fetched]
        if bytecode:
            absent |= shadowing_sources(bytecode, {*files, *(file.dest for file in fetched)})
        nvs = (
            nvs_entries(layers, variables, board, self.sources, self._report)
            if board is not None and any(layer.nvs for layer in layers)
            else ()
        )
        going = [*(file for file in wanted if file is not None), *fetched]
        certificate = certificate_of(layers, variables, going, self.sources, self._report)
        self._device = ""
        if self._failed or board is None:
            return None
        check = next((layer.check for layer in reversed(layers) if layer.check), None)
        baud = next((layer.baud for layer in reversed(layers) if layer.baud), 115200)
        highest = next(
            (one.transfer_baud for one in reversed(layers) if one.transfer_baud is not None), None
        )
        return DesiredState(
            device=str(device.name),
            board=board,
            host=host,
            port=port,
            mac=declared_mac(manifest, device),
            firmware=desired,
            files=tuple(
                sorted([*(file for file in wanted if file is not None), *fetched], key=_dest)
            ),
            absent=tuple(sorted(absent)),
            prune=prune,
            nvs=nvs,
            certificate=certificate,
            check=check,
            baud=baud,
            transfer_baud=highest,
            groups=device.groups,
            packages=tuple(str(entry.text) for entry in packages),
            variables=variables,
        )

    def _placed(self, layers: tuple[Layer, ...], variables: Mapping[str, object]) -> FileSet:
        return self.placer.place(layers, lambda text: render_path(text, variables=variables))

    def _host(self, device: DeviceEntry) -> str | None:
        host = effective_host(self.manifest, device)
        if host is None or not uses_variables(host):
            return str(host) if host is not None else None
        try:
            name = render_path(host, variables=self.variables.of(device))
            fault = host_fault(name)
        except TemplateError as error:
            fault = error.problem.message
        if fault is None:
            return name
        path = next(one.path for one in self.manifest.layers(device) if one.host is host)
        self._report(host, f"{path}.host", fault)
        return None

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
            if kind == "path" and "://" in value:
                kind = "url"
            elif kind == "path" and value == ANY_PORT:
                kind = "any"
            wrong = unusable_port(kind, value) if value.strip() else "renders to an empty text"
            if wrong is None and kind == "url":
                wrong = self.check_url(value)
            if wrong is not None:
                self._report(entry.value, entry.path, wrong)
                return None
        if kind == "mac":
            value = normal_mac(value, effective_board(self.manifest, device)) or value
        return PortSelector(kind=kind, value=value)

    def _report_shared_port(
        self, device: DeviceEntry, owner: DeviceEntry, port: PortSelector
    ) -> None:
        entries = [effective_port(self.manifest, each) for each in (device, owner)]
        for entry in entries:
            if entry is not None and uses_variables(entry.value):
                self._report(entry.value, entry.path, port_taken(port.value, device, owner))
                return

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

    def _check_image(
        self, entry: FirmwareEntry, desired: DesiredFirmware, board: BoardProfile
    ) -> None:
        if self.check_image is None or entry.file is None or self._failed:
            return
        complaint = self.check_image(desired.source, board)
        if complaint is not None:
            self._report(entry.file, f"{entry.path}.file", complaint)

    def _check_bytecode(
        self,
        placements: Mapping[str, FilePlacement],
        files: Iterable[DesiredFile | None],
        firmware: FirmwareSource,
        chip: Chip,
    ) -> None:
        if self.check_bytecode is None:
            return
        for file in files:
            if file is None or not file.dest.endswith(".mpy"):
                continue
            placement = placements[file.dest]
            if placement.compile:  # made for this firmware
                continue
            fault = self.check_bytecode(file.content.data, firmware, chip)
            if fault is not None:
                entry = placement.entry
                message = f"{quoted(file.source)} {fault}"
                self._report(entry.src or entry.node, f"{entry.path}.src", message)

    def _check_firmware_file(self, entry: FirmwareEntry) -> None:
        if entry.file is None:
            return
        kind = self.sources.kind(entry.file)
        if kind not in ("file", "outside"):  # an image is never put on a board as a file
            what = "no such file" if kind == "missing" else "not a file"
            self._report(entry.file, f"{entry.path}.file", missing_source(what, entry.file))


def _dest(file: DesiredFile) -> str:
    return file.dest
