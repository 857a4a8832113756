"""The part of the Python API that stations stand on: a manifest whose units are made one after the
other, each as a fleet of one. `api.py` has it with the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path

from provision.app import Supplies, load_manifest, supply, this_host
from provision.core.manifest.resolve.units import UnitValues
from provision.core.planning.port_choice import matching
from provision.errors import UsageError
from provision.interfaces import PortInfo
from provision.model.language import record
from provision.model.state import DesiredFirmware, DesiredState, PortSelector
from provision.model.station import StationSettings
from provision.project.fleet import Fleet
from provision.project.git.commit import commit_of


@record
class MadeUnit:
    """What a unit that passed was made of. `files` are sha256 by path, without those that hold
    secrets."""

    commit: str | None
    firmware_version: str | None
    firmware_sha256: str | None
    files: Mapping[str, str]


@record(slots=False)
class StationManifest:
    """A manifest that has a station, read once; what is written to it later is for the next start.
    `table` has the rows of its CSV file by their numbers, and is empty for a counter."""

    supplies: Supplies
    settings: StationSettings
    table: Mapping[str, Mapping[str, str]] = field(repr=False)

    @property
    def path(self) -> Path:
        return self.supplies.loaded.path

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def fleet(self) -> str:
        return self.supplies.loaded.manifest.fleet

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.supplies.loaded.warnings

    def masked(self, text: str) -> str:
        """A text with every secret in it masked."""
        return self.supplies.loaded.redactor.text(text)

    def prober(self, port: str) -> Fleet:
        """A fleet of whatever board is at a port, for `facts`: it is asked as the template's board
        is, and nothing is known of it."""
        return self.unit(serial=self._sample, mac=None, station="station", port=port, bare=True)

    def bare_firmware(self, port: str) -> Fleet | None:
        """A fleet of whatever board is at a port, to be given its firmware and nothing that only
        a unit has: for a board that says who it is only by what runs on it. None where the template
        has no firmware."""
        prober = self.prober(port)
        (state,) = prober.states
        if state.firmware is None:
            return None
        bare = DesiredState(
            device=state.device,
            board=state.board,
            port=state.port,
            firmware=state.firmware,
            baud=state.baud,
            transfer_baud=state.transfer_baud,
        )
        return replace(prober, states=(bare,))

    def unit(
        self,
        *,
        serial: str,
        mac: str | None,
        station: str,
        port: str,
        bare: bool = False,
    ) -> Fleet:
        """A unit as a fleet of one, for `apply` and `plan`; ManifestError with every problem that
        it has. `bare`: without the files that only a real unit has."""
        values = UnitValues(
            serial=serial,
            mac=mac,
            station=station,
            port=PortSelector(kind="url" if "://" in port else "path", value=port),
            columns=self.table.get(serial, {}),
        )
        loaded, state = self.supplies.loaded.unit(values, bare=bare)
        return Fleet(
            loaded=loaded,
            images=self.supplies.images,
            states=(state,),
            host=this_host(),
            unit=True,
        )

    def made_of(self, unit: Fleet) -> MadeUnit:
        """What the ledger keeps of a unit that passed."""
        (state,) = unit.states
        version, sha256 = self._firmware(state.firmware)
        return MadeUnit(
            commit=commit_of(self.folder),
            firmware_version=version,
            firmware_sha256=sha256,
            files={
                file.dest: file.content.sha256 for file in state.files if not file.content.sensitive
            },
        )

    def is_a_devices(self, port: PortInfo) -> bool:
        """Whether a port is one that a device of the manifest names."""
        return any(matching(selector, [port]) for selector in self._owned)

    @cached_property
    def _owned(self) -> tuple[PortSelector, ...]:
        return self.supplies.loaded.ports()

    @property
    def _sample(self) -> str:
        serial = self.settings.serial
        return next(iter(self.table), None) or getattr(serial, "format", "{}").format(0)

    def _firmware(self, desired: DesiredFirmware | None) -> tuple[str | None, str | None]:
        if desired is None:
            return None, None
        known = self._images.get(desired.source.name)
        if known is None:
            image = self.supplies.images.firmware(desired.source)
            known = image.identity.version, hashlib.sha256(image.file).hexdigest()
            self._images[desired.source.name] = known
        return known

    @cached_property
    def _images(self) -> dict[str, tuple[str, str]]:
        return {}


def open_station(
    manifest: str | Path | None = None,
    *,
    secrets: Path | None = None,
    offline: bool = False,
) -> StationManifest:
    """Read a manifest that has a station. ManifestError names every problem that it has and that a
    unit would have; UsageError when it has no station."""
    loaded = load_manifest(manifest, secrets)
    station = loaded.manifest.station
    if station is None:
        raise UsageError(
            f"{loaded.file} has no `station:`",
            hint="docs/station.md has one to begin with: a template, numbers, sockets",
        )
    with loaded.redactor.errors():
        supplies = supply(loaded, offline=offline)
        supplies.loaded.states()
        supplies.loaded.sample_unit()
        return StationManifest(
            supplies=supplies, settings=station.settings, table=supplies.loaded.station_table()
        )
