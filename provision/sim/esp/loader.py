"""Download mode: the chip's side of esptool's serial protocol.

`Loader` decodes frames, passes each to the ROM's commands, or to the flasher stub's once a stub was
loaded into RAM and started, and sends their responses. Flash work takes its modelled time here;
meanwhile frames wait.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

from provision.core.chips.esp.chips import ESP8266
from provision.sim.chip.flash import Flash, PowerLost
from provision.sim.esp import slip
from provision.sim.esp.chips import ChipFacts
from provision.sim.esp.commands import LoaderCommands
from provision.sim.esp.efuses import Security
from provision.sim.esp.packets import HEADER, REQUEST, RESPONSE, Answer, CommandFailed
from provision.sim.esp.registers import Registers
from provision.sim.esp.rom import Rom
from provision.sim.esp.stub import Stub
from provision.sim.event_loop import EventLoop, Timer
from provision.sim.setup import BoardSetup, ResetKind, ResetRequest, Send

_WATCHDOG_BITES = 0.02  # seconds: 2000 cycles of the slow clock and a reset

# To read a MB and digest it on the chip: an ESP32-S3's stub takes a second for 2.4 MB (measured in
# the issue 66 of FastLED's fbuild). An ESP8266 has half the clock: an estimate.
_DIGEST_PER_MB = 0.42
_DIGEST_PER_MB_ESP8266 = 0.84


class Loader:
    """One stay in download mode; made anew at every reset into it."""

    volume: Path | None = None

    def __init__(
        self,
        *,
        facts: ChipFacts,
        setup: BoardSetup,
        flash: Flash,
        security: Security,
        loop: EventLoop,
        send: Send,
        baud: Callable[[], int],
        set_baud: Callable[[int], None],
        request_reset: Callable[[ResetRequest], None],
    ) -> None:
        self.facts = facts
        self.setup = setup
        self.flash = flash
        self.security = security
        self.set_baud = set_baud
        self.request_reset = request_reset
        self.synced = False
        self.stub = False
        self.operations = 0
        self._loop = loop
        self._send = send
        self._slip = slip.Decoder()
        self._frames: deque[bytes] = deque()
        self._working: Timer | None = None
        self._timers: list[Timer] = []
        self._halted = False
        self.registers = Registers(
            facts=facts, setup=setup, flash=flash, security=security, baud=baud, bite=self._bite
        )
        self._commands: LoaderCommands = Rom(self)

    def receive(self, data: bytes) -> None:
        for frame in self._slip.feed(data):
            if len(self._frames) < self._commands.frames_kept:
                self._frames.append(frame)
            self._serve()

    def halt(self) -> None:
        self._halted = True
        self._frames.clear()
        for timer in self._timers:
            timer.cancel()

    def start_stub(self) -> None:
        """The program in RAM was started: it greets and takes over."""
        self.stub = True
        self._commands = Stub(self)
        self.send_frame(b"OHAI")

    def crash(self) -> None:
        """The processor jumped into nothing; only a reset helps."""
        self.halt()

    def digest(self, offset: int, size: int) -> tuple[bytes, float]:
        """The MD5 of a part of the flash, and the seconds that the chip takes for it."""
        small = self.facts.chip == ESP8266
        rate = _DIGEST_PER_MB_ESP8266 if small else _DIGEST_PER_MB
        digest = hashlib.md5(self.flash.read(offset, size), usedforsecurity=False).digest()
        return digest, rate * size / (1 << 20)

    def send_frame(self, payload: bytes) -> None:
        self._send(slip.encode(payload))

    def respond(self, operation: int, status: int, answer: Answer) -> None:
        """One response packet: header, data, status in as many bytes as this speaker uses."""
        ending = status.to_bytes(2, "big").ljust(self._commands.status_length, b"\0")
        body = answer.data + ending
        self.send_frame(HEADER.pack(RESPONSE, operation, len(body), answer.value) + body)

    def work(self, seconds: float, then: Callable[[], None]) -> None:
        """Be busy for a while of the chip's time, if this board keeps time at all."""
        if not self.setup.timing or seconds <= 0:
            then()
            return

        def done() -> None:
            self._working = None
            try:
                then()
            except PowerLost:
                return
            self._serve()

        self._working = self._later(seconds * self.setup.timing, done)

    def _later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = self._loop.after(seconds / self.setup.scale, callback)
        self._timers = [one for one in self._timers if one.callback] + [timer]
        return timer

    def _bite(self) -> None:
        self._later(
            _WATCHDOG_BITES, lambda: self.request_reset(ResetRequest(kind=ResetKind.WATCHDOG))
        )

    def _serve(self) -> None:
        while self._frames and self._working is None and not self._halted:
            try:
                self._handle(self._frames.popleft())
            except PowerLost:
                return

    def _handle(self, frame: bytes) -> None:
        commands = self._commands
        if commands.take_acknowledgement(frame):
            return
        if len(frame) < HEADER.size or frame[0] != REQUEST:
            commands.malformed_frame(frame)
            return
        _, operation, length, checksum = HEADER.unpack_from(frame)
        data = frame[HEADER.size :]
        if len(data) != length:
            commands.malformed_frame(frame)
            return
        self.operations += 1
        try:
            answer = commands.answer(operation, data, checksum)
        except CommandFailed as failure:
            self.respond(operation, failure.status, Answer())
            return
        if answer is not None:
            self.work(answer.seconds, lambda: self._finish(operation, answer))

    def _finish(self, operation: int, answer: Answer) -> None:
        for _ in range(answer.repeat):
            self.respond(operation, 0, answer)
        if answer.after:
            answer.after()
