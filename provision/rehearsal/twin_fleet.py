"""A user's fleet as a fleet of twins: the same desired states, each at the port of a virtual board.

What `apply` would refuse to begin with is refused here in the same words. What cannot be had where
a rehearsal runs, as secrets in CI, is stood in for, and told.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from provision.app import open_fleet
from provision.core.wording import listed, printable
from provision.errors import SourceError
from provision.interfaces import Images
from provision.lockfile.store import read_lock
from provision.model.language import record
from provision.model.state import DesiredState, FirmwareSource, PortSelector
from provision.project.fleet import Fleet
from provision.project.secrets_files import FILE_NAME as SECRETS
from provision.project.user.known_secrets import Lookup
from provision.rehearsal.stand_ins import FACTORY, StandInImages, stand_in
from provision.rehearsal.twins import Twin


@record(slots=False)
class Options:
    """What a rehearsal was asked for, apart from its runs. `stand_in_firmware`: for images that are
    not to be had; `checks`: whether the manifest's checks are run; `yes` is apply's; `allow`: codes
    of findings that do not end the rehearsal of a device."""

    secrets: Path | None = None
    offline: bool = False
    yes: bool = False
    stand_in_firmware: bool = False
    checks: bool = True
    allow: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "secrets": str(self.secrets) if self.secrets is not None else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Options:
        secrets = Path(data["secrets"]) if data["secrets"] is not None else None
        return cls(**{**data, "secrets": secrets, "allow": tuple(data["allow"])})


def for_earlier(manifest: Path, options: Options) -> Options:
    """The options for an earlier state of a project: its secrets are today's."""
    beside = manifest.parent / SECRETS
    if options.secrets is not None or not beside.exists():
        return options
    return replace(options, secrets=beside.absolute())


def open_for_twins(manifest: Path, options: Options, *, limit: Sequence[str] = ()) -> Fleet:
    """A fleet as `open_fleet` has it. The user's command is not asked for secrets; where there is
    no file of them, as in CI, there are placeholders for all."""
    filed = options.secrets is not None or (manifest.parent / SECRETS).exists()
    return open_fleet(
        manifest,
        limit=limit,
        secrets=options.secrets,
        offline=options.offline,
        lookup=Lookup.LATER if filed else Lookup.NEVER,
    )


def placeholders(fleet: Fleet) -> tuple[str, ...]:
    """Notes on the secrets that the twins of these devices do not get."""
    names = fleet.loaded.not_looked_up(fleet.devices)
    return (f"placeholders stand for the secrets {printable(listed(names))}",) if names else ()


@record(slots=False)
class TwinFleet:
    """A fleet whose boards are `twins`, by device, and what is to be known of it."""

    fleet: Fleet
    twins: Mapping[str, Twin]
    notes: list[str] = field(default_factory=list)

    @property
    def states(self) -> Mapping[str, DesiredState]:
        return {state.device: state for state in self.fleet.states}


def make_twins(fleet: Fleet, folder: Path) -> Mapping[str, Twin]:
    """The twins of all devices of a fleet, each with the MAC that manifest or lock know. That of a
    device without firmware comes with a MicroPython, as its board does."""
    declared = fleet.loaded.declared_macs()
    lock = read_lock(fleet.loaded.lock_path)
    twins = {}
    for number, state in enumerate(fleet.states, start=1):
        mac = declared.get(state.device) or lock.mac_of(state.device)
        twin = Twin.of(state, number, mac)
        if state.firmware is None:
            image = folder / f"{state.board.name}.firmware"
            image.write_bytes(stand_in(FACTORY, state.board).file)
            twin = replace(twin, query={**twin.query, "firmware": str(image)})
        twins[state.device] = twin
    return twins


def on_twins(
    fleet: Fleet,
    twins: Mapping[str, Twin],
    lock: Path,
    options: Options,
    *,
    only: Collection[str] | None = None,
) -> TwinFleet:
    """The fleet at its twins, those of `only`. It begins with a copy of its own lock, at `lock`."""
    notes: list[str] = []
    states = tuple(
        replace(
            state,
            port=PortSelector(kind="url", value=twins[state.device].address),
            host=None,
            check=state.check if options.checks else None,
        )
        for state in fleet.states
        if state.device in twins and (only is None or state.device in only)
    )
    if not lock.exists() and fleet.loaded.lock_path.exists():
        shutil.copyfile(fleet.loaded.lock_path, lock)
    images = images_for_twins(fleet, options, notes)
    moved = replace(fleet, states=states, images=images, twins_lock=lock)
    return TwinFleet(fleet=moved, twins=twins, notes=notes)


def images_for_twins(fleet: Fleet, options: Options, notes: list[str]) -> Images:
    """Where the images of its twins come from; what stands in for one is told in `notes`."""
    if not options.stand_in_firmware:
        return fleet.images
    boards = {each.firmware.source: each.board for each in fleet.states if each.firmware}

    def missed(source: FirmwareSource, why: str) -> None:
        notes.append(f"a stand-in for the firmware {source.name}: {why}")

    return StandInImages(fleet.images, boards, missed)


def fetch_images(fleet: Fleet, options: Options) -> tuple[str, ...]:
    """See to it that all images are to be had, once for all processes; what stands in for one.
    SourceError or ImageError, as of `apply`."""
    notes: list[str] = []
    images = images_for_twins(fleet, options, notes)
    for source in dict.fromkeys(each.firmware.source for each in fleet.states if each.firmware):
        try:
            images.firmware(source)
        except SourceError as error:
            if type(error) is SourceError and source.version not in (None, "latest"):
                error.hint += ", or rehearse with a stand-in: --stand-in-firmware"
            raise
    return tuple(dict.fromkeys(notes))
