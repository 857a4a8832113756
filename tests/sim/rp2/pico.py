"""A virtual Pico as a host meets it: its volume, its port, its cable."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import serial

from provision.core.chips.rp2.chips import RP2040
from provision.model.chip import Chip
from provision.sim import client
from tests.bench_of_boards import Bench
from tests.sim.bench import release

PATIENCE = 20.0


class Pico:
    """The board `name`, with `firmware` (a version, or an image) if it shall have any."""

    def __init__(
        self,
        bench: Bench,
        chip: Chip = RP2040,
        firmware: str | bytes | None = None,
        name: str = "pico",
        **settings: str,
    ) -> None:
        self.bench = bench
        self.chip = chip
        self.name = name
        query = {"chip": str(chip), **settings}
        if firmware is not None:
            image = release(chip, firmware) if isinstance(firmware, str) else firmware
            (bench.work / f"{name}.uf2").write_bytes(image)
            query["firmware"] = str(bench.work / f"{name}.uf2")
        client.ensure(name, query)

    @property
    def status(self) -> dict[str, Any]:
        return client.request(self.name, "status")

    @property
    def volume(self) -> Path:
        return Path(self.status["volume"])

    @property
    def flash(self) -> bytes:
        return self.bench.flash(self.name)

    def until(self, done: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The board's own process tells its state only when it is asked."""
        end = time.monotonic() + PATIENCE
        while not done(status := self.status):
            assert time.monotonic() < end, status
            time.sleep(0.01)
        return status

    def until_running(self) -> dict[str, Any]:
        return self.until(lambda status: status["present"])

    def until_bootsel(self) -> dict[str, Any]:
        return self.until(lambda status: status["volume"])

    def copy(self, uf2: bytes, name: str = "image.uf2") -> None:
        (self.volume / name).write_bytes(uf2)

    def open(self, **settings: object) -> serial.Serial:
        return serial.serial_for_url(
            f"sim://{self.name}", **{"baudrate": 115200, "timeout": PATIENCE, **settings}
        )

    def run(self, code: str) -> str:
        """What code prints at the raw REPL."""
        with self.open() as port:
            port.write(b"\r\x03\x03\x01")
            assert port.read_until(b"raw REPL; CTRL-B to exit\r\n>").endswith(b">")
            port.write(code.encode() + b"\x04")
            answer = port.read_until(b"\x04>")
            port.write(b"\x02")
        assert answer.startswith(b"OK"), answer
        output, error, _ = answer[2:].split(b"\x04")
        assert not error, error.decode()
        return str(output.decode().replace("\r\n", "\n").strip())

    def fault(self, fault: str, **arguments: str) -> None:
        client.request(self.name, "fault", fault=fault, arguments=arguments)
