"""esptool's stub class, with the two commands that carry bulk data made quick: firmware to the
board, and its flash to us. And one more: a part of the flash digested while a block arrives.

esptool formats every packet as a hex dump for its trace before it looks whether anybody traces, and
takes what it reads apart byte by byte: seconds of CPU for each megabyte, while the line waits. A
subclass does both without; all else, and all of it while packets are traced, stays esptool's.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from provision.core.chips.esp.image import CHECKSUM_SEED, SECTOR, xor_bytes

_ANSWERS = 100  # that belong to another request, before it is given up: as esptool
_REPLY = struct.Struct("<BBHI")
_READ_TIMEOUT = 3.0  # seconds without a byte: as esptool
_WINDOW = 64  # esptool's; the stub keeps one packet under way, whatever is asked for
_DELIMITER = b"\xc0"


def with_fast_transfers(stub: Any, *, port: Any, fatal: type[Exception], tracing: bool) -> Any:
    """The same running stub as an object of a subclass of its class; `port` is its pyserial
    object, `fatal` esptool's error. Traced stubs, and ROM loaders, are returned as they are."""
    if tracing or not stub.IS_STUB:
        return stub
    kind = type(stub)
    data_command = stub.ESP_CMDS["FLASH_DEFL_DATA"]
    read_command = stub.ESP_CMDS["READ_FLASH"]
    md5_command = stub.ESP_CMDS["SPI_FLASH_MD5"]

    class LeanStub(kind):  # type: ignore[valid-type, misc]
        @staticmethod
        def checksum(data: bytes, state: int = CHECKSUM_SEED) -> int:
            return xor_bytes(data, state)

        def command(
            self,
            op: int | None = None,
            data: bytes = b"",
            chk: int = 0,
            wait_response: bool = True,
            timeout: float = 3.0,
        ) -> Any:
            if op is None or op != data_command:
                return super().command(op, data, chk, wait_response, timeout)
            with _waiting(port, timeout):
                port.write(_frame(_request(op, data, chk)))
                return self._answer(op)

        def _answer(self, op: int) -> tuple[int, bytes]:
            for _ in range(_ANSWERS):  # nothing in time raises esptool's error
                reply = _parsed(self.read())
                if reply is not None and reply[0] == op:
                    return reply[1:]
            raise fatal("Response doesn't match request.")

        def flash_md5sum_during(
            self, offset: int, size: int, block: bytes, number: int, timeout: float
        ) -> str:
            """The MD5 of a part of the flash, as `flash_md5sum`, that the chip works out while a
            block comes, as `flash_defl_block`, which may take `timeout` seconds more.

            The stub has two buffers, one for what it works on and one for what comes: both have
            to be free, which its answer to a question tells, before it is sent two commands.
            """
            self.read_reg(self.CHIP_DETECT_MAGIC_REG_ADDR, timeout=timeout)
            place = struct.pack("<IIII", offset, size, 0, 0)
            data = struct.pack("<IIII", len(block), number, 0, 0) + block
            with _waiting(port, timeout + _READ_TIMEOUT):
                port.write(
                    _frame(_request(md5_command, place))
                    + _frame(_request(data_command, data, xor_bytes(block, CHECKSUM_SEED)))
                )
                digest = _succeeded(self._answer(md5_command)[1], "digest the flash", fatal)
                _succeeded(self._answer(data_command)[1], f"write block {number}", fatal)
            return digest.hex()

        def read_flash(self, offset: int, length: int, progress_fn: Any = None) -> bytes:
            """As esptool's: `length` bytes in packets of a sector, each acknowledged, and at last
            their MD5. `progress_fn` is not called."""
            arguments = struct.pack("<IIII", offset, length, SECTOR, _WINDOW)
            data = bytearray()
            with _waiting(port, _READ_TIMEOUT):
                port.write(_frame(_request(read_command, arguments)))
                frames = _frames(port, fatal)
                _await_success(frames, read_command, fatal)
                while len(data) < length:
                    packet = next(frames)
                    if len(packet) != min(SECTOR, length - len(data)):
                        raise fatal(f"Corrupt data: a packet of {len(packet)} bytes.")
                    data += packet
                    port.write(_frame(struct.pack("<I", len(data))))
                if next(frames) != hashlib.md5(data, usedforsecurity=False).digest():
                    raise fatal("Digest mismatch.")
            return bytes(data)

    return LeanStub(stub)


def _succeeded(answer: bytes, doing: str, fatal: type[Exception]) -> bytes:
    """What is before the two bytes of status that end an answer."""
    data, status = answer[:-2], answer[-2:]
    if status[:1] != b"\0":
        raise fatal(f"Failed to {doing} (the stub's error {status.hex()}).")
    return data


@contextmanager
def _waiting(port: Any, timeout: float) -> Iterator[None]:
    before = port.timeout
    if before != timeout:
        port.timeout = timeout
    try:
        yield
    finally:
        if before != timeout:
            port.timeout = before


def _request(op: int, data: bytes, checksum: int = 0) -> bytes:
    return struct.pack("<BBHI", 0, op, len(data), checksum) + data


def _frame(packet: bytes) -> bytes:
    escaped = packet.replace(b"\xdb", b"\xdb\xdd").replace(_DELIMITER, b"\xdb\xdc")
    return _DELIMITER + escaped + _DELIMITER


def _parsed(packet: bytes) -> tuple[int, int, bytes] | None:
    """What an answer is to, its value, and the rest of it; None for what is no answer."""
    if len(packet) < _REPLY.size:
        return None
    kind, op, _, value = _REPLY.unpack_from(packet)
    return (op, value, packet[_REPLY.size :]) if kind == 1 else None


def _await_success(frames: Iterator[bytes], op: int, fatal: type[Exception]) -> None:
    for _ in range(_ANSWERS):
        reply = _parsed(next(frames))
        if reply is not None and reply[0] == op:
            if reply[2][:1] != b"\0":
                raise fatal(f"Failed to read flash (the stub's error {reply[2][:2].hex()}).")
            return
    raise fatal("Response doesn't match request.")


def _frames(port: Any, fatal: type[Exception]) -> Iterator[bytes]:
    """The packets that come in, without end; `port` bounds how long one may be."""
    buffer = bytearray()
    while True:
        start = buffer.find(_DELIMITER)
        end = buffer.find(_DELIMITER, start + 1) if start >= 0 else -1
        if end == start + 1:  # the end of a packet and the beginning of the next
            del buffer[:end]
        elif end > 0:
            packet = bytes(buffer[start + 1 : end])
            del buffer[: end + 1]
            yield packet.replace(b"\xdb\xdc", _DELIMITER).replace(b"\xdb\xdd", b"\xdb")
        else:
            piece = port.read(max(1, port.inWaiting()))
            if not piece:
                raise fatal("Serial data stream stopped: Possible serial noise or corruption.")
            buffer += piece
