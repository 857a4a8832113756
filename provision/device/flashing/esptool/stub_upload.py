"""The stub sent at a raised rate: of the second that a board takes from its reset until the stub
speaks, two thirds are the stub's seven kB at the ROM's 115200 baud.

The rate is the ROM's again before the stub is started, which reads from the ROM's memory how fast
the line is: whether a ROM notes there what it was asked to change to is nowhere said.
"""

from __future__ import annotations

from typing import Any

from provision.device.flashing.esptool.reset import ROM_BAUD
from provision.model.board import BoardProfile, ResetWiring

_PROBE_TIMEOUT = 0.5  # seconds for an answer at the new rate


def upload_rate(rom: Any, board: BoardProfile) -> int:
    """How fast the stub may go to the board behind esptool's object `rom`: no faster than always
    where its ROM knows no other rate, has no rate, or could not be reset if it fails."""
    resets = board.reset not in (ResetWiring.NONE, ResetWiring.USB_JTAG)
    knows = rom.CHIP_NAME != "ESP8266" and not rom.secure_download_mode
    return board.baud if resets and knows and not rom.sync_stub_detected else ROM_BAUD


def raise_for_upload(rom: Any, rate: int) -> None:
    """Go to `rate` until the last byte of the stub is sent; esptool's error where it does not
    hold."""
    start = rom.mem_finish

    def start_at_the_roms_rate(entrypoint: int = 0) -> Any:
        rom.change_baud(ROM_BAUD)
        return start(entrypoint)

    rom.mem_finish = start_at_the_roms_rate
    rom.change_baud(rate)
    rom.read_reg(rom.CHIP_DETECT_MAGIC_REG_ADDR, timeout=_PROBE_TIMEOUT)
