"""`python -m tests.hw.whole_flash digest|erase PORT`: all of a board's flash, by esptool alone.

`digest` prints the MD5 of the whole flash, which the chip itself computes: a byte that changed
anywhere shows. `erase` makes the board blank. Either way the board starts anew afterwards.
Over RFC 2217 the port is this project's client: esptool takes 20 s for a command over pyserial's.
"""

from __future__ import annotations

import sys
from typing import Any

import serial
from esptool.cmds import attach_flash, detect_chip, detect_flash_size, erase_flash, run_stub
from esptool.util import flash_size_bytes

from provision.device.transport.rfc2217 import RemotePort


def open_port(address: str) -> Any:
    if address.startswith("rfc2217://"):
        return RemotePort(address, baudrate=115200)
    return serial.serial_for_url(address, baudrate=115200, exclusive=True)


def main(what: str, address: str) -> str:
    with open_port(address) as port:
        chip = run_stub(detect_chip(port))
        attach_flash(chip)
        if what == "erase":
            erase_flash(chip)
            said = "erased"
        else:
            size = flash_size_bytes(detect_flash_size(chip))
            said = f"{size} bytes, MD5 {chip.flash_md5sum(0, size)}"
        chip.hard_reset()
        return said


if __name__ == "__main__":
    # esptool narrates on stdout: the answer is the last line.
    print(main(*sys.argv[1:]))
