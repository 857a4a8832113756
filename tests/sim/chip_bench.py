"""A chip in download mode on a bench of its own, and a host that speaks the boot protocol to it.

The application is a fake one that notes what happens to it; everything else is the real thing.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from provision.core.chips.esp.chips import ESP32
from provision.model.chip import Chip
from provision.sim.chip.board import Board
from provision.sim.chip.flash import Flash, Work
from provision.sim.chip.model import Touch
from provision.sim.chip.parts import Mode
from provision.sim.esp import slip
from provision.sim.esp.chips import FACTS
from provision.sim.esp.efuses import burn_efuses
from provision.sim.event_loop import EventLoop
from provision.sim.families import MODELS
from provision.sim.line.wire import Wire
from provision.sim.setup import BoardSetup, ResetCause, ResetRequest

PATIENCE = 20.0  # seconds after which the bench gives up
SYNC = b"\x07\x07\x12\x20" + b"\x55" * 32


class FakeApplication:
    """Notes its boots and what it receives; `request_reset` asks the chip for something."""

    def __init__(self, **parts: object) -> None:
        self.boots: list[ResetCause] = []
        self.received = bytearray()
        self.running = False
        self.overruns = 0
        self.takes_more = True
        self.crashed = False
        self.touch = Touch.NONE
        self.request_reset: Callable[[ResetRequest], None]
        self.request_reset = parts["request_reset"]  # type: ignore[assignment]

    def boot(self, cause: ResetCause) -> None:
        self.boots.append(cause)
        self.running = True

    def receive(self, data: bytes) -> None:
        self.received += data

    def halt(self) -> None:
        self.running = False

    def cut_power(self, work: Work, count: int, on_cut: Callable[[], None]) -> None:
        """It does not touch the flash."""

    def cancel_power_cut(self) -> None:
        """Nor does it."""


class Host:
    """The port's owner: collects what arrives."""

    yields = False

    def __init__(self) -> None:
        self.arrived = bytearray()
        self.pulled = False

        self.full = False

    def deliver(self, data: bytes) -> None:
        self.arrived += data

    def rate(self) -> None:
        """It is told."""

    def unplugged(self) -> None:
        self.pulled = True


class ChipBench:
    """`fuses` are those of `Security` that are burned, `settings` those of a `sim://` address."""

    def __init__(
        self,
        directory: Path,
        chip: Chip = ESP32,
        fuses: Sequence[str] = (),
        **settings: str,
    ) -> None:
        query = {"chip": str(chip), "flash": "1MB", **settings}
        self.setup = BoardSetup.from_query("bench", query, directory)
        self.flash = Flash(self.setup.flash_path, self.setup.flash_size)
        burn_efuses(directory, **dict.fromkeys(fuses, True))
        self.loop = EventLoop()
        self.application = FakeApplication(request_reset=lambda request: None)
        self.board = Board(
            setup=self.setup,
            model=MODELS[chip],
            flash=self.flash,
            loop=self.loop,
            make_application=self._application,
            make_wire=Wire,
        )
        self.host = Host()
        self._decoder = slip.Decoder()
        self._frames: list[bytes] = []

    def _application(self, **parts: object) -> FakeApplication:
        self.application = FakeApplication(**parts)
        return self.application

    def __enter__(self) -> ChipBench:
        return self

    def __exit__(self, *exc: object) -> None:
        self.board.close()

    # Getting there

    def plug_in(self) -> ChipBench:
        self.board.power_on()
        self.board.open(self.host, dtr=False, rts=False, baud=115200)
        return self

    def download(self) -> ChipBench:
        """Into the ROM loader, by the reset lines, and synchronised."""
        self.plug_in()
        self.board.circuit.lines(False, True)
        self.board.circuit.lines(True, False)
        self.board.circuit.lines(False, False)
        assert self.board.mode is Mode.DOWNLOAD
        self.host.arrived.clear()
        self.ask(0x08, SYNC, answers=8)
        return self

    def run_stub(self) -> ChipBench:
        """Load a program into RAM as esptool loads its stub."""
        self.download()
        program = bytes(range(200)) * 10
        self.ask(0x05, words(len(program), 1, 0x1800, 0x40080000))
        self.ask(0x07, block(program), slip.checksum(program))
        self.ask(0x06, words(0, 0x40080000))
        assert self.frame() == b"OHAI"
        return self

    # Talking

    def say(self, operation: int, data: bytes = b"", checksum: int = 0) -> None:
        packet = struct.pack("<BBHI", 0, operation, len(data), checksum) + data
        self.board.from_host(slip.encode(packet))

    def frame(self) -> bytes:
        """The next frame from the chip."""
        self.wait(self._arrive)
        return self._frames.pop(0)

    def _arrive(self) -> bool:
        self._frames += self._decoder.feed(bytes(self.host.arrived))
        self.host.arrived.clear()
        return bool(self._frames)

    def answer(self) -> tuple[int, int, bytes, bytes]:
        """Operation, value, data and status of the next answer; its frame is checked."""
        frame = self.frame()
        direction, operation, length, value = struct.unpack_from("<BBHI", frame)
        assert direction == 1
        body = frame[8:]
        assert len(body) == length
        size = 2 if self.board.stub else FACTS[self.setup.chip].status_length
        return operation, value, body[:-size], body[-size:]

    def ask(
        self, operation: int, data: bytes = b"", checksum: int = 0, answers: int = 1
    ) -> tuple[int, bytes]:
        """A command that must succeed; returns value and data of the last answer."""
        value, body = 0, b""
        rom = not self.board.stub
        self.say(operation, data, checksum)
        for _ in range(answers):
            size = FACTS[self.setup.chip].status_length if rom else 2
            frame = self.frame()
            _, answered, length, value = struct.unpack_from("<BBHI", frame)
            assert answered == operation, frame.hex()
            assert len(frame) == 8 + length
            body, status = frame[8:-size], frame[-size:]
            assert status == bytes(size), f"{operation:#x}: {status.hex()}"
        return value, body

    def refused(self, operation: int, data: bytes = b"", checksum: int = 0) -> bytes:
        """A command that must fail; returns the two bytes that say why."""
        self.say(operation, data, checksum)
        answered, _, body, status = self.answer()
        assert answered == operation
        assert not body
        assert status[0], "no failure"
        assert status[2:] == bytes(len(status) - 2)
        return status[:2]

    def register(self, address: int) -> int:
        return self.ask(0x0A, words(address))[0]

    def set_register(self, address: int, value: int, mask: int = 0xFFFFFFFF) -> None:
        self.ask(0x09, words(address, value, mask, 0))

    def write(self, data: bytes, offset: int, operation: int = 0x03) -> None:
        """One block of data, uncompressed."""
        self.ask(operation, block(data), slip.checksum(data))

    def wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, "nothing came"
            alarm = self.loop.after(PATIENCE, lambda: None)
            self.loop.step()
            alarm.cancel()


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def block(data: bytes, sequence: int = 0) -> bytes:
    return words(len(data), sequence, 0, 0) + data


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
