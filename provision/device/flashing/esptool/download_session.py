"""esptool's conversation with one board: entering download mode, the chip that answers there, the
rate, and all of it once more where the line fails.

Everything goes over the pyserial object that the connection owns; esptool never opens a port of
its own, and never gets `force`. What is done to the flash is `flasher`'s.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.esp.image import size_bytes
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
from provision.device.flashing.esptool.stub_client import with_fast_transfers
from provision.device.flashing.esptool.stub_upload import raise_for_upload, upload_rate
from provision.device.transport.buffered_serial import Clock
from provision.device.transport.serial_port import Port
from provision.errors import (
    BoardError,
    DeviceError,
    NoAnswer,
    PortLost,
    ProvisionError,
    Refused,
)
from provision.model.board import BoardProfile, ResetWiring
from provision.model.chip import Chip
from provision.model.state import ActualState

# Rates to fall back to, from what the profile allows down to what every line holds.
_RATES = (921600, 460800, 230400, ROM_BAUD)
_PROBE_TIMEOUT = 0.5
_ATTEMPTS = 3


class DownloadSession:
    """A board in download mode, once `connect` has returned; raises errors of ours only.

    `trace` hears what esptool says; with `packets` also every packet, which is slow. `esp` is
    esptool's object for the chip and its stub, anew after each connecting.
    """

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
        self.port = port
        self.board = board
        self.wiring = port.wiring(board)
        self.tools = esptool()
        self._console_baud: int | None = None  # the port's rate before this
        self.esp: Any = None
        self.actual: ActualState | None = None
        self._clock = clock
        self._wait_for_operator = wait_for_operator
        self._operator_seconds = operator_seconds
        self._trace = trace
        self._packets = packets and trace is not None
        self._raise_for_stub = True  # whether it is worth trying

    def connect(self) -> None:
        """Enter download mode by the board's wiring, or wait for a person, and start the stub."""
        with self.talking("entering download mode"):
            self._console_baud = self._console_baud or self.baud
            port = BoundedPort(self.port.serial, self.tools.FatalError, self._clock)
            stub = self._run_stub(port)
            self.esp = with_fast_transfers(
                stub, port=port, fatal=self.tools.FatalError, tracing=self._packets
            )
        self.actual = None

    def _run_stub(self, port: BoundedPort) -> Any:
        """esptool's object for the stub, or for a ROM that takes none."""
        rom = self._enter(port)
        rate = upload_rate(rom, self.board) if self._raise_for_stub else ROM_BAUD
        if rate > ROM_BAUD:
            try:
                raise_for_upload(rom, rate)
                return self.tools.commands.run_stub(rom)
            except (self.tools.FatalError, *NONSENSE) as error:
                self._say(f"the stub was not taken at {rate} baud ({error}); connecting again")
                self._raise_for_stub = False
                rom = self._enter(port)
        return self.tools.commands.run_stub(rom)

    def _enter(self, port: BoundedPort) -> Any:
        """esptool's object for the ROM of a board that is in download mode."""
        loader = self.tools.Loader(port, ROM_BAUD, trace_enabled=self._packets)
        enter_download_mode(
            self.tools,
            loader,
            self.port,
            self.board,
            self._wait_for_operator,
            operator_seconds=self._operator_seconds,
        )
        return self._detect(loader, port)

    def _detect(self, loader: Any, port: BoundedPort) -> Any:
        """The esptool object for the chip that answers.

        An ESP8266 or ESP32 is asked for its magic register first: esptool's own detection
        starts with a command that their ROMs do not know, which costs it 0.2 s of draining.
        """
        if self.board.chip in (ESP8266, ESP32):
            kind = self.tools.chips[self.board.chip.name]
            if loader.read_reg(loader.CHIP_DETECT_MAGIC_REG_ADDR) == kind.MAGIC_VALUE:
                rom = kind(port, self.baud, trace_enabled=self._packets)
                rom.sync_stub_detected = loader.sync_stub_detected
                return rom
        return self.tools.commands.detect_chip(
            port, self.baud, "no-reset", trace_enabled=self._packets, connect_attempts=1
        )

    @property
    def baud(self) -> int:
        """The rate in use."""
        return int(self.port.serial.baudrate)

    def restart(self) -> bool:
        """Leave download mode and boot; False where that needs a person (no reset lines)."""
        with self.talking("restarting the board"):
            if hard_reset(self.tools, self.port, self.wiring, self._console_baud):
                return True
            if self.esp is not None and self.esp.CHIP_NAME == "ESP8266" and self.esp.IS_STUB:
                self.esp.soft_reset(False)
                return True
        return False

    def abandon(self) -> None:
        """Leave download mode, or whatever was reached on the way there, after an error that is
        the one to be told: a board that cannot be restarted only is traced."""
        try:
            restarted = self.restart()
        except ProvisionError as error:
            self._say(f"the board could not be restarted: {error.message}")
        else:
            self._say("restarted" if restarted else "only its RESET button restarts this board")

    def identify(self) -> ActualState:
        """Chip, MAC, flash size and security of the board; asked once."""
        if self.actual is None:
            with self.talking("reading what the board is"):
                self.actual = self._read_identity()
        return self.actual

    def raise_baud(self, baud: int) -> int:
        """Go up to `baud`, or to the highest lower rate that the line holds."""
        if baud <= self.baud or not self.esp.IS_STUB:
            return self.baud
        for rate in (baud, *(rate for rate in _RATES if rate < baud)):
            if rate <= self.baud:
                break
            if self._holds_rate(rate):
                return rate
            self._reconnect(f"the connection is not reliable at {rate} baud")
        return self.baud

    def retrying(self, step: Callable[[], None]) -> None:
        """Carry out a step; once more, at a lower rate, where the line fails and the board can be
        reset."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                step()
                return
            except PortLost:
                raise
            except DeviceError as error:
                if attempt == _ATTEMPTS or self.wiring is ResetWiring.NONE:
                    raise
                self._say(f"{error.message}; trying again")
                self._retry_slower()

    @contextmanager
    def talking(self, doing: str) -> Iterator[None]:
        """Route esptool's lines to this device, and turn its errors into ours."""
        with self.port.errors(), listening(self._trace):
            try:
                yield
            except (self.tools.FatalError, *NONSENSE) as error:
                raise translate(error, doing, self.port.device) from error

    def _read_identity(self) -> ActualState:
        esp = self.esp
        chip = next(
            (chip for chip in CHIPS if self.tools.chips[chip.name].CHIP_NAME == esp.CHIP_NAME),
            None,
        )
        if chip is None:
            raise BoardError(
                f"the chip on this port is an {esp.CHIP_NAME}, which this tool does not know",
                hint="it provisions " + ", ".join(known.label for known in CHIPS),
                device=self.port.device,
            )
        if esp.secure_download_mode:
            return ActualState(chip=chip, description=chip.label, secured="secure download mode")
        mac = ":".join(f"{byte:02x}" for byte in esp.read_mac())
        description = esp.get_chip_description()
        revision = None if chip == ESP8266 else esp.get_chip_revision()
        secured = self._secured(chip)
        features = () if chip == ESP8266 else tuple(esp.get_chip_features())
        self.tools.commands.attach_flash(esp)
        name = self.tools.commands.detect_flash_size(esp)
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
            psram=_psram(features),
            cores=_cores(features),
        )

    def _secured(self, chip: Chip) -> str | None:
        if chip == ESP8266:
            return None
        if self.esp.get_secure_boot_enabled():
            return "secure boot"
        return "flash encryption" if self.esp.get_flash_encryption_enabled() else None

    def _holds_rate(self, rate: int) -> bool:
        try:
            with self.talking(f"going to {rate} baud"):
                self.esp.change_baud(rate)
                address = self.esp.CHIP_DETECT_MAGIC_REG_ADDR
                for _ in range(2):
                    self.esp.read_reg(address, timeout=_PROBE_TIMEOUT)
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
                f"another board answers: {after.mac}, not {before.mac}", device=self.port.device
            )
        if rate > self.baud:
            self._holds_rate(rate)

    def _reconnect(self, reason: str) -> None:
        if self.wiring is ResetWiring.NONE:
            raise NoAnswer(
                f"{reason}, and this board needs a person to start over",
                hint="set a lower baud for this device, put it in download mode and run again",
                device=self.port.device,
            )
        self._say(f"{reason}; connecting again")
        self.connect()

    def _say(self, text: str) -> None:
        if self._trace is not None:
            self._trace(1, text)


def _psram(features: Sequence[str]) -> int | None:
    """Bytes of PSRAM in the chip's package, by esptool's words; one that names no size (ESP32) has
    2 MB. None where it does not tell."""
    for feature in features:
        if found := re.fullmatch(r"Embedded PSRAM(?: (\d+)MB)?(?: \(.*\))?", feature):
            return int(found[1] or 2) << 20
    return 0 if "No Embedded PSRAM" in features else None


def _cores(features: Sequence[str]) -> int | None:
    """Cores that run programs, by esptool's words ("Dual Core + LP Core")."""
    numbers = {"Single": 1, "Dual": 2}
    named = (feature.partition(" Core")[0] for feature in features)
    return next((numbers[word] for word in named if word in numbers), None)
