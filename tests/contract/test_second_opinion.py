"""Our loader and that of the package esp32-mock-bootloader, asked the same questions.

They were written apart. Where they differ, and why ours is right, stands with the question.
"""

from __future__ import annotations

import random
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from esp32_mock_bootloader.api import mock_bootloader

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP32S2, ESP8266
from provision.model.chip import Chip
from provision.sim.esp import slip
from tests.sim.chip_bench import SYNC, ChipBench, block, md5, words

DATA = random.Random(5).randbytes(2500)
PACKED = zlib.compress(DATA + bytes(1000), 9)
Answer = tuple[int, bytes, bytes]  # operation, data, the two bytes of status that count


class Theirs:
    """A mock bootloader behind a TCP port."""

    def __init__(self, port: int, chip: Chip) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._decoder = slip.Decoder()
        self._frames: list[bytes] = []
        self.status_length = 2 if chip is ESP8266 else 4

    def close(self) -> None:
        self._socket.close()

    def say(self, operation: int, data: bytes, checksum: int) -> None:
        packet = struct.pack("<BBHI", 0, operation, len(data), checksum) + data
        self._socket.sendall(slip.encode(packet))

    def frame(self) -> bytes:
        while not self._frames:
            data = self._socket.recv(65536)
            assert data, "theirs hung up"
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def raw(self, payload: bytes) -> None:
        self._socket.sendall(slip.encode(payload))


class Ours:
    def __init__(self, bench: ChipBench, chip: Chip) -> None:
        self._bench = bench
        self.status_length = 2 if chip is ESP8266 else 4

    def say(self, operation: int, data: bytes, checksum: int) -> None:
        self._bench.say(operation, data, checksum)

    def frame(self) -> bytes:
        return self._bench.frame()

    def raw(self, payload: bytes) -> None:
        self._bench.board.from_host(slip.encode(payload))


def ask(
    side: Theirs | Ours, operation: int, data: bytes = b"", checksum: int = 0, length: int = 0
) -> Answer:
    """As esptool reads an answer: the status stands behind `length` bytes of data. (Theirs sends
    two bytes of status from its ROM wherever there are data; the documentation says four.)"""
    side.say(operation, data, checksum)
    frame = side.frame()
    direction, answered, size, _ = struct.unpack_from("<BBHI", frame)
    assert direction == 1
    body = frame[8:]
    assert len(body) == size
    return answered, body[:length], body[length : length + 2]


# Their session leaves a pipe for the garbage collector to close.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(
    params=[
        ESP32,
        *(pytest.param(chip, marks=pytest.mark.slow) for chip in (ESP32S2, ESP32C3)),
    ]
)
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Theirs, Ours]]:
    chip: Chip = request.param
    with ChipBench(tmp_path, chip, flash="4MB") as bench:
        bench.download()
        # Without this, theirs hangs up on a host that is slow to go on after a FLASH_END.
        with mock_bootloader(chip.name, exit_on_disconnect=True) as handle:
            theirs = Theirs(handle.port(), chip)
            theirs.say(0x08, SYNC, 0)
            for _ in range(8):
                theirs.frame()
            yield theirs, Ours(bench, chip)
            theirs.close()


def agree(
    sides: tuple[Theirs, Ours],
    operation: int,
    data: bytes = b"",
    checksum: int = 0,
    length: int = 0,
) -> Answer:
    theirs, ours = (ask(side, operation, data, checksum, length) for side in sides)
    assert theirs == ours
    return ours


def begin(sides: tuple[Theirs, Ours], operation: int, size: int, blocks: int, at: int) -> None:
    later = sides[1]._bench.setup.chip != ESP32
    stub = sides[1].status_length == 2
    tail = (0,) if later or stub else ()
    agree(sides, operation, words(size, blocks, 0x4000, at, *tail))


def test_sync_is_answered_eight_times(sides: tuple[Theirs, Ours]) -> None:
    for side in sides:
        side.say(0x08, SYNC, 0)
        frames = [side.frame() for _ in range(8)]
        assert {frame[1] for frame in frames} == {0x08}
        assert len({len(frame) for frame in frames}) == 1
    # Theirs answers the value 0 from its ROM too, by which esptool tells a stub from a ROM.


def test_rom_conversation(sides: tuple[Theirs, Ours]) -> None:
    agree(sides, 0x0D, words(0, 0))
    agree(sides, 0x0B, words(0, 4 << 20, 65536, 4096, 256, 0xFFFF))
    agree(sides, 0x09, words(0x3FF00100, 0x1234, 0xFFFFFFFF, 0))
    begin(sides, 0x02, 4096, 1, 0x10000)
    agree(sides, 0x03, block(DATA), slip.checksum(DATA))
    _, digest, _ = agree(sides, 0x13, words(0x10000, len(DATA), 0, 0), length=32)
    assert digest == md5(DATA).hex().encode()
    begin(sides, 0x10, 4096, 1, 0x20000)
    agree(sides, 0x11, block(PACKED), slip.checksum(PACKED))
    agree(sides, 0x13, words(0x20000, len(DATA) + 1000, 0, 0), length=32)
    agree(sides, 0x0E, words(0x10000, 64), length=64)


def test_chip_detection(sides: tuple[Theirs, Ours]) -> None:
    chip = sides[1]._bench.setup.chip
    if chip is ESP32C3:
        _, info, _ = agree(sides, 0x14, length=20)
        assert len(info) == 20
        return
    # Theirs leaves GET_SECURITY_INFO of an ESP32-S2 out; a real one answers 12 bytes.
    values = []
    for side in sides:
        side.say(0x0A, words(0x40001000), 0)
        values.append(struct.unpack_from("<I", side.frame(), 4)[0])
    assert values[0] == values[1] != 0


def test_stub_conversation(sides: tuple[Theirs, Ours]) -> None:
    program = bytes(range(256))
    agree(sides, 0x05, words(256, 1, 256, 0x40080000))
    agree(sides, 0x07, block(program), slip.checksum(program))
    agree(sides, 0x06, words(0, 0x40080000))
    for side in sides:
        assert side.frame() == b"OHAI"
        side.status_length = 2
    begin(sides, 0x02, len(DATA), 1, 0x10000)
    agree(sides, 0x03, block(DATA), slip.checksum(DATA))
    agree(sides, 0x04, words(1))
    _, digest, _ = agree(sides, 0x13, words(0x10000, len(DATA), 0, 0), length=16)
    assert digest == md5(DATA)
    begin(sides, 0x10, len(DATA) + 1000, 1, 0x20000)
    agree(sides, 0x11, block(PACKED), slip.checksum(PACKED))
    agree(sides, 0x12, words(1))
    agree(sides, 0xD1, words(0x20000, 0x1000))
    agree(sides, 0x13, words(0x20000, 0x1000, 0, 0), length=16)
    read = []
    for side in sides:
        side.say(0xD2, words(0x10000, len(DATA), 4096, 64), 0)
        # At once, and not when the data are here: theirs waits for it a moment only.
        side.raw(words(len(DATA)))
        assert side.frame()[8:10] == b"\0\0"
        read.append((side.frame(), side.frame()))
    assert read[0] == read[1] == (DATA, md5(DATA))
    agree(sides, 0xD0)
    agree(sides, 0x13, words(0x10000, 0x1000, 0, 0), length=16)
