"""Blocks of data to esptool's stub: what is sent, and which of its answers count."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from provision.device.flashing.esptool.stub_client import with_fast_transfers

DATA = 0x11
READ = 0xD2
MD5 = 0x13


class Fatal(Exception):
    pass


class Port:
    timeout = 3.0

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.waited: list[float] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        self.waited.append(self.timeout)


class Stub:
    """What `with_fast_transfers` needs of esptool's class; `says` is what it reads."""

    IS_STUB = True
    ESP_CMDS = {"FLASH_DEFL_DATA": DATA, "READ_FLASH": READ, "SPI_FLASH_MD5": MD5}  # noqa: RUF012
    CHIP_DETECT_MAGIC_REG_ADDR = 0x40001000
    asked = 0
    says: Iterator[bytes] = iter(())

    def __init__(self, original: Any = None) -> None:
        pass

    def read(self) -> bytes:
        return next(self.says)

    def command(self, *arguments: object) -> str:
        return "esptool's own"

    def read_reg(self, address: int, timeout: float) -> int:
        assert (address, timeout) == (self.CHIP_DETECT_MAGIC_REG_ADDR, 9.0)
        self.asked += 1
        return 0


def reply(op: int, value: int = 7, status: bytes = b"\0\0", kind: int = 1) -> bytes:
    return struct.pack("<BBHI", kind, op, len(status), value) + status


def made(*says: bytes) -> tuple[Any, Port]:
    port = Port()
    stub = with_fast_transfers(Stub(), port=port, fatal=Fatal, tracing=False)
    stub.says = iter(says)
    return stub, port


def test_a_block_is_framed_and_its_answer_taken() -> None:
    stub, port = made(reply(DATA))
    assert stub.command(DATA, b"\xc0\xdb", 5, True, 9.0) == (7, b"\0\0")
    head = struct.pack("<BBHI", 0, DATA, 2, 5)
    assert port.sent == [b"\xc0" + head + b"\xdb\xdc\xdb\xdd" + b"\xc0"]
    assert (port.waited, port.timeout) == ([9.0], 3.0)


def test_answers_to_something_else_are_passed_over() -> None:
    late = (b"", b"\1\2\3", reply(0x0A), reply(DATA, kind=0))
    stub, _ = made(*late, reply(DATA, value=8))
    assert stub.command(DATA, b"x")[0] == 8


def test_answers_that_never_match_end_in_esptools_error() -> None:
    stub, port = made(*[reply(0x0A)] * 1000)
    with pytest.raises(Fatal, match="match request"):
        stub.command(DATA, b"x", timeout=9.0)
    assert port.timeout == 3.0


def test_other_commands_are_esptools_own() -> None:
    stub, port = made()
    assert stub.command(0x0A, b"x") == "esptool's own"
    assert port.sent == []


def test_a_stub_that_is_traced_is_left_as_it_is() -> None:
    stub = Stub()
    assert with_fast_transfers(stub, port=Port(), fatal=Fatal, tracing=True) is stub


# A digest while a block comes

SUM = bytes(range(16))


def test_a_digest_is_asked_for_and_a_block_sent_behind_it_once_the_stub_has_nothing_to_do() -> None:
    stub, port = made(reply(MD5, status=SUM + b"\0\0"), reply(DATA))
    assert stub.flash_md5sum_during(0x2000, 0x300, b"\xc0x", 4, 9.0) == SUM.hex()
    assert stub.asked == 1
    block = struct.pack("<4I", 2, 4, 0, 0) + b"\xc0x"
    assert port.sent == [
        framed(struct.pack("<BBHI4I", 0, MD5, 16, 0, 0x2000, 0x300, 0, 0))
        + framed(struct.pack("<BBHI", 0, DATA, 18, 0xEF ^ 0xC0 ^ ord("x")) + block)
    ]
    assert (port.waited, port.timeout) == ([12.0], 3.0)


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ((reply(MD5, status=b"\xc4\0"),), "digest the flash .the stub's error c400"),
        ((reply(MD5, status=SUM + b"\0\0"), reply(DATA, status=b"\xc1\0")), "write block 4 .*c100"),
        ((reply(0x0A),) * 200, "match request"),
    ],
    ids=("no digest", "no block", "babble"),
)
def test_either_can_fail(says: tuple[bytes, ...], message: str) -> None:
    stub, _ = made(*says)
    with pytest.raises(Fatal, match=message):
        stub.flash_md5sum_during(0x2000, 0x300, b"x", 4, 9.0)


# Reading the flash


class Line(Port):
    """A port that gives what a stub would say, in pieces as they come."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__()
        self.pieces = list(pieces)

    def inWaiting(self) -> int:  # noqa: N802
        return len(self.pieces[0]) if self.pieces else 0

    def read(self, size: int) -> bytes:
        if not self.pieces:
            return b""
        piece, self.pieces[0] = self.pieces[0][:size], self.pieces[0][size:]
        if not self.pieces[0]:
            del self.pieces[0]
        return piece


def framed(packet: bytes) -> bytes:
    return b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


CONTENT = bytes(range(256)) * 20
DIGEST = hashlib.md5(CONTENT).digest()
SAID = (reply(READ), CONTENT[:4096], CONTENT[4096:], DIGEST)


def read_flash(*packets: bytes, size: int = 7) -> tuple[bytes, Line]:
    line = b"".join(framed(packet) for packet in packets)
    port = Line(*(line[at : at + size] for at in range(0, len(line), size)))
    stub = with_fast_transfers(Stub(), port=port, fatal=Fatal, tracing=False)
    return stub.read_flash(0x1000, len(CONTENT)), port


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_the_flash_is_read_in_packets_that_are_acknowledged(size: int) -> None:
    data, port = read_flash(*SAID, size=size)
    assert data == CONTENT
    assert port.sent == [
        framed(struct.pack("<BBHI4I", 0, READ, 16, 0, 0x1000, len(CONTENT), 4096, 64)),
        framed(struct.pack("<I", 4096)),
        framed(struct.pack("<I", len(CONTENT))),
    ]
    assert port.timeout == 3.0


def test_what_came_before_the_answer_is_passed_over() -> None:
    assert read_flash(reply(0x0A), b"", *SAID)[0] == CONTENT


@pytest.mark.parametrize(
    ("packets", "message"),
    [
        ((reply(READ, status=b"\xc4\0"),), "the stub's error c400"),
        ((reply(READ), CONTENT[:4095]), "a packet of 4095 bytes"),
        ((reply(READ), CONTENT[:4096] + b"x"), "a packet of 4097 bytes"),
        ((reply(READ), *SAID[1:3], b"\0" * 16), "Digest mismatch"),
        ((*SAID[:2], CONTENT[4096:-1] + b"x", DIGEST), "Digest mismatch"),
        (SAID[:3], "stream stopped"),
        ((), "stream stopped"),
        ((reply(0x0A),) * 200, "match request"),
    ],
    ids=("refused", "short", "long", "another digest", "damaged", "no digest", "silence", "babble"),
)
def test_a_read_that_goes_wrong_is_esptools_error(packets: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(Fatal, match=message):
        read_flash(*packets)
