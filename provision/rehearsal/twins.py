"""A twin: the virtual board that stands for a device's own. Its flash is looked at from outside,
while it has no power, by another way than apply's."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from littlefs import LittleFSError

from provision.core.rehearsal.faults import BoardFault
from provision.core.rehearsal.verdict import Files
from provision.errors import SimulatorError
from provision.model.board import ResetWiring
from provision.model.firmware import LITTLEFS_BLOCK
from provision.model.language import record
from provision.model.state import DesiredState
from provision.sim import client, paths
from provision.sim.chip.flash import Flash
from provision.sim.families import model_of
from provision.sim.process.flash_faults import open_filesystem
from provision.sim.setup import NAME, BoardSetup

NEVER = 10**9
"""After so many bytes or writes what was ordered comes about no more."""
_STARTED_AT_ONCE = 4


@record(slots=False)
class Twin:
    """The virtual board `name` of a device, with the settings of its address."""

    device: str
    name: str
    query: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"sim://{self.name}"

    @property
    def setup(self) -> BoardSetup:
        return BoardSetup.from_query(self.name, dict(self.query), paths.directory(self.name))

    @classmethod
    def of(cls, state: DesiredState, number: int, mac: str | None) -> Twin:
        """The twin of a device's board: its profile's chip, flash and wiring, and its MAC where
        that is known. SimulatorError for a chip that no virtual board has."""
        board = state.board
        native_usb = model_of(board.chip).native_usb
        query = {"chip": str(board.chip), "console": str(state.baud)}
        if not native_usb:
            query["wiring"] = board.reset.value
            if board.reset is ResetWiring.USB:  # a firmware's own USB: no lines
                query["wiring"] = ResetWiring.NONE.value
        if board.flash_size:
            query["flash"] = str(board.flash_size)
        digits = re.sub("[^0-9a-f]", "", (mac or "").lower())
        if len(digits) == 12:
            query["mac"] = digits
        elif len(digits) == 16:
            query["serial"] = digits
        fits = NAME.fullmatch(state.device) is not None
        return cls(
            device=state.device, name=state.device if fits else f"twin-{number}", query=query
        )

    def start(self) -> None:
        client.ensure(self.name, dict(self.query))

    @property
    def reachable(self) -> bool:
        """Whether there is anything of it on its host: a port, or its drive in place of one."""
        status = client.request(self.name, "status")
        return bool(status["present"] or status["volume"])

    @property
    def runs(self) -> bool:
        """Whether its program runs, and is neither asleep nor just being started."""
        return bool(client.request(self.name, "status")["mode"] == "run")

    @property
    def starts(self) -> int:
        """How often it was started since it was made."""
        return int(client.request(self.name, "status")["boots"])

    def power(self, on: bool) -> None:
        client.request(self.name, "power", on=on)

    def order(self, fault: BoardFault) -> None:
        """Have a fault come about later on."""
        name, arguments = fault.order
        client.request(self.name, "fault", fault=name, arguments=arguments)

    def press(self, *, download: bool) -> None:
        """What a person does to it who is asked to: RESET, with the BOOT button held for
        `download`; a board without a RESET button is plugged in anew."""
        if not model_of(self.setup.chip).native_usb:
            buttons = ["boot", "reset"] if download else ["reset"]
            client.request(self.name, "press", buttons=buttons)
            return
        if download:
            client.request(self.name, "press", buttons=["boot"], hold=True)
        for do in ("unplug", "replug"):
            client.request(self.name, do)
        if download:
            client.request(self.name, "press", buttons=["boot"], release=True)

    def files(self) -> Files:
        """What is in its flash, without power: none where it has no filesystem."""
        return {
            path: hashlib.sha256(data).digest() for path, data in read_files(self.setup).items()
        }

    def put(self, path: str, data: bytes) -> None:
        """Write a file into the filesystem that it has, without power; where it has none, there is
        nothing to lose."""
        flash = Flash(self.setup.flash_path, self.setup.flash_size)
        try:
            if _blank(self.setup, flash):
                return
            filesystem = open_filesystem(self.setup, flash)
            with filesystem.open(path, "wb") as file:
                file.write(data)
            filesystem.unmount()
        except (SimulatorError, LittleFSError):
            pass
        finally:
            flash.close()


def read_files(setup: BoardSetup) -> dict[str, bytes]:
    """The files in a board's flash, as long as it does not run."""
    flash = Flash(setup.flash_path, setup.flash_size)
    try:
        if _blank(setup, flash):
            return {}
        filesystem = open_filesystem(setup, flash)
        found: dict[str, bytes] = {}
        for folder, _, names in filesystem.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                with filesystem.open(path, "rb") as file:
                    found[path] = file.read()
        return found
    except (SimulatorError, LittleFSError):
        return {}
    finally:
        flash.close()


def _blank(setup: BoardSetup, flash: Flash) -> bool:
    place = model_of(setup.chip).filesystem_place(setup, flash)
    head = flash.read(place.offset, 2 * LITTLEFS_BLOCK)
    return head.count(0xFF) == len(head)


def mend(name: str) -> None:
    """Take back every fault of the line and the supply that waits, plug the cable in, and give the
    board its power: as a person would who looks after it."""
    status = client.request(name, "status")
    if status["serial"] is None:  # a board with a USB of its own has no line that loses bytes
        client.request(name, "fault", fault="noise", arguments={})
    for fault in ("cut-erase", "cut-write"):
        client.request(name, "fault", fault=fault, arguments={"after": NEVER})
    client.request(name, "fault", fault="unplug", arguments={"bytes": NEVER})
    if not client.request(name, "status")["plugged"]:
        client.request(name, "replug")


def start_all(twins: Iterable[Twin]) -> None:
    """Bring them up; SimulatorError of the first that cannot be."""
    with ThreadPoolExecutor(_STARTED_AT_ONCE) as pool:
        for _ in pool.map(Twin.start, twins):
            pass


def remove(twins: Iterable[Twin]) -> None:
    """Stop them, and leave nothing of their flash behind."""
    for twin in twins:
        client.stop(twin.name)
        shutil.rmtree(paths.directory(twin.name), ignore_errors=True)


def remove_all() -> None:
    """Stop and remove whatever boards there are in this process's home of boards, which has to be a
    job's own: those that one who was killed has left."""
    home = paths.home()
    for entry in [*home.iterdir()] if home.is_dir() else []:
        if entry.is_dir() and not entry.is_symlink():
            client.stop(entry.name)
            shutil.rmtree(entry, ignore_errors=True)
