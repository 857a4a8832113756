"""Blocks of data to esptool's stub: what is sent, and which of its answers count."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from provision.device.flashing.esptool.stub_client import with_fast_writes

DATA = 0x11


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
    """What `with_fast_writes` needs of esptool's class; `says` is what it reads from the line."""

    IS_STUB = True
    ESP_CMDS = {"FLASH_DEFL_DATA": DATA}  # noqa: RUF012
    says: Iterator[bytes] = iter(())

    def __init__(self, original: Any = None) -> None:
        pass

    def read(self) -> bytes:
        return next(self.says)

    def command(self, *arguments: object) -> str:
        return "esptool's own"


def reply(op: int, value: int = 7, status: bytes = b"\0\0", kind: int = 1) -> bytes:
    return struct.pack("<BBHI", kind, op, len(status), value) + status


def made(*says: bytes) -> tuple[Any, Port]:
    port = Port()
    stub = with_fast_writes(Stub(), port=port, fatal=Fatal, tracing=False)
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
    assert with_fast_writes(stub, port=Port(), fatal=Fatal, tracing=True) is stub
