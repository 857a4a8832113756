"""Boards that take their firmware as a UF2 file on a USB drive, behind the `Flasher` interface.

The drive only takes: nothing of the flash can be read back there, an RP2040 does not say who it is,
and a board that is in BOOTSEL mode leaves it by being written, or by hand. So the board is sent
there when the first byte is to be written and not before: until then what runs on it says who it is
and what it holds. It is followed by its USB socket, and proved once more by whatever the boot ROM
tells, and by what runs then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from provision.atomic_files import locked
from provision.core.chips.rp2.memory import SECTOR
from provision.core.chips.rp2.uf2 import build_uf2, family_of_program
from provision.device.flashing.uf2.drive import (
    Bootsel,
    boards_in_bootsel,
    choose,
    copy,
    id_of,
    is_there,
)
from provision.device.flashing.uf2.records import Sent
from provision.device.flashing.uf2.site import Site
from provision.errors import ManualActionRequired, NoAnswer, PortLost, Refused
from provision.interfaces import Progress, Volume
from provision.model.board import BoardProfile
from provision.model.firmware import Region
from provision.model.state import ActualState

_COMES_WITHIN = 15.0  # seconds until a drive is mounted after `machine.bootloader()`
_LOOK = 0.1
TOUCH_WITHIN = 3.0  # seconds in which a firmware that knows the touch has gone
_BLANK = b"\xff" * SECTOR
_TURN = ("bootsel", "the board without a socket")


class Uf2Flasher:
    """Implements `interfaces.Flasher`; raises errors of ours only. `touch_within` seconds a
    firmware has to heed a touch."""

    def __init__(
        self,
        site: Site,
        board: BoardProfile,
        *,
        device: str,
        wait_for_operator: Callable[[float], bool] | None,
        operator_seconds: float,
        trace: Callable[[int, str], None],
        touch_within: float = TOUCH_WITHIN,
    ) -> None:
        self._site = site
        self._board = board
        self._device = device
        self._wait_for_operator = wait_for_operator
        self._operator_seconds = operator_seconds
        self._trace = trace
        self._touch_within = touch_within
        self._whole = False  # whether what is not written shall be blank
        self._sent = False
        self._has_turn = False
        self._written = False
        self._actual: ActualState | None = None

    def identify(self) -> ActualState:
        """Who the board is, without sending it anywhere: by what runs on it, by its USB serial
        number, or in BOOTSEL mode by its ROM and its socket. The chip of one that runs and does
        not answer is taken to be the profile's until the ROM has told, before anything is
        written."""
        if self._actual is None:
            self._actual = self._who()
        return self._actual

    def _who(self) -> ActualState:
        site = self._site
        if site.absent:
            there = self._there(())
            if there is None:
                raise NoAnswer(
                    "the board is gone from BOOTSEL mode",
                    hint="plug it in again, and run again",
                    device=self._device,
                )
            description = f"{there.chip.label} in BOOTSEL mode"
            return ActualState(chip=there.chip, mac=there.mac, description=description)
        running = site.running
        if running is not None:
            return ActualState(chip=running.chip, mac=running.mac, flash_size=running.flash_size)
        mac = id_of(site.usb_serial)
        if mac is None:
            raise NoAnswer(
                "what runs on the board does not answer, and does not say who it is",
                hint=f"{self._board.download} Then run again",
                device=self._device,
            )
        return ActualState(chip=self._board.chip, mac=mac)

    def differs(self, regions: Sequence[Region]) -> tuple[str, ...]:
        """The names of the regions that the flash does not hold, while something runs there."""
        return tuple(
            region.name
            for region in regions
            if self._needed(region.offset, len(region.data)) != region.data
        )

    def is_blank(self, offset: int, size: int) -> bool:
        return self._needed(offset, size).count(0xFF) == size

    def read(self, offset: int, size: int) -> bytes | None:
        """As `Flasher.read`: by what runs on the board, until it is sent to be a drive."""
        return None if self._sent or self._site.absent else self._site.read(offset, size)

    def _needed(self, offset: int, size: int) -> bytes:
        data = self.read(offset, size)
        if data is None:
            raise NoAnswer(
                "a board in BOOTSEL mode does not let its flash be read back", device=self._device
            )
        return data

    def erase(self, leaving: Sequence[Region] | None, progress: Progress) -> None:
        """Have the rest of the flash be blank as well when it is written next: there is no erasing
        but by writing, and the copy that does it all is one."""
        self._whole = True

    def write(self, regions: Sequence[Region], progress: Progress) -> None:
        """Send the board to BOOTSEL mode, prove it there, and copy one file that writes all of it;
        what `erase` was asked for included. `progress` counts bytes of the file."""
        first = next((region for region in regions if region.offset == 0), None)
        if first is None:
            raise ValueError("without the program at its start nothing would boot")
        wanted = [*regions, *self._blanks(regions)] if self._whole else list(regions)
        data = build_uf2(wanted, family_of_program(self._board.chip, first.data))
        with nullcontext() if self._has_turn else self.turn(None):
            self._copy(data, progress)

    @contextmanager
    def turn(self, stopping: Callable[[], bool] | None) -> Iterator[None]:
        """As `Flasher.turn`: where no system tells the sockets of drives apart, one board at a time
        is a drive. `write` takes it where nobody has."""
        site = self._site
        told = site.place is not None and site.drives.volumes.tells_sockets
        alone = nullcontext() if site.absent or told else locked(*_TURN, stopping)
        with alone:
            self._has_turn = True
            try:
                yield
            finally:
                self._has_turn = False

    def _copy(self, data: bytes, progress: Progress) -> None:
        board = self._enter()
        self._trace(1, f"copying {len(data):,} bytes to {board.name}")
        copy(
            data,
            board,
            device=self._device,
            progress=progress,
            exists=lambda: is_there(board.volume),
        )
        self._written = True

    def _blanks(self, regions: Sequence[Region]) -> list[Region]:
        size = self.identify().flash_size or self._board.flash_size or 0
        filled = {
            sector
            for region in regions
            for sector in range(
                region.offset // SECTOR, -(-(region.offset + len(region.data)) // SECTOR)
            )
        }
        return [
            Region(name="blank", offset=sector * SECTOR, data=_BLANK)
            for sector in range(size // SECTOR)
            if sector not in filled
        ]

    def restart(self) -> bool:
        """Run what is in flash. A board that was written has begun to by itself; one that was not
        stays as it is, in BOOTSEL mode where it was sent there: False then."""
        return self._written or not self._sent

    # BOOTSEL mode

    def _there(self, before: Collection[str]) -> Bootsel | None:
        """The board in BOOTSEL mode, told from the drives that were there `before`. One that this
        flasher met there has to be at its own address or socket, or say that it is this one: that
        there is no other board is no proof."""
        site = self._site
        volumes = [
            volume
            for volume in site.drives.volumes.volumes()
            if _drive(volume) not in before or (site.place and volume.usb_location == site.place)
        ]
        return choose(
            boards_in_bootsel(volumes),
            address=site.name,
            place=site.place,
            mac=self._actual.mac if self._actual is not None else None,
            alone=not site.absent,
        )

    def _enter(self) -> Bootsel:
        """The board in BOOTSEL mode, its drive mounted, and proved to be the one."""
        known = self.identify()
        board: Bootsel | None
        if self._site.absent:
            board = self._there(())
            if board is None:
                raise PortLost("the board is gone from BOOTSEL mode", device=self._device)
        else:
            before = frozenset(map(_drive, self._site.drives.volumes.volumes()))
            if known.mac is not None:
                self._site.drives.records.sent(
                    Sent(mac=known.mac, address=self._site.name, place=self._site.place)
                )
            self._sent = True
            board = self._send(before)
        self._prove(known, board)
        return board

    def _send(self, before: Collection[str]) -> Bootsel:
        if self._site.bootloader():
            self._trace(1, "sent to BOOTSEL mode by machine.bootloader()")
            board = self._await(_COMES_WITHIN, before)
            if board is not None:
                return board
        elif self._site.touch():
            self._trace(1, "touched at 1200 baud")
            board = self._await(self._touch_within, before)
            if board is not None:
                return board
        return self._by_hand(before)

    def _await(self, seconds: float, before: Collection[str]) -> Bootsel | None:
        """The drive, as soon as it is mounted; unmounted, at the end of the time."""
        deadline = time.monotonic() + seconds
        while True:
            board = self._there(before)
            late = time.monotonic() >= deadline
            if board is not None and (late or board.volume.path is not None):
                return board
            if late:
                return None
            time.sleep(_LOOK)  # no system has an event for a drive that comes, on all of them

    def _by_hand(self, before: Collection[str]) -> Bootsel:
        deadline = time.monotonic() + self._operator_seconds
        while True:
            board = self._await(1.0, before)
            if board is not None:
                return board
            left = deadline - time.monotonic()
            if self._wait_for_operator is None:
                raise ManualActionRequired(
                    f"the {self._board.title} must be put in BOOTSEL mode by hand",
                    hint=f"{self._board.download} Then run again, or run on a terminal, which "
                    "waits for you",
                    device=self._device,
                )
            if left <= 0 or not self._wait_for_operator(left):
                raise ManualActionRequired(
                    f"the {self._board.title} did not come into BOOTSEL mode",
                    hint=self._board.download,
                    device=self._device,
                )

    def _prove(self, known: ActualState, board: Bootsel) -> None:
        """Safety rule 1, once more at the last door before the flash. One that was met in BOOTSEL
        mode still says who it is; one that was sent there may come to a ROM that does not."""
        if board.chip != self._board.chip:
            raise Refused(
                f"the board in BOOTSEL mode has an {board.chip.label}, the board "
                f"{self._board.name} has an {self._board.chip.label}",
                device=self._device,
            )
        tells = board.mac is not None or self._site.absent
        if tells and known.mac is not None and board.mac != known.mac:
            raise Refused(
                f"another board is in BOOTSEL mode: {board.mac or 'one without an id'}, "
                f"not {known.mac}",
                hint="plug in the one that is meant, and run again; nothing was written",
                device=self._device,
            )


def _drive(volume: Volume) -> str:
    """What a drive is called for as long as it is plugged in, mounted or not, whoever it is."""
    return volume.device or str(volume.path)
