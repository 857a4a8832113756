"""One image in Espressif's format, at its edges; whole images are `test_firmware.py`'s."""

from __future__ import annotations

import struct

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.core.chips.esp.image import (
    EspImage,
    Fault,
    is_esp8266,
    read_image,
    with_flash_parameters,
)
from provision.sim.esp.firmware import build


def header(segments: int, *lengths: int) -> bytes:
    """The beginning of an ESP8266 image that claims these segments and holds none of them whole."""
    start = struct.pack("<BBBBI", 0xE9, segments, 0, 0x40, 0x40100000)
    return start + b"".join(
        struct.pack("<II", 0x40100000 + index, length) + bytes(length)
        for index, length in enumerate(lengths)
    )


@pytest.mark.parametrize("size", [0, 1, 8, 11])
def test_a_few_bytes_are_no_esp8266_image(size: int) -> None:
    assert not is_esp8266(header(1, 4)[:size])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "missing"),
        (header(1, 4)[:14], "truncated"),  # in the first segment's own header
        (header(2, 8), "truncated"),  # where the second segment's header belongs
        (header(0, 8), "segments"),
        (header(17, 8), "segments"),
    ],
)
def test_an_image_that_ends_early_is_a_fault(data: bytes, kind: str) -> None:
    fault = read_image(data)
    assert isinstance(fault, Fault)
    assert fault.kind == kind


def test_bytes_that_are_no_image_keep_their_flash_parameters() -> None:
    damaged = b"\x00" + build(ESP32, "1.24.1")[1:]
    assert with_flash_parameters(damaged, chip=ESP32, mode="dio", freq="40m", size="4MB") == damaged
    sound = build(ESP32, "1.24.1")
    changed = read_image(with_flash_parameters(sound, chip=ESP32, mode="dout", size="16MB"))
    assert isinstance(changed, EspImage)
    assert (changed.flash_mode, changed.flash_size) == ("dout", "16MB")
