"""esptool behind the `Flasher` interface: one board in download mode, its stub running.

Everything goes over the pyserial object that the connection owns; esptool never opens a port of
its own, and never gets `force`. What is written is split into regions by the caller; here they
are skipped where the flash holds them already, compressed, written, and verified by MD5.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.esp.erase_plan import regions_to_erase
from provision.core.chips.esp.image import BOOT_OFFSETS, SECTOR, size_bytes
from provision.device.flashing.esptool.bounded_port import BoundedPort
from provision.device.flashing.esptool.errors import NONSENSE, translate
from provision.device.flashing.esptool.library import Trace, esptool, listening
from provision.device.flashing.esptool.reset import (
    OPERATOR_SECONDS,
    ROM_BAUD,
    WaitForOperator,
    enter_download_mode,
    hard_reset,
)
from provision.device.flashing.esptool.stub_client import lean
from provision.device.transport.buffered_serial import Clock
from provision.device.transport.serial_port import Port
from provision.errors import (
    BoardError,
    DeviceError,
    FlashFailed,
    NoAnswer,
    PortLost,
    Refused,
)
from provision.interfaces import Progress
from provision.model.board import BoardProfile, ResetWiring
from provision.model.chip import Chip
from provision.model.firmware import Region
from provision.model.state import ActualState

# Rates to fall back to, from what the profile allows down to what every line holds.
_RATES = (921600, 460800, 230400, ROM_BAUD)
_PROBE_TIMEOUT = 0.5
_ATTEMPTS = 3
_REGIONS_MOST = 16 << 20  # bytes of flash that addresses of three bytes reach


class EsptoolFlasher:
    """A board in download mode. Built by `connect`; raises errors of ours only."""

    def __init__(
        self,
        port: Port,
        board: BoardProfile,
        *,
        wait_for_operator: WaitForOperator | None = None,
        operator_seconds: float = OPERATOR_SECONDS,
        trace: Trace | None = None,
        packets: bool = False,
        clock: Clock = time,
    ) -> None:
        self._clock = clock
        self._tools = esptool()
        self._port = port
        self._board = board
        self._wiring = port.wiring(board)
        self._wait_for_operator = wait_for_operator
        self._operator_seconds = operator_seconds
        self._trace = trace
        self._packets = packets and trace is not None
        self._actual: ActualState | None = None
        self._esp: Any = None

    @classmethod
    def connect(
        cls,
        port: Port,
        board: BoardProfile,
        *,
        wait_for_operator: WaitForOperator | None = None,
        operator_seconds: float = OPERATOR_SECONDS,
        trace: Trace | None = None,
        packets: bool = False,
        clock: Clock = time,
    ) -> EsptoolFlasher:
        """Enter download mode by the board's wiring, or wait for a person, and start the stub.

        `trace` hears what esptool says; with `packets` also every packet, which is slow.
        """
        self = cls(
            port,
            board,
            wait_for_operator=wait_for_operator,
            operator_seconds=operator_seconds,
            trace=trace,
            packets=packets,
            clock=clock,
        )
        self._connect()
        return self

    @property
    def baud(self) -> int:
        """The rate in use."""
        return int(self._port.serial.baudrate)

    def identify(self) -> ActualState:
        """Chip, MAC, flash size and security of the board; asked once."""
        if self._actual is None:
            with self._talking("reading what the board is"):
                self._actual = self._read_identity()
        return self._actual

    def raise_baud(self, baud: int) -> int:
        """Go up to `baud`, or to the highest lower rate that the line holds."""
        if baud <= self.baud or not self._esp.IS_STUB:
            return self.baud
        for rate in (baud, *(rate for rate in _RATES if rate < baud)):
            if rate <= self.baud:
                break
            if self._holds_rate(rate):
                return rate
            self._reconnect(f"the line does not hold {rate} baud")
        return self.baud

    def erase(self, leaving: Sequence[Region] | None, progress: Progress) -> None:
        """Erase the whole flash, but for what is blank already and what `leaving`, which is
        written next, will fill; from its first command on nothing boots. None: the whole chip.

        `progress` counts bytes looked at; a line that fails is taken up again as in `write`."""
        self._guard()
        actual = self.identify()
        size = actual.flash_size

        def erase() -> None:
            with self._talking("erasing the flash"):
                if leaving is None or size is None or size > _REGIONS_MOST:
                    self._esp.erase_flash()
                else:
                    self._esp.erase_region(BOOT_OFFSETS[self._board.chip], SECTOR)
                    for place in regions_to_erase(leaving, size, self._is_blank, progress):
                        self._esp.erase_region(*place)

        self._retrying(erase)

    def _is_blank(self, offset: int, size: int) -> bool:
        return self._md5(offset, size) == _md5(b"\xff" * size)

    def differs(self, regions: Sequence[Region]) -> tuple[str, ...]:
        """The names of the regions that the flash does not hold, by MD5 computed on the board."""
        return tuple(region.name for region in regions if region.data and not self._holds(region))

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the flash, checked against the board's own MD5 of them."""
        with self._talking("reading the flash"):
            return bytes(self._esp.read_flash(offset, size))

    def write(self, regions: Sequence[Region], progress: Progress) -> None:
        """Write and verify the regions as they are; what the flash holds already is not sent.

        `progress` counts compressed bytes of the regions that have to be written. A line that
        turns out too bad for its rate is taken up again at a lower one, where the board can be
        reset without a person.
        """
        self._guard()
        pending: list[Region] = []

        def compare() -> None:
            pending[:] = self._missing(regions)

        self._retrying(compare)
        total = sum(len(_compressed(region.data)) for region in pending)
        done = 0
        for region in pending:
            self._write_region(region, done, total, progress)
            done += len(_compressed(region.data))

    def restart(self) -> bool:
        """Leave download mode and boot; False where that needs a person (no reset lines)."""
        with self._talking("restarting the board"):
            if hard_reset(self._tools, self._port, self._wiring):
                return True
            if self._esp.CHIP_NAME == "ESP8266" and self._esp.IS_STUB:
                self._esp.soft_reset(False)
                return True
        return False

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
        """`connect`, at the highest rate that the board's bridge and the line hold: before
        anything is asked, for what the board is takes some seventy round trips."""
        self = cls.connect(
            port,
            board,
            wait_for_operator=wait_for_operator,
            operator_seconds=operator_seconds,
            trace=trace,
        )
        self.raise_baud(board.baud)
        return self

    def _connect(self) -> None:
        with self._talking("entering download mode"):
            port = BoundedPort(self._port.serial, self._tools.FatalError, self._clock)
            loader = self._tools.Loader(port, ROM_BAUD, trace_enabled=self._packets)
            enter_download_mode(
                self._tools,
                loader,
                self._port,
                self._board,
                self._wait_for_operator,
                operator_seconds=self._operator_seconds,
            )
            rom = self._identify(loader, port)
            stub = self._tools.commands.run_stub(rom)
            self._esp = lean(stub, port=port, fatal=self._tools.FatalError, tracing=self._packets)
        self._actual = None

    def _identify(self, loader: Any, port: BoundedPort) -> Any:
        """The esptool object for the chip that answers.

        An ESP8266 or ESP32 is asked for its magic register first: esptool's own detection
        starts with a command that their ROMs do not know, which costs it 0.2 s of draining.
        """
        if self._board.chip in (ESP8266, ESP32):
            kind = self._tools.chips[self._board.chip.name]
            if loader.read_reg(loader.CHIP_DETECT_MAGIC_REG_ADDR) == kind.MAGIC_VALUE:
                rom = kind(port, self.baud, trace_enabled=self._packets)
                rom.sync_stub_detected = loader.sync_stub_detected
                return rom
        return self._tools.commands.detect_chip(
            port, self.baud, "no-reset", trace_enabled=self._packets, connect_attempts=1
        )

    def _read_identity(self) -> ActualState:
        esp = self._esp
        chip = next(
            (chip for chip in CHIPS if self._tools.chips[chip.name].CHIP_NAME == esp.CHIP_NAME),
            None,
        )
        if chip is None:
            raise BoardError(
                f"the chip on this port is an {esp.CHIP_NAME}, which this tool does not know",
                hint="it provisions " + ", ".join(known.label for known in CHIPS),
                device=self._port.device,
            )
        if esp.secure_download_mode:
            return ActualState(chip=chip, description=chip.label, secured="secure download mode")
        mac = ":".join(f"{byte:02x}" for byte in esp.read_mac())
        description = esp.get_chip_description()
        revision = None if chip == ESP8266 else esp.get_chip_revision()
        secured = self._secured(chip)
        self._tools.commands.attach_flash(esp)
        name = self._tools.commands.detect_flash_size(esp)
        size = size_bytes(name) if name is not None else None
        if size is not None:
            esp.flash_set_parameters(size)  # the stub refuses to write past what it believes
        return ActualState(
            chip=chip,
            description=description,
            mac=mac,
            flash_size=size,
            secured=secured,
            revision=revision,
        )

    def _secured(self, chip: Chip) -> str | None:
        if chip == ESP8266:
            return None
        if self._esp.get_secure_boot_enabled():
            return "secure boot"
        return "flash encryption" if self._esp.get_flash_encryption_enabled() else None

    def _guard(self) -> None:
        """Safety rule 1, once more at the last door before the flash."""
        actual = self.identify()
        if actual.secured is not None or not self._esp.IS_STUB:
            raise Refused(
                f"{actual.secured or 'a security feature'} is on: its flash is not touched",
                hint="such a board can only be updated by whoever holds its keys",
                device=self._port.device,
            )
        if actual.chip != self._board.chip:
            found = "unknown chip" if actual.chip is None else actual.chip.label
            raise Refused(
                f"the chip on this port is an {found}, "
                f"the board {self._board.name} has an {self._board.chip.label}",
                device=self._port.device,
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
        with self._talking("reading back the flash"):
            for size in dict.fromkeys((min(SECTOR, len(region.data)), len(region.data))):
                if self._md5(region.offset, size) != _md5(region.data[:size]):
                    return False
        return True

    def _write_region(self, region: Region, done: int, total: int, progress: Progress) -> None:
        def write() -> None:
            with self._talking(f"writing the {region.name}"):
                self._send(region, done, total, progress)
                self._verify(region)

        self._retrying(write)

    def _retrying(self, step: Callable[[], None]) -> None:
        """Once more, at a lower rate, where the line fails and the board can be reset."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                step()
                return
            except PortLost:
                raise
            except DeviceError as error:
                if attempt == _ATTEMPTS or self._wiring is ResetWiring.NONE:
                    raise
                self._say(f"{error.message}; trying again")
                self._retry_slower()

    def _send(self, region: Region, done: int, total: int, progress: Progress) -> None:
        esp, data = self._esp, _compressed(region.data)
        block = esp.FLASH_WRITE_SIZE
        esp.flash_defl_begin(len(region.data), len(data), region.offset)
        inflater = zlib.decompressobj()
        timeout = self._tools.loader.DEFAULT_TIMEOUT
        for number, start in enumerate(range(0, len(data), block)):
            piece = data[start : start + block]
            esp.flash_defl_block(piece, number, timeout=timeout)
            # The stub acknowledges a block before it works on it: the next one waits for that.
            timeout = self._write_timeout(len(inflater.decompress(piece)))
            progress(done + min(start + block, len(data)), total)
        esp.flash_defl_finish(reboot=False, timeout=timeout)

    def _write_timeout(self, size: int) -> float:
        """As esptool: erases come in blocks of 64 kB, one for each 32 kB buffer and one more."""
        loader = self._tools.loader
        erases = -(-size // 0x8000) + 1
        seconds: float = loader.timeout_per_mb(
            loader.ERASE_WRITE_TIMEOUT_PER_MB, size + erases * 0x10000
        )
        return seconds

    def _verify(self, region: Region) -> None:
        if self._md5(region.offset, len(region.data)) == _md5(region.data):
            return
        raise FlashFailed(
            f"the {region.name} does not read back as it was written",
            hint="try a lower baud rate and a shorter cable; if it stays, the flash is worn out",
            device=self._port.device,
        )

    def _md5(self, offset: int, size: int) -> str:
        digest: str = self._esp.flash_md5sum(offset, size)
        return digest

    def _holds_rate(self, rate: int) -> bool:
        try:
            with self._talking(f"going to {rate} baud"):
                self._esp.change_baud(rate)
                address = self._esp.CHIP_DETECT_MAGIC_REG_ADDR
                for _ in range(2):
                    self._esp.read_reg(address, timeout=_PROBE_TIMEOUT)
        except PortLost:
            raise
        except DeviceError as error:
            self._say(error.message)
            return False
        return True

    def _retry_slower(self) -> None:
        rate = next((rate for rate in _RATES if rate < self.baud), ROM_BAUD)
        before = self.identify()
        self._reconnect("the line failed")
        after = self.identify()
        if after.mac != before.mac or after.chip != before.chip:
            raise Refused(
                f"another board answers: {after.mac}, not {before.mac}", device=self._port.device
            )
        if rate > self.baud:
            self._holds_rate(rate)

    def _reconnect(self, reason: str) -> None:
        if self._wiring is ResetWiring.NONE:
            raise NoAnswer(
                f"{reason}, and this board needs a person to start over",
                hint="set a lower baud for this device, put it in download mode and run again",
                device=self._port.device,
            )
        self._say(f"{reason}; connecting again")
        self._connect()

    def _say(self, text: str) -> None:
        if self._trace is not None:
            self._trace(1, text)

    @contextmanager
    def _talking(self, doing: str) -> Iterator[None]:
        """Route esptool's lines to this device, and turn its errors into ours."""
        with self._port.errors(), listening(self._trace):
            try:
                yield
            except (self._tools.FatalError, *NONSENSE) as error:
                raise translate(error, doing, self._port.device) from error


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@lru_cache(maxsize=16)
def _compressed(data: bytes) -> bytes:
    """Deflated once for all the devices of a run that get the same bytes."""
    return zlib.compress(data, 9)
