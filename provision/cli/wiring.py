"""Where adapters are built: the only module that joins the engine to ports, disk and network.

It also registers the `sim://` URL handler; nothing else knows that virtual boards exist.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.engine.fleet import run
from provision.engine.locate import Probed
from provision.engine.world import Confirm, Options, World
from provision.interfaces import Images
from provision.model.board import BoardProfile
from provision.model.event import Event
from provision.model.report import RunReport
from provision.model.state import DesiredState
from provision.output.files import state_directory
from provision.workspace.journal import FlashJournal
from provision.workspace.lock import FleetLock
from provision.workspace.manifest import Loaded, load

SIM_HANDLERS = "provision.sim"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A manifest, resolved, with what is needed to act on it."""

    loaded: Loaded
    images: Images

    def changed(self) -> bool:
        """Whether the manifest on disk is no longer the one that was read."""
        return self.loaded.changed()


def open_project(
    manifest: str | Path | None, *, secrets: Path | None = None, offline: bool = False
) -> Project:
    """Read and resolve a manifest; ManifestError with every problem when it is invalid."""
    from provision.cli.sources import supply

    loaded = load(str(manifest) if manifest is not None else None, secrets=secrets)
    supplies = supply(loaded, offline=offline)
    return Project(loaded=supplies.loaded, images=supplies.images)


def converge(
    project: Project,
    options: Options,
    *,
    command: str,
    limit: Sequence[str] = (),
    emit: Callable[[Event], None],
    hands: bool,
    confirm: Confirm | None,
    view: Callable[[DesiredState], DesiredState] = lambda state: state,
) -> RunReport:
    """Run `plan` (options.change False) or `apply` over the devices that `limit` selects, each
    state as `view` gives it."""
    from provision.device.connection import SerialConnector
    from provision.device.discovery import SerialDiscovery
    from provision.device.filesystem import HostFilesystems

    register_virtual_boards()
    discovery = SerialDiscovery()
    world = World(
        discovery=discovery,
        connector=SerialConnector(discovery),
        images=project.images,
        filesystems=HostFilesystems(),
        identities=FleetLock(project.loaded.lock_path),
        journal=FlashJournal(state_directory() / "flashing"),
        emit=emit,
        hands=hands,
        confirm=confirm,
    )
    states = [view(state) for state in project.loaded.states(limit)]
    return run(
        states,
        world,
        options,
        command=command,
        fleet=project.loaded.manifest.fleet,
        owned=[state.port for state in project.loaded.states() if state.port] if limit else [],
    )


def probe_board(address: str, board: BoardProfile | None) -> Probed:
    """Ask the board on a port who it is; a port that no manifest names is taken for one with
    automatic reset, as nearly every board has."""
    from provision.boards import profiles
    from provision.device.connection import SerialConnector
    from provision.device.discovery import SerialDiscovery
    from provision.engine.locate import probe

    register_virtual_boards()
    return probe(SerialConnector(SerialDiscovery()), address, board or profiles()["esp32"])


def register_virtual_boards() -> None:
    """Let pyserial open sim:// URLs in this process."""
    import serial

    if SIM_HANDLERS not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(SIM_HANDLERS)
