"""What a board says of itself, of its mounts and of its flash is read without trust."""

from __future__ import annotations

import base64
import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP32C6, ESP32S2, ESP32S3, ESP8266
from provision.device.micropython.replies import (
    MalformedReply,
    MountReply,
    identity,
    read_flash_reply,
    read_identity,
    read_mount_reply,
)
from provision.errors import BoardError
from provision.model.chip import Chip


@given(st.text())
def test_no_answer_makes_the_readers_fail_otherwise(text: str) -> None:
    def read_flash(said: str) -> object:
        return read_flash_reply(said, 4)

    for read in (read_identity, read_mount_reply, read_flash):
        with contextlib.suppress(MalformedReply, BoardError):
            read(text)


@pytest.mark.parametrize(
    ("machine", "chip"),
    [
        ("Generic ESP32 module with ESP32", ESP32),
        ("ESP module with ESP8266", ESP8266),
        ("LOLIN_C3_MINI with ESP32-C3FH4", ESP32C3),
        ("ESP32C6 module with ESP32C6", ESP32C6),
        ("LOLIN_S2_MINI with ESP32-S2FN4R2", ESP32S2),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", ESP32S3),
        ("ESP32-PICO-D4 board with ESP32", ESP32),
    ],
)
def test_the_chip_is_read_from_the_machine(machine: str, chip: Chip) -> None:
    found = identity("v1.24.1 on 2024-11-29", machine)
    assert (found.chip, found.version, found.date) == (chip, "1.24.1", "2024-11-29")


@pytest.mark.parametrize("machine", ["micro:bit with nRF51822", "a board with ESP32H4", ""])
def test_another_family_is_no_board_of_ours(machine: str) -> None:
    with pytest.raises(BoardError, match="does not know"):
        identity("v1.24.1 on 2024-11-29", machine)


def test_facts_of_an_esp8266() -> None:
    facts = read_identity(
        "('\\x02', 'v1.25.0-preview.31.g1234567 on 2025-01-02', 'ESP module with ESP8266', "
        "b'\\\\\\xcf\\x7f\\x01\\x02\\x03', 4194304, 2310)"
    )
    assert facts.firmware.version == "1.25.0-preview.31.g1234567"
    assert (facts.mac, facts.flash_size, facts.bytecode) == ("5c:cf:7f:01:02:03", 4194304, 2310)


def test_mounts_are_names_of_directories() -> None:
    reply = read_mount_reply("('/x', 0)\r\n('\x02', 'mounted', (b'/sd', b'/data/usb'))\r\n")
    assert reply == MountReply(settled=True, mounts=("/sd", "/data/usb"))
    assert not read_mount_reply("('\x02', 'unmountable', ())\r\n").settled
    for spoilt in (
        "",
        "('\x02', 'flash', ('sd',))",
        "('\x02', 'flash', (1,))",
        "('\x02', 'flash')",
    ):
        with pytest.raises(MalformedReply):
            read_mount_reply(spoilt)


def test_bytes_of_the_flash_are_those_of_their_digest() -> None:
    data = b"\xe9\x03" + b"\xff" * 1200
    digest = base64.b64encode(hashlib.sha256(data).digest()[:9]).decode()
    answer = f"\x02\r\n6QM=\r\n\r\n{digest}\r\n"
    assert read_flash_reply("a timer\r\n" + answer, len(data)) == data
    assert read_flash_reply("\x02none\r\n", len(data)) is None
    for spoilt in (answer.replace("6QM=", "x6QM="), answer.replace("6QM=", "6QQ="), answer[:-2]):
        with pytest.raises(MalformedReply):
            read_flash_reply(spoilt, len(data))
