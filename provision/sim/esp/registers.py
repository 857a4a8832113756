"""A chip's memory-mapped registers, as far as a tool in download mode reads and writes them.

Most just keep what they are given. Those that act are here: the SPI controller in front of the
flash, the RTC watchdog, and the eFuses that tell of secure boot and flash encryption.
"""

from __future__ import annotations

from collections.abc import Callable

from provision.model.board import ResetWiring
from provision.sim.chip.flash import MANUFACTURER, Flash
from provision.sim.esp.chips import DETECT_REGISTER, WATCHDOG_KEY, ChipFacts
from provision.sim.esp.efuses import Security
from provision.sim.setup import BoardSetup

_WORD = 0xFFFFFFFF
_COMMAND_USER = 1 << 18
_USER_MISO = 1 << 28
_WATCHDOG_ON = 1 << 31

# What a Serial Flash Discoverable Parameters table starts with: two parameter headers, the
# JEDEC basic one and the manufacturer's.
_SFDP = (
    b"SFDP\x06\x01\x01\xff\x00\x06\x01\x10\x80\x00\x00\xff"
    + bytes((MANUFACTURER, 0, 1, 4))
    + b"\x80\x00\x00\xff"
)


class Registers:
    """`baud` tells the UART's rate, from which tools compute the crystal; `bite` is called when
    the watchdog has been started and will reset the chip."""

    def __init__(
        self,
        *,
        facts: ChipFacts,
        setup: BoardSetup,
        flash: Flash,
        security: Security,
        baud: Callable[[], int],
        bite: Callable[[], None],
    ) -> None:
        self.attached = False
        self._facts = facts
        self._flash = flash
        self._baud = baud
        self._bite = bite
        self._unlocked = False
        self._values = {DETECT_REGISTER: facts.magic, **facts.identity(setup)}
        if facts.console_register is not None and setup.wiring is ResetWiring.USB_JTAG:
            self._values[facts.console_register] = facts.console_usb_jtag
        for register, bits in facts.fuses(security).items():
            self._values[register] = self._values.get(register, 0) | bits

    def read(self, address: int) -> int:
        if address == self._facts.clock_divider:
            return self._facts.crystal // max(self._baud(), 1)
        return self._values.get(address, 0)

    def write(self, address: int, value: int, mask: int = _WORD) -> None:
        value = (self.read(address) & ~mask | value & mask) & _WORD
        watchdog = self._facts.watchdog
        if watchdog and address == watchdog.protect:
            self._unlocked = value == WATCHDOG_KEY
        elif watchdog and address == watchdog.config:
            if not self._unlocked:
                return
            if value & _WATCHDOG_ON:
                self._bite()
        self._values[address] = value
        if address == self._facts.spi.command and value & _COMMAND_USER:
            self._values[address] = value & ~_COMMAND_USER
            self._run_spi()

    def _run_spi(self) -> None:
        """Carry out one command to the flash; whatever it answers lands in W0."""
        spi = self._facts.spi
        command = self.read(spi.base + spi.usr2) & 0xFF
        written = self.read(spi.base + spi.w0)
        answer = self._ask_flash(command, written) if self.attached else _WORD
        if self.read(spi.base + spi.usr) & _USER_MISO:
            bits = self._answer_bits()
            self._values[spi.base + spi.w0] = answer & (1 << bits) - 1

    def _answer_bits(self) -> int:
        spi = self._facts.spi
        if spi.miso is None:
            return (self.read(spi.base + spi.usr1) >> 8 & 0x1FF) + 1
        return (self.read(spi.base + spi.miso) & 0x3FF) + 1

    def _ask_flash(self, command: int, written: int) -> int:
        flash = self._flash
        match command:
            case 0x9F:
                return flash.jedec_id
            case 0x05:
                return flash.status & 0xFF
            case 0x35:
                return flash.status >> 8 & 0xFF
            case 0x15:
                return flash.status >> 16 & 0xFF
            case 0x01:
                flash.status = flash.status & ~0xFF | written & 0xFF
            case 0x31:
                flash.status = flash.status & ~0xFF00 | (written & 0xFF) << 8
            case 0x11:
                flash.status = flash.status & ~0xFF0000 | (written & 0xFF) << 16
            case 0x5A:
                return int.from_bytes(_SFDP[self._address() :][:4].ljust(4, b"\xff"), "little")
            case _:  # write enable, reset and power commands need no answer here
                pass
        return 0

    def _address(self) -> int:
        """The 24-bit address: in the upper bits on ESP8266 and ESP32, in the lower ones since."""
        value = self.read(self._facts.spi.address)
        return value >> 8 if self._facts.spi.usr == 0x1C else value & 0xFFFFFF
