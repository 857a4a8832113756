"""Unmodified esptool on virtual boards, its commands as a user types them.

The default run has one or two chips of each kind; `-m slow` runs all commands on all of them.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import (
    CHIPS,
    ESP32,
    ESP32C2,
    ESP32C3,
    ESP32C5,
    ESP32C6,
    ESP32C61,
    ESP32H2,
    ESP32P4,
    ESP32S2,
    ESP32S3,
    ESP8266,
    RISCV,
)
from provision.core.chips.esp.image import CHIP_IDS
from provision.model.chip import Chip
from provision.sim import client
from tests.bench_of_boards import Bench, bench

__all__ = ["bench"]

MEGABYTE = 1 << 20
OTHERS = [chip for chip in CHIPS if chip not in (ESP8266, ESP32C3)]
ALL = [
    ESP8266,
    ESP32C3,
    *(pytest.param(chip, marks=pytest.mark.slow) for chip in OTHERS),
]
ONE = [
    ESP32,
    *(pytest.param(chip, marks=pytest.mark.slow) for chip in CHIPS if chip is not ESP32),
]
LATER = [chip for chip in CHIPS if chip is not ESP8266]

MAC = "5c:cf:7f:01:02:03"
TITLES = {
    ESP8266: "ESP8266EX",
    ESP32: "ESP32-D0WD-V3 (revision v3.1)",
    ESP32S2: "ESP32-S2 (revision v1.0)",
    ESP32S3: "ESP32-S3 (QFN56) (revision v0.2)",
    ESP32C3: "ESP32-C3 (QFN32) (revision v0.4)",
    ESP32C2: "ESP32-C2 (revision v1.1)",
    ESP32C5: "ESP32-C5N (revision v1.0)",
    ESP32C6: "ESP32-C6 (QFN40) (revision v0.1)",
    ESP32C61: "ESP32-C61N (revision v1.0)",
    ESP32H2: "ESP32-H2FH2 (revision v0.1)",
    ESP32P4: "ESP32-P4 (revision v1.3)",
}
WITH_WATCHDOG = (ESP32S2, ESP32S3, ESP32C2, ESP32C5, ESP32C61, ESP32P4)
WITH_USB = (ESP32C3, ESP32C5, ESP32C6, ESP32C61, ESP32H2, ESP32P4)
WITH_INFO = [chip for chip in RISCV if chip is not ESP32C3]
CRYSTALS = {ESP8266: 26, ESP32C2: 26, ESP32C5: 48, ESP32H2: 32}  # MHz, where they are not 40


class Esptool:
    """esptool on one virtual board."""

    def __init__(self, bench: Bench, chip: Chip, **settings: str) -> None:
        query = {"chip": str(chip), "flash": "2MB", "mac": MAC, **settings}
        self.bench = bench
        client.ensure("a", query)

    def run(self, *words: str, before: tuple[str, ...] = ()) -> str:
        return self.bench.tool("esptool", "--port", "sim://a", *before, *words).stdout

    def fail(self, *words: str, before: tuple[str, ...] = ()) -> str:
        done = self.bench.tool("esptool", "--port", "sim://a", *before, *words, check=False)
        assert done.returncode, done.stdout
        return done.stdout + done.stderr

    def file(self, data: bytes, name: str = "image") -> str:
        (self.bench.work / name).write_bytes(data)
        return name

    def read(self, offset: int, size: int, before: tuple[str, ...] = ()) -> bytes:
        self.run("read-flash", hex(offset), str(size), "back", before=before)
        return (self.bench.work / "back").read_bytes()

    @property
    def flash(self) -> bytes:
        return self.bench.flash("a")

    @property
    def status(self) -> dict[str, object]:
        return client.request("a", "status")


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def mixture(size: int) -> bytes:
    """Some of it compresses, some does not, as in firmware."""
    return (noise(size // 2) + bytes(size // 4) + b"firmware " * size)[:size]


# Who are you


@pytest.mark.parametrize("chip", ONE)
def test_chip_and_mac(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    said = esptool.run("chip-id")
    assert TITLES[chip] in said
    assert MAC in said
    assert "Hard resetting via RTS pin" in said
    assert MAC in esptool.run("read-mac")
    assert esptool.status["mode"] == "run"


@pytest.mark.parametrize("chip", ALL)
def test_flash_id(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    said = esptool.run("flash-id")
    assert "Manufacturer: ef" in said
    assert "Device: 4015" in said
    assert "Detected flash size: 2MB" in said
    assert f"Crystal frequency:  {CRYSTALS.get(chip, 40)}MHz" in said


@pytest.mark.slow
@pytest.mark.parametrize(("size", "shown"), [("512KB", "512KB"), ("1MB", "1MB"), ("16MB", "16MB")])
def test_flash_sizes(bench: Bench, size: str, shown: str) -> None:
    assert f"Detected flash size: {shown}" in Esptool(bench, ESP8266, flash=size).run("flash-id")


@pytest.mark.parametrize(
    "chip", [ESP32S3, *(pytest.param(chip, marks=pytest.mark.slow) for chip in WITH_INFO)]
)
def test_security_info(bench: Bench, chip: Chip) -> None:
    said = Esptool(bench, chip).run("get-security-info")
    assert f"Chip ID: {CHIP_IDS[chip]}" in said
    assert "Secure Boot: Disabled" in said
    assert "Flash Encryption: Disabled" in said


def test_the_wrong_chip_is_noticed(bench: Bench) -> None:
    said = Esptool(bench, ESP32).fail("chip-id", before=("--chip", "esp8266"))
    assert "This chip is ESP32, not ESP8266" in said


# Writing and reading back


RATES = {"115200": (), "460800": ("--baud", "460800"), "921600": ("--baud", "921600")}
QUICK = {(ESP8266, "115200"), (ESP32C3, "921600")}


@pytest.mark.parametrize(
    ("chip", "before"),
    [
        pytest.param(
            chip,
            before,
            id=f"{rate}-{chip}",
            marks=[] if (chip, rate) in QUICK else [pytest.mark.slow],
        )
        for rate, before in RATES.items()
        for chip in CHIPS
    ],
)
def test_write_and_read_back(bench: Bench, chip: Chip, before: tuple[str, ...]) -> None:
    esptool = Esptool(bench, chip)
    data = mixture(80_003)
    said = esptool.run("write-flash", "0x10000", esptool.file(data), before=before)
    assert "Hash of data verified." in said
    assert ("Changed." in said) == bool(before)
    assert esptool.read(0x10000, len(data), before) == data
    flash = esptool.flash
    assert flash[0x10000:][: len(data)] == data
    assert flash.count(b"\xff", 0, 0x10000) == 0x10000


@pytest.mark.parametrize("chip", ONE)
def test_write_several_regions_uncompressed(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    regions = {0x1000: noise(5_000), 0x9000: b"\0" * 4096, 0x100000: noise(30_001)}
    words = [
        word
        for offset, data in regions.items()
        for word in (hex(offset), esptool.file(data, f"at{offset}"))
    ]
    said = esptool.run("write-flash", "-u", *words)
    assert said.count("Hash of data verified.") == 3
    for offset, data in regions.items():
        assert esptool.flash[offset:][: len(data)] == data


@pytest.mark.parametrize("chip", ONE)
def test_write_over_something_else(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    esptool.run("write-flash", "0", esptool.file(bytes(20_000)))
    esptool.run("write-flash", "0x1000", esptool.file(noise(5_000)))
    assert esptool.flash[:0x6000] == (
        bytes(0x1000) + noise(5_000) + b"\xff" * (0x2000 - 5_000) + bytes(20_000 - 0x3000)
    ).ljust(0x6000, b"\xff")


@pytest.mark.parametrize("chip", ALL)
def test_without_the_stub(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    data = mixture(9_001)
    rom = ("--no-stub",)
    said = esptool.run("write-flash", "0x2000", esptool.file(data), before=rom)
    assert "stub" not in said.lower()
    assert esptool.flash[0x2000:][: len(data)] == data
    if chip is not ESP8266:
        assert "Hash of data verified." in said
        assert esptool.read(0x2000, 1000, rom) == data[:1000]


@pytest.mark.slow
@pytest.mark.parametrize("chip", LATER)
def test_without_the_stub_at_another_baud(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    data = mixture(9_001)
    said = esptool.run(
        "write-flash", "-u", "0x2000", esptool.file(data), before=("--no-stub", "-b", "460800")
    )
    assert "Changing baud rate to 460800" in said
    assert esptool.flash[0x2000:][: len(data)] == data


@pytest.mark.slow
def test_an_esp8266_rom_has_no_checks_and_no_reading(bench: Bench) -> None:
    esptool = Esptool(bench, ESP8266)
    said = esptool.fail("verify-flash", "0", esptool.file(b"1234"), before=("--no-stub",))
    assert "does not support function" in said
    said = esptool.fail("read-flash", "0", "64", "back", before=("--no-stub",))
    assert "does not support function" in said


@pytest.mark.parametrize("chip", ONE)
def test_verify(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    data = mixture(10_000)
    esptool.run("write-flash", "0", esptool.file(data))
    assert "Verification successful" in esptool.run("verify-flash", "0", "image")
    other = bytes((data[0] ^ 1,)) + data[1:]
    assert "Verification failed" in esptool.fail("verify-flash", "0", esptool.file(other))


def test_what_does_not_fit_is_refused(bench: Bench) -> None:
    esptool = Esptool(bench, ESP32)
    said = esptool.fail("write-flash", hex(2 * MEGABYTE - 4096), esptool.file(noise(5000)))
    assert "will not fit" in said
    assert esptool.flash.count(b"\xff") == 2 * MEGABYTE


def test_a_slow_line_and_a_slow_flash(bench: Bench) -> None:
    """Nothing runs into a timeout where bytes, erases and writes take their time."""
    slow = {"wire": "on", "latency": "1ms", "timing": "on", "scale": "10"}
    esptool = Esptool(bench, ESP32, **slow)
    data = mixture(150_000)
    for before in (("-b", "460800"), ("--no-stub",)):
        said = esptool.run("write-flash", "0x1000", esptool.file(data), before=before)
        assert "Hash of data verified." in said
    assert esptool.read(0x1000, len(data), ("-b", "921600")) == data


# Erasing


@pytest.mark.parametrize("chip", ONE)
def test_erase(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    esptool.run("write-flash", "0", esptool.file(bytes(200_000)))
    assert "erased successfully" in esptool.run("erase-region", "0x1000", "0x20000")
    assert esptool.flash[:0x22000] == bytes(0x1000) + b"\xff" * 0x20000 + bytes(0x1000)
    assert "erased successfully" in esptool.run("erase-flash")
    assert esptool.flash.count(b"\xff") == 2 * MEGABYTE


@pytest.mark.slow
@pytest.mark.parametrize("chip", LATER)
def test_erase_a_region_without_the_stub(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    esptool.run("write-flash", "0", esptool.file(bytes(20_000)))
    esptool.run("erase-region", "0x1000", "0x2000", before=("--no-stub",))
    assert esptool.flash[:0x4000] == bytes(0x1000) + b"\xff" * 0x2000 + bytes(0x1000)
    assert "does not support function" in esptool.fail("erase-flash", before=("--no-stub",))


@pytest.mark.parametrize("fault", ["secure-boot", "flash-encryption"])
@pytest.mark.parametrize(
    "chip", [ESP32, *(pytest.param(chip, marks=pytest.mark.slow) for chip in LATER[1:])]
)
def test_a_secured_board_is_not_erased(bench: Bench, chip: Chip, fault: str) -> None:
    esptool = Esptool(bench, chip)
    client.request("a", "fault", fault=fault)
    assert "Active security features detected" in esptool.fail("erase-flash")


# Before and after


@pytest.mark.parametrize("chip", ONE)
def test_what_comes_after(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    esptool.run("flash-id", before=("--after", "no-reset"))
    assert (esptool.status["mode"], esptool.status["stub"]) == ("download", False)
    esptool.run("flash-id", before=("--before", "no-reset", "--after", "no-reset-stub"))
    assert (esptool.status["mode"], esptool.status["stub"]) == ("download", True)
    said = esptool.run("flash-id", before=("--before", "no-reset", "--after", "hard-reset"))
    assert "Stub flasher is already running" in said
    # Opening asserted DTR, nothing let it go, and RTS alone then moves neither transistor
    # (espressif/esptool issue 253).
    assert esptool.status["mode"] == "download"
    esptool.run("flash-id", before=("--after", "hard-reset"))
    assert esptool.status["mode"] == "run"


@pytest.mark.parametrize("chip", ONE)
def test_soft_reset(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    esptool.run("chip-id", before=("--no-stub", "--after", "soft-reset"))
    assert esptool.status["mode"] == "run"
    if chip is ESP8266:
        esptool.run("flash-id", before=("--after", "soft-reset"))
        assert esptool.status["mode"] == "run"


@pytest.mark.parametrize(
    "chip",
    [
        ESP32C3,
        *(pytest.param(chip, marks=pytest.mark.slow) for chip in WITH_WATCHDOG),
    ],
)
@pytest.mark.parametrize("stub", [(), ("--no-stub",)], ids=["stub", "rom"])
def test_watchdog_reset(bench: Bench, chip: Chip, stub: tuple[str, ...]) -> None:
    esptool = Esptool(bench, chip)
    said = esptool.run("flash-id", before=(*stub, "--after", "watchdog-reset"))
    assert "Hard resetting with a watchdog" in said
    assert esptool.status["mode"] == "run"


@pytest.mark.parametrize("chip", ONE)
def test_no_reset_and_no_sync(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip)
    esptool.run("chip-id", before=("--after", "no-reset"))
    before = ("--chip", str(chip), "--before", "no-reset-no-sync")
    assert "Detected flash size: 2MB" in esptool.run("flash-id", before=before)


@pytest.mark.parametrize(
    "chip",
    [
        ESP32S3,
        *(pytest.param(chip, marks=pytest.mark.slow) for chip in WITH_USB),
    ],
)
def test_usb_serial_jtag(bench: Bench, chip: Chip) -> None:
    esptool = Esptool(bench, chip, wiring="usb-jtag")
    said = esptool.run("flash-id", before=("--before", "usb-reset"))
    assert "Detected flash size: 2MB" in said
    assert esptool.status["mode"] == "run"


def test_a_board_without_reset_lines_needs_fingers(bench: Bench) -> None:
    esptool = Esptool(bench, ESP8266, wiring="none")
    once = ("--connect-attempts", "1")
    assert "Failed to connect" in esptool.fail("chip-id", before=once)
    bench.provision("sim", "press", "a", "boot", "reset")
    assert TITLES[ESP8266] in esptool.run("chip-id", before=once)
    assert esptool.status["mode"] == "download", "nobody pressed RESET"
    bench.provision("sim", "press", "a", "reset")
    assert esptool.status["mode"] == "run"


# When things go wrong


@pytest.mark.parametrize("fault", ["cut-erase", "cut-write"])
def test_a_power_cut_leaves_half_a_job_and_the_next_run_mends_it(bench: Bench, fault: str) -> None:
    esptool = Esptool(bench, ESP32)
    old, new = bytes(100_000), noise(100_000)
    esptool.run("write-flash", "0", esptool.file(old, "old"))
    client.request("a", "fault", fault=fault, arguments={"after": "2", "again": "0"})
    assert esptool.fail("write-flash", "0", esptool.file(new))
    half = esptool.flash
    assert half[:100_000] not in (old, new)
    esptool.run("write-flash", "0", "image")
    assert esptool.flash[:100_000] == new


def test_a_cable_pulled_in_the_middle(bench: Bench) -> None:
    esptool = Esptool(bench, ESP32)
    data = noise(100_000)
    client.request("a", "fault", fault="unplug", arguments={"bytes": "60000"})
    before = ("--connect-attempts", "1")
    said = esptool.fail("write-flash", "0", esptool.file(data), before=before)
    assert "Errno" in said or "disconnected" in said
    client.request("a", "replug")
    esptool.run("write-flash", "0", "image")
    assert esptool.flash[: len(data)] == data


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_noise_is_never_taken_for_success(bench: Bench, seed: int) -> None:
    esptool = Esptool(bench, ESP32)
    data = noise(60_000)
    esptool.file(data)
    arguments = {"flip": "0.00001", "drop": "0.000005", "seed": str(seed)}
    client.request("a", "fault", fault="noise", arguments=arguments)
    done = bench.tool(
        "esptool", "--port", "sim://a", "write-flash", "-u", "0", "image", check=False
    )
    if done.returncode == 0:
        assert esptool.flash[: len(data)] == data


def test_a_dead_flash_file_is_not_an_empty_one(bench: Bench) -> None:
    """What esptool wrote is what the next process of the board finds."""
    esptool = Esptool(bench, ESP32)
    data = noise(5_000)
    esptool.run("write-flash", "0", esptool.file(data))
    client.stop("a")
    assert Path(bench.home / "a" / "flash.bin").read_bytes()[: len(data)] == data
    assert esptool.read(0, len(data)) == data
