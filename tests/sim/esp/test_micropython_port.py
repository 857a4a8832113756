"""The virtual board's MicroPython is the flashed one, by its own words and by what it offers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import (
    CHIPS,
    ESP32,
    ESP32C2,
    ESP32C3,
    ESP32C5,
    ESP32C6,
    ESP32H2,
    ESP32P4,
    ESP32S3,
    ESP8266,
)
from provision.model.chip import Chip
from provision.sim.esp.firmware import build
from tests.sim.bench import PROMPT, RAW, Bench


def bench_at_raw(bench: Bench) -> Bench:
    bench.boot()
    bench.raw()
    return bench


@pytest.mark.parametrize(
    ("chip", "version", "expected"),
    [
        (
            ESP32,
            "1.26.1",
            "(name='micropython', version=(1, 26, 1, ''), "
            "_machine='Generic ESP32 module with ESP32', _mpy=11014, _build='ESP32_GENERIC', "
            "_thread='GIL')",
        ),
        (
            ESP8266,
            "1.25.0",
            "(name='micropython', version=(1, 25, 0, ''), "
            "_machine='ESP module with ESP8266', _mpy=9990, _build='ESP8266_GENERIC')",
        ),
        (
            ESP32C3,
            "1.24.1",
            "(name='micropython', version=(1, 24, 1, ''), "
            "_machine='ESP32C3 module with ESP32C3', _mpy=12038)",
        ),
        (
            ESP8266,
            "1.20.0",
            "(name='micropython', version=(1, 20, 0), "
            "_machine='ESP module with ESP8266', _mpy=9478)",
        ),
        (
            ESP32,
            "1.27.0-preview.31.g1234567",
            "(name='micropython', version=(1, 27, 0, 'preview'), "
            "_machine='Generic ESP32 module with ESP32', _mpy=11014, _build='ESP32_GENERIC', "
            "_thread='GIL')",
        ),
    ],
)
def test_sys_implementation(tmp_path: Path, chip: Chip, version: str, expected: str) -> None:
    with Bench(tmp_path, chip, version) as bench:
        bench_at_raw(bench)
        assert bench.run("import sys; print(sys.implementation)") == expected


def test_uname_and_version(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32S3, "1.23.0") as bench:
        bench_at_raw(bench)
        assert bench.run("import os; print(os.uname())") == (
            "(sysname='esp32', nodename='esp32', release='1.23.0', "
            "version='v1.23.0 on 2024-11-29', machine='Generic ESP32S3 module with ESP32S3')"
        )
        assert bench.run("import sys; print(sys.version, sys.platform)") == (
            "3.4.0; MicroPython v1.23.0 on 2024-11-29 esp32"
        )


def test_esp8266_release_is_the_sdks(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP8266) as bench:
        bench_at_raw(bench)
        fields = bench.run("import os; print(os.uname().release, os.uname().version)")
        assert fields == "2.2.0-dev(9422289) v1.24.1 on 2024-11-29"


@pytest.mark.parametrize(
    ("version", "deflate", "vfs"),
    [("1.20.0", False, False), ("1.22.2", True, False), ("1.24.1", True, True)],
)
def test_modules_came_with_versions(tmp_path: Path, version: str, deflate: bool, vfs: bool) -> None:
    with Bench(tmp_path, ESP32, version) as bench:
        bench_at_raw(bench)
        for name, there in (("deflate", deflate), ("vfs", vfs), ("os", True), ("machine", True)):
            code = f"try:\n import {name}\n print(1)\nexcept ImportError as e:\n print(e)"
            expected = "1" if there else f"no module named '{name}'"
            assert bench.run(code) == expected
        assert bench.run("import os; print(hasattr(os, 'mount'), hasattr(os, 'system'))") == (
            "True False"
        )


def test_the_512k_build_has_no_binary_console(tmp_path: Path) -> None:
    image = build(ESP8266, "1.24.1", flash_size=512 << 10)
    with Bench(tmp_path, ESP8266, image, flash="512KB") as bench:
        bench_at_raw(bench)
        assert bench.run("import sys; print(hasattr(sys.stdin, 'buffer'))") == "False"
        assert bench.run("import sys; print(hasattr(sys.stdout, 'buffer'))") == "False"


@pytest.mark.parametrize("chip", CHIPS)
def test_free_memory_is_twice_the_chips(tmp_path: Path, chip: Chip) -> None:
    free = {
        "esp8266": 36, "esp32": 160, "esp32s2": 110, "esp32s3": 220, "esp32c2": 110,
        "esp32c3": 190, "esp32c5": 180, "esp32c6": 220, "esp32c61": 160, "esp32h2": 150,
        "esp32p4": 300,
    }  # fmt: skip
    expected = 2 * 1024 * free[str(chip)]
    with Bench(tmp_path, chip) as bench:
        bench.boot()
        answer = bench.type(b"import gc; gc.collect(); gc.mem_free()\r")
        told = int(answer.split(b"\r\n")[-2])
        assert abs(told - expected) < expected * 0.05


def test_heap_is_bounded(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP8266) as bench:
        bench.boot()
        assert b"MemoryError" in bench.type(b"x = bytearray(90000)\r")
        assert b"MemoryError" not in bench.type(b"x = bytearray(40000)\r")
    with Bench(tmp_path, ESP32, psram=str(4 << 20)) as bench:
        bench.boot()
        assert b"MemoryError" not in bench.type(b"x = bytearray(3000000)\r")


def test_unique_id_and_mac(tmp_path: Path) -> None:
    ask = (
        "import machine, network; from binascii import hexlify as h\n"
        "print(h(machine.unique_id()).decode(), h(network.WLAN(0).config('mac')).decode())"
    )
    with Bench(tmp_path, ESP32, mac="24:6f:28:01:02:03") as bench:
        bench_at_raw(bench)
        assert bench.run(ask) == "246f28010203 246f28010203"
    with Bench(tmp_path, ESP8266, mac="5c:cf:7f:0a:0b:0c") as bench:
        bench_at_raw(bench)
        assert bench.run(ask) == "0c0b0a00 5ccf7f0a0b0c"


def test_esp_reads_and_writes_the_very_flash(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP8266) as bench:
        bench_at_raw(bench)
        assert bench.run("import esp; print(esp.flash_size(), esp.flash_user_start())") == (
            f"{4 << 20} {1 << 20}"
        )
        bench.run("esp.flash_erase(1000); esp.flash_write(1000 * 4096, b'\\x0f\\xff\\xff\\xff')")
        bench.run("esp.flash_write(1000 * 4096, b'\\xf0\\xff\\xff\\xff')")
        assert bench.flash.read(1000 * 4096, 4) == b"\x00\xff\xff\xff"
        code = "b = bytearray(4); esp.flash_read(0, b); print(b[0])"
        assert bench.run(code) == str(0xE9)


def test_nvs_is_in_its_partition_and_outlives_a_reset(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32) as bench:
        assert bench.flash.read(0x9000, 4) == b"\xff" * 4
        bench_at_raw(bench)
        # A chip writes to NVS at its first boot: a firmware's padding is not there any more.
        assert bench.flash.read(0x9000, 4) != b"\xff" * 4
        bench.run("from esp32 import NVS; n = NVS('app'); n.set_i32('boots', 7); n.commit()")
        bench.boot()
        bench.raw()
        assert bench.run("from esp32 import NVS; print(NVS('app').get_i32('boots'))") == "7"


def test_partitions_are_the_flashed_tables(tmp_path: Path) -> None:
    ask = (
        "from esp32 import Partition as P\n"
        "print(P(P.RUNNING).info(), [p.info() for p in P.find(P.TYPE_DATA, label='vfs')])"
    )
    with Bench(tmp_path, ESP32, "1.24.1", flash="8MB") as bench:
        bench_at_raw(bench)
        running, found = ast.literal_eval(bench.run(ask).replace(") [", "), ["))
        assert running == (0, 0, 0x10000, 0x1F0000, "factory", False)
        assert found == [(1, 0x81, 0x200000, 0x600000, "vfs", False)]


def test_wifi_pretends(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench_at_raw(bench)
        code = (
            "import network; w = network.WLAN(network.STA_IF)\n"
            "print(w.active(), w.isconnected()); w.active(True); w.connect('net', 'key')\n"
            "print(w.isconnected(), w.ifconfig()[0], network.WLAN(0) is w)"
        )
        assert bench.run(code) == "False False\nTrue 192.168.1.50 True"


def test_pins_and_buses_accept_use(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench_at_raw(bench)
        code = (
            "from machine import Pin, PWM, ADC, I2C, SPI, Timer, RTC, freq\n"
            "p = Pin(2, Pin.OUT); p.on(); print(p.value(), p); p.value(0); print(p())\n"
            "w = PWM(Pin(4), freq=500, duty=512); print(w.freq(), w.duty())\n"
            "print(ADC(Pin(34)).read_u16(), I2C(0).scan(), freq() > 0)\n"
            "try:\n Pin(99)\nexcept ValueError as e:\n print(e)"
        )
        assert bench.run(code) == "1 Pin(2)\n0\n500 512\n32768 [] True\ninvalid pin"


def test_text_input_turns_returns_into_line_feeds(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench_at_raw(bench)
        bench.type(b"import sys; print('?'); print(repr(sys.stdin.read(3)))\x04", b"?\r\n")
        assert bench.type(b"a\rb", b"\x04>").startswith(b"'a\\nb'\r\n")
        bench.type(b"import sys; print('?'); print(sys.stdin.buffer.read(3))\x04", b"?\r\n")
        assert bench.type(b"a\rb", b"\x04>").startswith(b"b'a\\rb'\r\n")


def test_stdin_can_be_polled(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench_at_raw(bench)
        code = (
            b"import sys, select\np = select.poll(); p.register(sys.stdin, select.POLLIN)\n"
            b"print(p.poll(0)); print(len(p.poll(5000))); print(sys.stdin.read(1))\x04"
        )
        bench.type(code, b"[]\r\n")
        assert bench.type(b"x", b"\x04>") == b"1\r\nx\r\n\x04\x04>"


def test_paste_mode_and_friendly_repl(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        assert bench.type(b"1 + 1\r") == b"1 + 1\r\n2\r\n>>> "
        text = bench.type(b"\x05", b"=== ")
        assert text == b"\r\npaste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== "
        assert bench.type(b"print(3)\r\x04", PROMPT).endswith(b"\r\n3\r\n>>> ")
        assert bench.type(b"x = \x03", PROMPT) == b"x = \r\n>>> "


@pytest.mark.parametrize(
    ("chip", "version", "there"),
    [
        (ESP8266, "1.24.1", False),
        (ESP32, "1.24.1", False),
        (ESP32C3, "1.24.1", True),
        (ESP32S3, "1.22.0", False),
        (ESP32C6, "1.26.1", False),
        (ESP32C2, "1.26.1", True),
        (ESP32H2, "1.29.0", False),
        (ESP32P4, "1.27.0", True),
    ],
)
def test_not_every_chip_has_a_bootloader_call(
    tmp_path: Path, chip: Chip, version: str, there: bool
) -> None:
    with Bench(tmp_path, chip, version) as bench:
        bench_at_raw(bench)
        assert bench.run("import machine; print(hasattr(machine, 'bootloader'))") == str(there)


@pytest.mark.parametrize(
    ("chip", "machine", "there"),
    [
        (ESP32C5, None, True),
        (ESP32H2, None, False),
        (ESP32P4, None, False),
        (ESP32P4, "Generic ESP32P4 module with WIFI module of external ESP32C6 with ESP32P4", True),
    ],
)
def test_a_chip_without_wi_fi_has_no_wlan(
    tmp_path: Path, chip: Chip, machine: str | None, there: bool
) -> None:
    with Bench(tmp_path, chip, build(chip, "1.28.0", machine=machine)) as bench:
        bench_at_raw(bench)
        assert bench.run("import network; print(hasattr(network, 'WLAN'))") == str(there)


def test_the_clock_starts_at_2000_and_can_be_set(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench_at_raw(bench)
        assert bench.run("import time; print(time.time() < 60, time.gmtime()[:3])") == (
            "True (2000, 1, 1)"
        )
        assert bench.run("print(time.mktime((2000, 1, 2, 0, 0, 0, 0, 0)), len(time.gmtime()))") == (
            "86400 8"
        )
        code = "import machine; machine.RTC().datetime((2026, 11, 22, 6, 20, 30, 5, 0))"
        bench.run(code)
        assert bench.run("print(time.localtime()[:5])") == "(2026, 11, 22, 20, 30)"
        bench.type(b"\x04", RAW)
        now = bench.run("import machine; print(machine.RTC().datetime()[:6])")
        assert now == "(2026, 11, 22, 6, 20, 30)"


def test_micropython_module_is_the_chips(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench_at_raw(bench)
        code = (
            "import micropython\nfrom micropython import const\n_X = const(3)\n"
            "micropython.alloc_emergency_exception_buf(100); print(_X, micropython)"
        )
        assert bench.run(code) == "3 <module 'micropython'>"


@pytest.mark.parametrize("written", [b"\xfe\xff", b"\xfe\xff\xff\xff\0\0\0\0\xfe", b"\0" * 4096])
def test_a_chip_starts_with_an_nvs_that_was_cut_short(tmp_path: Path, written: bytes) -> None:
    with Bench(tmp_path, ESP32) as bench:
        bench.install(build(ESP32, "1.24.1"))
        bench.flash.erase_sector(0x9000)
        bench.flash.program(0x9000, written)
        bench.boot()
        bench.raw()
        bench.run("from esp32 import NVS; n = NVS('app'); n.set_i32('boots', 7); n.commit()")
        assert bench.run("print(NVS('app').get_i32('boots'))") == "7"
