"""One virtual board's application on a bench of its own: no carrier, no process, no clock but its
loop's. `Bench` drives it as a terminal program would."""

from __future__ import annotations

import time
from pathlib import Path

from provision.core.chips.esp.chips import ESP32
from provision.core.chips.esp.image import BOOT_OFFSETS
from provision.model.chip import Chip
from provision.sim.app.application import Application
from provision.sim.chip.flash import Flash
from provision.sim.event_loop import EventLoop
from provision.sim.families import MODELS
from provision.sim.setup import BoardSetup, ResetCause, ResetRequest

PATIENCE = 20.0  # seconds after which a bench gives up: far beyond anything it waits for
DATE = "2024-11-29"
PROMPT = b">>> "
RAW = b"raw REPL; CTRL-B to exit\r\n>"


def release(chip: Chip, version: str, *, flash_size: int | None = None, **other: object) -> bytes:
    """An image of the generic release for a chip; `other` as `ChipModel.image` has it."""
    model = MODELS[chip]
    asked = {"machine": model.machine(None, flash_size), "date": DATE, "size": None, **other}
    return model.image(version, flash_size=flash_size, **asked)  # type: ignore[arg-type]


class Bench:
    """A board with `firmware` in its flash: a version to build an image of, or an image, or None
    for a blank flash. `settings` are those of a `sim://` address."""

    def __init__(
        self,
        directory: Path,
        chip: Chip = ESP32,
        firmware: str | bytes | None = "1.24.1",
        **settings: str,
    ) -> None:
        query = {"chip": str(chip), **settings}
        self.chip = chip
        self.setup = BoardSetup.from_query("bench", query, directory)
        self.flash = Flash(self.setup.flash_path, self.setup.flash_size)
        self.loop = EventLoop()
        self.output = bytearray()
        self.sent: list[tuple[bytes, int | None]] = []
        self.reset_requests: list[ResetRequest] = []
        self.rates: list[int] = []
        self.host_full = False
        self.attached: list[float] = []  # when the port came up, on a chip's own USB
        if isinstance(firmware, str):
            firmware = release(chip, firmware, flash_size=self.setup.flash_size)
        if firmware is not None:
            self.install(firmware)
        self.application = Application(
            setup=self.setup,
            model=MODELS[chip],
            flash=self.flash,
            loop=self.loop,
            send=self._send,
            host_full=lambda: self.host_full,
            attach=lambda: self.attached.append(self.loop.now()),
            request_reset=self.reset_requests.append,
            set_baud=self.rates.append,
        )

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc: object) -> None:
        self.application.halt()
        self.flash.close()

    def install(self, image: bytes) -> None:
        """Write a release image where a flasher would."""
        if self.chip not in BOOT_OFFSETS:  # its image says what is erased
            MODELS[self.chip].install(self.flash, image)
            return
        offset = BOOT_OFFSETS[self.chip]
        size = -(-(offset % 4096 + len(image)) // 4096) * 4096
        self.flash.erase(offset // 4096 * 4096, size)
        self.flash.program(offset, image)

    def boot(self, cause: ResetCause = ResetCause.POWER_ON, until: bytes = PROMPT) -> bytes:
        self.application.boot(cause)
        return self.until(until)

    def type(self, data: bytes, until: bytes = PROMPT) -> bytes:
        """Send, then wait for `until`; returns all up to and with it."""
        self.application.receive(data)
        return self.until(until)

    def insist(self, data: bytes, until: bytes = PROMPT, every: float = 0.05) -> bytes:
        """Send again and again, as people press Ctrl-C, until `until` is printed."""
        end = time.monotonic() + PATIENCE
        while until not in self.output:
            assert time.monotonic() < end, f"insisted in vain: {self.output!r}"
            self.application.receive(data)
            self.loop.after(every, lambda: None)
            self.loop.step()
        return self.until(until)

    def until(self, pattern: bytes, count: int = 1) -> bytes:
        """What was printed up to and with the `count`th `pattern`, taken off the output."""
        self.wait(lambda: self.output.count(pattern) >= count, f"{pattern!r} in {self.output!r}")
        end = 0
        for _ in range(count):
            end = self.output.index(pattern, end) + len(pattern)
        text = bytes(self.output[:end])
        del self.output[:end]
        return text

    def until_reset_request(self) -> ResetRequest:
        """What the application asked of the chip."""
        self.wait(
            lambda: bool(self.reset_requests), f"a reset request; printed was {self.output!r}"
        )
        return self.reset_requests.pop(0)

    def wait(self, done: object, what: str) -> None:
        assert callable(done)
        end = time.monotonic() + PATIENCE
        timer = self.loop.after(PATIENCE, lambda: None)
        while not done():
            if time.monotonic() >= end:
                raise AssertionError(f"waited in vain for {what}")
            self.loop.step()
        timer.cancel()

    def settle(self, seconds: float) -> bytes:
        """All that is printed in so many seconds."""
        over: list[bool] = []
        self.loop.after(seconds, lambda: over.append(True))
        self.wait(lambda: bool(over), "time to pass")
        text = bytes(self.output)
        self.output.clear()
        return text

    def raw(self) -> None:
        """To the raw REPL, from the prompt or from whatever can be interrupted."""
        self.type(b"\r\x03\x03", PROMPT) if self.output else None
        self.type(b"\x01", RAW)
        self.output.clear()

    def run(self, code: str) -> str:
        """What `code` prints at the raw REPL; AssertionError with the traceback if it raises."""
        answer = self.type(code.encode() + b"\x04", b"\x04>")
        assert answer.startswith(b"OK"), answer
        output, error, _ = answer[2:].split(b"\x04")
        assert not error, error.decode()
        return output.decode().replace("\r\n", "\n").strip()

    def _send(self, data: bytes, *, baud: int | None = None) -> None:
        self.sent.append((data, baud))
        self.output += data
