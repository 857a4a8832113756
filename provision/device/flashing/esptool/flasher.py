"""esptool behind the `Flasher` interface: what is done to the flash of one board.

What is written is split into regions by the caller; here they are skipped where the flash holds
them already, compressed, written, and verified by MD5. How the board came into download mode, and
comes there again where the line fails, is `download_session`'s.

A chip is quicker at its flash than a line is: while a block arrives, it digests what was written
before, and what is to be blank.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

from provision.core.chips.esp.erase_plan import (
    Stretches,
    regions_to_erase,
    spaces,
    used,
)
from provision.core.chips.esp.image import BOOT_OFFSETS, SECTOR
from provision.device.flashing.esptool.download_session import DownloadSession
from provision.device.flashing.esptool.library import Trace
from provision.device.flashing.esptool.looks import Looks, md5
from provision.device.flashing.esptool.reset import WaitForOperator
from provision.device.transport.serial_port import Port
from provision.errors import FlashFailed, Refused
from provision.interfaces import Progress
from provision.model.board import BoardProfile
from provision.model.firmware import Region
from provision.model.state import ActualState

_READ_PIECE = 1 << 17  # bytes that are read, and read again where the line fails, at a time
_MAX_BY_REGIONS = 16 << 20  # bytes of flash that addresses of three bytes reach


class EsptoolFlasher:
    """Implements `interfaces.Flasher`; built by `attach`. Raises errors of ours only."""

    def __init__(self, session: DownloadSession) -> None:
        self._session = session
        self._blank = Stretches()  # what was found erased since the flash was last written
        self._unseen: list[tuple[int, int]] = []  # what is to be, and may not be yet

    @classmethod
    def attach(
        cls,
        port: Port,
        board: BoardProfile,
        *,
        wait_for_operator: WaitForOperator | None,
        operator_seconds: float,
        trace: Trace,
    ) -> EsptoolFlasher:
        """Take the board to download mode, and go up to the highest rate that its bridge and the
        line hold: before anything is asked, for what the board is takes some seventy round
        trips. Where that fails, the board is not left there: it starts its app again if its lines
        or its stub can make it."""
        session = DownloadSession(
            port,
            board,
            wait_for_operator=wait_for_operator,
            operator_seconds=operator_seconds,
            trace=trace,
        )
        try:
            session.connect()
            session.raise_baud(board.baud)
        except BaseException:  # also a run that is cancelled while a person is waited for
            session.abandon()
            raise
        return cls(session)

    @property
    def baud(self) -> int:
        """The rate in use."""
        return self._session.baud

    def identify(self) -> ActualState:
        """Chip, MAC, flash size and security of the board; asked once."""
        return self._session.identify()

    def turn(self, stopping: Callable[[], bool]) -> AbstractContextManager[None]:
        """As `Flasher.turn`: a board at its own port is taken for no other."""
        return nullcontext()

    def erase(self, leaving: Sequence[Region] | None, progress: Progress) -> None:
        """Erase the whole flash, but for what is blank already and what `leaving`, which is
        written next, will fill; from its first command on nothing boots. None: the whole chip.
        Where it looks as new, `write` sees to what nobody has looked at.

        `progress` counts bytes looked at; a line that fails is taken up again as in `write`."""
        self._guard()
        session = self._session
        size = self.identify().flash_size
        unseen: list[tuple[int, int]] = []

        def erase() -> None:
            with session.talking("erasing the flash"):
                if leaving is None or size is None or size > _MAX_BY_REGIONS:
                    session.esp.erase_flash()
                    return
                session.esp.erase_region(BOOT_OFFSETS[session.board.chip], SECTOR)
                if leaving and self._overlaps:
                    unseen[:] = self._not_seen(spaces(leaving, size))
                    if all(self._reads_blank(start, SECTOR) for start, _ in unseen):
                        return
                    unseen.clear()
                for place in regions_to_erase(leaving, size, self._reads_blank, progress):
                    session.esp.erase_region(*place)

        session.retrying(erase)
        self._unseen = unseen

    def is_blank(self, offset: int, size: int) -> bool:
        """By the board's own MD5: a flash is digested faster than it is read. What was found
        blank is not asked for again until the flash is written."""
        self.identify()  # which attaches the flash
        found: list[bool] = []

        def look() -> None:
            with self._session.talking("looking at the flash"):
                in_use = used(offset, size, self._reads_blank)
                found[:] = [next(in_use, None) is None]

        self._session.retrying(look)
        return found[0]

    def _reads_blank(self, offset: int, size: int) -> bool:
        if self._blank.hold(offset, size):
            return True
        blank = self._md5(offset, size) == md5(b"\xff" * size)
        if blank:
            self._blank.add(offset, size)
        return blank

    def differs(self, regions: Sequence[Region]) -> tuple[str, ...]:
        """The names of the regions that the flash does not hold, by MD5 computed on the board."""
        return tuple(region.name for region in regions if region.data and not self._holds(region))

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the flash, checked against the board's own MD5 of them: a `FlashRead`. A line
        that fails is taken up again as in `write`, a piece at a time. Refused where there is no
        stub to read it (secure download mode)."""
        self.identify()  # which attaches the flash
        if not self._session.esp.IS_STUB:
            raise Refused(
                "its flash cannot be read: only the boot ROM answers",
                hint="such a board can only be read by its own firmware",
                device=self._session.port.device,
            )
        return b"".join(
            self._read_piece(start, min(_READ_PIECE, offset + size - start))
            for start in range(offset, offset + size, _READ_PIECE)
        )

    def _read_piece(self, offset: int, size: int) -> bytes:
        found: list[bytes] = []

        def read() -> None:
            with self._session.talking("reading the flash"):
                # To be told that it is blank is quicker than to be sent it.
                first = min(size, SECTOR)
                blank = self._reads_blank(offset, first) and self._reads_blank(offset, size)
                found[:] = [
                    b"\xff" * size if blank else bytes(self._session.esp.read_flash(offset, size))
                ]

        self._session.retrying(read)
        return found[0]

    def write(self, regions: Sequence[Region], progress: Progress) -> None:
        """Write and verify the regions as they are; what the flash holds already is not sent.

        What `erase` has left to look at is blank before the last of them is begun. `progress`
        counts compressed bytes of the regions that have to be written. A line that turns out too
        bad for its rate is taken up again at a lower one, where the board can be reset without a
        person.
        """
        self._guard()
        self._blank = Stretches()
        pending: list[Region] = []

        def compare() -> None:
            pending[:] = self._missing(regions)

        self._session.retrying(compare)
        total = sum(len(_compressed(region.data)) for region in pending)
        done = 0
        for index, region in enumerate(pending):
            if index == len(pending) - 1:
                self._erase_unseen()
            self._write_region(region, done, total, progress)
            done += len(_compressed(region.data))
        self._erase_unseen()

    def _erase_unseen(self) -> None:
        """What is still not blank of what nobody had looked at, and will not be written."""

        def erase() -> None:
            with self._session.talking("erasing the flash"):
                for stretch in self._unseen:
                    for place in used(*stretch, self._reads_blank):
                        self._session.esp.erase_region(*place)

        if self._unseen:
            self._session.retrying(erase)
            self._unseen = []

    def _not_seen(self, stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """The parts of these that were not found blank."""
        return [part for stretch in stretches for part in self._blank.missing(*stretch)]

    def restart(self) -> bool:
        """Leave download mode and boot; False where that needs a person (no reset lines)."""
        return self._session.restart()

    def _guard(self) -> None:
        """Safety rule 1, once more at the last door before the flash."""
        actual = self.identify()
        if actual.secured is not None or not self._session.esp.IS_STUB:
            raise Refused(
                f"{actual.secured or 'a security feature'} is on: its flash is not touched",
                hint="such a board can only be updated by whoever holds its keys",
                device=self._session.port.device,
            )
        if actual.chip != self._session.board.chip:
            found = "unknown chip" if actual.chip is None else actual.chip.label
            raise Refused(
                f"the chip on this port is an {found}, "
                f"the board {self._session.board.name} has an {self._session.board.chip.label}",
                device=self._session.port.device,
            )

    def _missing(self, regions: Sequence[Region]) -> Iterator[Region]:
        for region in regions:
            if region.offset % SECTOR:
                raise ValueError(f"{region.name} at 0x{region.offset:x} starts inside a sector")
            if region.data and not self._holds(region):
                yield region

    def _holds(self, region: Region) -> bool:
        """Whether the flash has these bytes already. Another build differs early (its digest is
        at the start), so a sector is compared before the whole."""
        with self._session.talking("reading back the flash"):
            for size in dict.fromkeys((min(SECTOR, len(region.data)), len(region.data))):
                if self._md5(region.offset, size) != md5(region.data[:size]):
                    return False
        return True

    def _write_region(self, region: Region, done: int, total: int, progress: Progress) -> None:
        def write() -> None:
            with self._session.talking(f"writing the {region.name}"):
                verified = self._send(region, done, total, progress)
                self._verify(region, verified)

        self._session.retrying(write)

    def _send(self, region: Region, done: int, total: int, progress: Progress) -> int:
        """Write a region; how many of its first bytes were verified meanwhile."""
        esp, data = self._session.esp, _compressed(region.data)
        block = esp.FLASH_WRITE_SIZE
        esp.flash_defl_begin(len(region.data), len(data), region.offset)
        inflater = zlib.decompressobj()
        timeout = self._session.tools.loader.DEFAULT_TIMEOUT
        looks = Looks(region, self._not_seen(self._unseen), self.baud) if self._overlaps else None
        for number, start in enumerate(range(0, len(data), block)):
            piece = data[start : start + block]
            look = looks.next(len(piece)) if looks is not None else None
            if looks is None or look is None:
                esp.flash_defl_block(piece, number, timeout=timeout)
            else:
                seconds = timeout + self._digest_timeout(look.size)
                digest = esp.flash_md5sum_during(look.offset, look.size, piece, number, seconds)
                if looks.found(look, digest) and not look.of_region:
                    self._blank.add(look.offset, look.size)
            size = len(inflater.decompress(piece))
            if looks is not None:
                looks.sent(size)
            # The stub acknowledges a block before it works on it: the next one waits for that.
            timeout = self._write_timeout(size)
            progress(done + min(start + block, len(data)), total)
        esp.flash_defl_finish(reboot=False, timeout=timeout)
        return looks.verified if looks is not None else 0

    def _write_timeout(self, size: int) -> float:
        """As esptool: erases come in blocks of 64 kB, one for each 32 kB buffer and one more."""
        loader = self._session.tools.loader
        erases = -(-size // 0x8000) + 1
        seconds: float = loader.timeout_per_mb(
            loader.ERASE_WRITE_TIMEOUT_PER_MB, size + erases * 0x10000
        )
        return seconds

    def _digest_timeout(self, size: int) -> float:
        loader = self._session.tools.loader
        seconds: float = loader.timeout_per_mb(loader.MD5_TIMEOUT_PER_MB, size)
        return seconds

    def _verify(self, region: Region, verified: int) -> None:
        """See that the flash holds a region, whose first bytes are `verified` already."""
        rest = region.data[verified:]
        if self._md5(region.offset + verified, len(rest)) == md5(rest):
            return
        raise FlashFailed(
            f"the {region.name} does not read back as it was written",
            hint="try a lower baud rate and a shorter cable; if it stays, the flash is worn out",
            device=self._session.port.device,
        )

    @property
    def _overlaps(self) -> bool:
        """Whether the stub can be given two commands at a time."""
        return hasattr(self._session.esp, "flash_md5sum_during")

    def _md5(self, offset: int, size: int) -> str:
        digest: str = self._session.esp.flash_md5sum(offset, size)
        return digest


@lru_cache(maxsize=16)
def _compressed(data: bytes) -> bytes:
    """Deflated once for all the devices of a run that get the same bytes."""
    return zlib.compress(data, 9)
