"""esptool's stub class, with the one command that carries firmware made with_fast_writes.

esptool formats every packet as a hex dump for its trace before it looks whether anybody traces:
a second of CPU for each megabyte. A subclass sends data blocks without that; all else, and all
of it while packets are traced, stays esptool's.
"""

from __future__ import annotations

import struct
from typing import Any

from provision.core.chips.esp.image import CHECKSUM_SEED, xor_bytes

_ANSWERS = 100  # that belong to another request, before it is given up: as esptool
_REPLY = struct.Struct("<BBHI")


def with_fast_writes(stub: Any, *, port: Any, fatal: type[Exception], tracing: bool) -> Any:
    """The same running stub as an object of a subclass of its class; `port` is its pyserial
    object, `fatal` esptool's error. Traced stubs, and ROM loaders, are returned as they are."""
    if tracing or not stub.IS_STUB:
        return stub
    kind = type(stub)
    data_command = stub.ESP_CMDS["FLASH_DEFL_DATA"]

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
            if op != data_command:
                return super().command(op, data, chk, wait_response, timeout)
            packet = struct.pack("<BBHI", 0, op, len(data), chk) + data
            escaped = packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
            before = port.timeout
            if before != timeout:
                port.timeout = timeout
            try:
                port.write(b"\xc0" + escaped + b"\xc0")
                for _ in range(_ANSWERS):  # nothing in time raises esptool's error
                    reply = self.read()
                    if len(reply) >= _REPLY.size:
                        kind_, answered, _, value = _REPLY.unpack_from(reply)
                        if kind_ == 1 and answered == op:
                            return value, reply[_REPLY.size :]
                raise fatal("Response doesn't match request.")
            finally:
                if before != timeout:
                    port.timeout = before

    return LeanStub(stub)
