"""One virtual board at its prompt, by `sim://`, for tests of what is said to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import serial

from provision.device.micropython.board_repl import BoardRepl
from provision.model.chip import Chip
from provision.sim.esp.firmware import build

NAME = "unit"
BASE = 115_200


class Unit:
    """A virtual board at its prompt."""

    def __init__(self, work: Path, chip: Chip, version: str, settings: str) -> None:
        image = work / f"{chip}-{version}.bin"
        small = {"flash_size": 1 << 20} if "flash=1MB" in settings else {}
        image.write_bytes(build(chip, version, **small))
        self.address = f"sim://{NAME}?chip={chip}&firmware={image}{settings}"
        with self.port() as port:
            port.dtr = False
            port.rts = True
            port.reset_input_buffer()
            port.rts = False
            assert BoardRepl(port).await_prompt(20)

    @contextlib.contextmanager
    def port(self) -> Iterator[serial.Serial]:
        opened = serial.serial_for_url(self.address, baudrate=BASE, timeout=1)
        try:
            yield opened
        finally:
            opened.close()

    def entered(self, port: serial.Serial) -> BoardRepl:
        """Its REPL, taken."""
        repl = BoardRepl(port)
        repl.enter()
        return repl

    @contextlib.contextmanager
    def repl(self) -> Iterator[BoardRepl]:
        """Its REPL, taken and given back at the rate that it had."""
        with self.port() as port:
            repl = self.entered(port)
            yield repl
            assert port.baudrate == BASE
            repl.leave()
