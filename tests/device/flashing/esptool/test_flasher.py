"""The esptool adapter on virtual boards: every chip, every board profile, and what goes wrong."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import serial

from provision.boards import profiles
from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32C2, ESP32C3, ESP32S2, ESP32S3, ESP8266
from provision.core.chips.esp.erase_plan import boot_sector_last
from provision.core.chips.esp.firmware import read_firmware, regions
from provision.core.chips.esp.image import BOOT_OFFSETS, SECTOR, EspImage, read_image
from provision.device.connection import SerialConnector
from provision.device.flashing.esptool.flasher import EsptoolFlasher
from provision.device.transport.discovery import SerialDiscovery
from provision.device.transport.serial_port import Port, open_port
from provision.errors import (
    FlashFailed,
    ManualActionRequired,
    NoAnswer,
    PortLost,
    ProvisionError,
    Refused,
)
from provision.model.board import ResetWiring
from provision.model.chip import Chip
from provision.model.endpoint import Endpoint
from provision.model.firmware import Region, joined
from provision.sim import client
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench
from tests.flashers import connected
from tests.images import profile, real_images

__all__ = ["bench"]

Plug = Callable[..., Port]


@pytest.fixture
def plug(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """Opens virtual boards' ports, as this package opens every port."""
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "locks"))
    monkeypatch.setattr(serial, "protocol_handler_packages", ["provision.sim"])
    opened: list[Port] = []

    def open_board(name: str, **query: object) -> Port:
        settings = "&".join(f"{key}={value}" for key, value in query.items())
        opened.append(open_port(Endpoint(address=f"sim://{name}?{settings}"), device=name))
        return opened[-1]

    yield open_board
    for port in opened:
        port.close()


def nothing(_done: int, _total: int) -> None:
    """No progress wanted."""


def ignored(_level: int, _text: str) -> None:
    """No trace wanted."""


def press(name: str, hold: bool) -> None:
    """What a person does with BOOT (and RESET) of a board without automatic download."""
    if hold:
        client.request(name, "press", buttons=["boot"], hold=True)
        client.request(name, "press", buttons=["reset"])
    else:
        client.request(name, "press", buttons=["boot"], release=True)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_board_is_told_apart_written_verified_and_restarted(
    bench: Bench, plug: Plug, chip: Chip
) -> None:
    port = plug("a", chip=chip.name, flash="8MB")
    board = profile(chip, flash_size=8 << 20)
    bootloader = connected(port, board)
    assert bootloader.raise_baud(460800) == 460800
    proved = bootloader.identify()
    status = client.request("a", "status")
    assert (proved.chip, proved.mac, proved.flash_size) == (chip, status["mac"], 8 << 20)
    assert proved.secured is None
    assert (proved.revision is None) == (chip is ESP8266)
    wanted = regions(read_firmware(build(chip, "1.24.1"), "x"), board, proved.flash_size)
    seen: list[tuple[int, int]] = []
    bootloader.write(wanted, lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    flash = bench.flash("a")
    for region in wanted:
        assert flash[region.offset :][: len(region.data)] == region.data
    app = wanted[-1]
    assert bootloader.read(app.offset, 100) == app.data[:100]
    seen.clear()
    bootloader.write(wanted, lambda done, total: seen.append((done, total)))
    assert seen == []  # the flash holds it all: nothing was sent
    bootloader.erase((), nothing)
    assert bench.flash("a").count(0xFF) == 8 << 20
    bootloader.write(wanted[:1], nothing)
    assert bench.flash("a")[wanted[0].offset :].startswith(wanted[0].data)
    assert client.request("a", "status")["mode"] == "download"
    assert bootloader.restart() is True
    assert client.request("a", "status")["mode"] == "run"


@pytest.mark.parametrize("chip", CHIPS)
def test_erasing_leaves_what_is_blank_and_what_is_written_next(
    bench: Bench, plug: Plug, chip: Chip
) -> None:
    old = bench.work / "old.bin"
    old.write_bytes(build(chip, "1.20.0", size=3 << 19))
    port = plug("a", chip=chip.name, flash="4MB", firmware=old)
    with (bench.home / "a" / "flash.bin").open("r+b") as flash:
        for offset, data in ((0x9000, b"settings"), (0x3F1000, b"an owner's secret")):
            flash.seek(offset)
            flash.write(data)
    board = profile(chip, flash_size=4 << 20)
    bootloader = connected(port, board)
    wanted = regions(read_firmware(build(chip, "1.24.1"), "x"), board, 4 << 20)
    wanted = boot_sector_last(wanted, chip)
    seen: list[tuple[int, int]] = []
    bootloader.erase(wanted, lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
    boot = BOOT_OFFSETS[chip]
    assert bench.flash("a")[boot : boot + SECTOR] == b"\xff" * SECTOR  # nothing starts any more
    bootloader.write(wanted[:-1], nothing)
    assert bench.flash("a")[boot : boot + SECTOR] == b"\xff" * SECTOR
    bootloader.write(wanted[-1:], nothing)
    assert bench.flash("a") == joined(wanted, 0).ljust(4 << 20, b"\xff")


@pytest.mark.parametrize("chip", CHIPS)
def test_a_flash_that_looks_as_new_is_looked_at_while_it_is_written(
    bench: Bench, plug: Plug, chip: Chip
) -> None:
    port = plug("a", chip=chip.name, flash="4MB")
    with (bench.home / "a" / "flash.bin").open("r+b") as flash:
        flash.seek(0x3F1000)
        flash.write(b"an owner's secret")
    board = profile(chip, flash_size=4 << 20)
    bootloader = connected(port, board)
    image = build(chip, "1.24.1", size=3 << 19)
    wanted = boot_sector_last(regions(read_firmware(image, "x"), board, 4 << 20), chip)
    bootloader.identify()
    before = client.request("a", "measure")
    bootloader.erase(wanted, nothing)
    assert client.request("a", "measure")["to_chip"] < 1000 < before["to_chip"]
    bootloader.write(wanted, nothing)
    assert bench.flash("a") == joined(wanted, 0).ljust(4 << 20, b"\xff")


def test_blank_is_what_has_no_byte_in_it_and_asked_for_once(bench: Bench, plug: Plug) -> None:
    """One byte far into a large stretch is no blank; and what is written since is none any more."""
    port = plug("a", chip="esp32", flash="4MB")
    with (bench.home / "a" / "flash.bin").open("r+b") as flash:
        flash.seek(0x287654)
        flash.write(b"x")
    board = profile(ESP32, flash_size=4 << 20)
    bootloader = connected(port, board)
    assert not bootloader.is_blank(0x9000, (4 << 20) - 0x9000)
    assert bootloader.is_blank(0x9000, 0x200000)
    heard = client.request("a", "measure")["to_host"]
    assert bootloader.is_blank(0x100000, 0x80000)
    assert client.request("a", "measure")["to_host"] == 0 < heard
    wanted = regions(read_firmware(build(ESP32, "1.24.1"), "x"), board, 4 << 20)
    bootloader.write(wanted, nothing)
    assert not bootloader.is_blank(0x9000, 0x200000)


# FACTS: mode, header size and offset that reach the flash of each board of the project's table.
TABLE = {
    "esp8266-bare": ("4MB", "4MB"),
    "nodemcu": ("4MB", "4MB"),
    "lolin-nodemcu": ("4MB", "4MB"),
    "adafruit-huzzah-breakout": ("4MB", "4MB"),
    "adafruit-feather-huzzah": ("4MB", "4MB"),
    "wemos-d1-mini": ("4MB", "4MB"),
    "wemos-d1-mini-pro": ("16MB", "4MB"),
    "olimex-esp8266-dev": ("2MB", "2MB"),
    "olimex-esp8266-evb": ("2MB", "2MB"),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_flash_header_is_as_the_boards_table_says(bench: Bench, plug: Plug, name: str) -> None:
    flash, header = TABLE[name]
    board = profiles()[name]
    port = plug("a", chip="esp8266", flash=flash, wiring=board.reset.value)
    if board.reset is ResetWiring.NONE:
        press("a", hold=True)
    bootloader = connected(port, board, wait_for_operator=lambda _left: False)
    size = bootloader.identify().flash_size
    # As a release is built: neither mode nor size is right for any of these boards.
    firmware = read_firmware(build(ESP8266, "1.24.1", flash_size=512 << 10), "x")
    bootloader.write(regions(firmware, board, size), nothing)
    image = read_image(bench.flash("a"), 0)
    assert isinstance(image, EspImage)
    assert (image.flash_mode, image.flash_size) == ("dio", header)


@pytest.mark.parametrize("name", [chip.name for chip in CHIPS if chip is not ESP8266])
def test_an_image_for_the_esp32_family_keeps_its_header(
    bench: Bench, plug: Plug, name: str
) -> None:
    board = profiles()[name]
    chip = board.chip
    bootloader = connected(plug("a", chip=chip.name, flash="8MB"), board)
    firmware = read_firmware(build(chip, "1.26.0"), "x")
    bootloader.write(regions(firmware, board, bootloader.identify().flash_size), nothing)
    image = read_image(bench.flash("a"), BOOT_OFFSETS[chip])
    assert isinstance(image, EspImage)
    assert (image.flash_mode, image.flash_size) == ("dio", "4MB")


@pytest.mark.parametrize("chip", [ESP8266, ESP32, ESP32C3])
def test_the_flash_is_as_after_esptools_own_write_flash(
    bench: Bench, plug: Plug, chip: Chip
) -> None:
    """Mode, size, frequency and digest changed by us and by esptool: the same bytes."""
    data = build(chip, "1.24.1")
    (bench.work / "fw.bin").write_bytes(data)
    offset = BOOT_OFFSETS[chip]
    asked = ("--flash-mode", "dout", "--flash-size", "detect", "--flash-freq", "20m")
    address = f"sim://theirs?chip={chip}&flash=4MB"
    options = ("--port", address, "--after", "no-reset")  # else the app would change its flash
    bench.tool("esptool", *options, "write-flash", *asked, hex(offset), "fw.bin")
    board = profile(chip, flash_mode="dout", header_size="detect", flash_freq="20m")
    bootloader = connected(plug("ours", chip=chip.name, flash="4MB"), board)
    wanted = regions(read_firmware(data, "fw.bin"), board, bootloader.identify().flash_size)
    bootloader.write(wanted, nothing)
    assert bench.flash("ours") == bench.flash("theirs")


def test_nvs_and_filesystem_survive_an_update_of_a_real_image(bench: Bench, plug: Plug) -> None:
    old, new = (read_firmware(path.read_bytes(), path.name) for path in real_images())
    board = profiles()["esp32"]
    bootloader = connected(plug("a", chip="esp32"), board)
    bootloader.raise_baud(921600)
    bootloader.write(regions(old, board), nothing)
    generator = random.Random(4)
    kept = [
        Region(name="nvs", offset=0x9000, data=generator.randbytes(0x6000)),
        Region(name="filesystem", offset=0x200000, data=generator.randbytes(0x4000)),
    ]
    bootloader.write(kept, nothing)
    written: list[int] = []
    bootloader.write(regions(new, board), lambda _done, total: written.append(total))
    flash = bench.flash("a")
    for region in [*kept, *regions(new, board)]:
        assert flash[region.offset :][: len(region.data)] == region.data
    # The partition tables are the same: that region was not sent again.
    assert len(set(written)) == 1
    assert written[0] < new.size


def flash_is_untouched(bench: Bench, bootloader: EsptoolFlasher, before: bytes) -> None:
    region = Region(name="app", offset=0x10000, data=b"must not arrive")
    with pytest.raises(Refused):
        bootloader.write([region], nothing)
    with pytest.raises(Refused):
        bootloader.erase((), nothing)
    assert bench.flash("a") == before


def test_another_chip_is_never_written(bench: Bench, plug: Plug) -> None:
    port = plug("a", chip="esp32c3")
    bootloader = connected(port, profile(ESP8266))
    assert bootloader.identify().chip is ESP32C3
    flash_is_untouched(bench, bootloader, bench.flash("a"))


SECURED = {
    "secure-boot": "secure boot",
    "flash-encryption": "flash encryption",
    "secure-download": "secure download mode",  # of which an ESP32 tells nobody
}


@pytest.mark.parametrize(
    ("chip", "fault"),
    [
        (chip, fault)
        for chip in (ESP32, ESP32S2, ESP32S3, ESP32C2, ESP32C3)  # a C2 has all in one register
        for fault in SECURED
        if (chip, fault) != (ESP32, "secure-download")
    ],
)
def test_a_secured_board_is_never_written(bench: Bench, plug: Plug, chip: Chip, fault: str) -> None:
    port = plug("a", chip=chip.name)
    client.request("a", "fault", fault=fault, arguments={})
    bootloader = connected(port, profile(chip))
    assert bootloader.identify().secured == SECURED[fault]
    flash_is_untouched(bench, bootloader, bench.flash("a"))


def test_a_board_that_needs_hands(bench: Bench, plug: Plug) -> None:
    board = profiles()["adafruit-huzzah-breakout"]
    port = plug("a", chip="esp8266", wiring="none")
    with pytest.raises(
        ManualActionRequired, match="must be put in download mode by hand"
    ) as caught:
        connected(port, board)
    assert "Hold the GPIO0 button" in (caught.value.hint or "")
    assert caught.value.device == "a"
    asked: list[float] = []

    def give_up(left: float) -> bool:
        asked.append(left)
        return False

    with pytest.raises(ManualActionRequired, match="did not come into download mode"):
        connected(port, board, wait_for_operator=give_up)
    assert len(asked) == 1

    def obey(left: float) -> bool:
        asked.append(left)
        if len(asked) == 3:
            press("a", hold=True)
        return len(asked) < 9

    bootloader = connected(port, board, wait_for_operator=obey)
    assert len(asked) >= 3
    assert asked[1:] == sorted(asked[1:], reverse=True)
    assert bootloader.identify().chip is ESP8266
    press("a", hold=False)
    assert bootloader.restart() is True  # by the stub itself, without lines
    assert client.request("a", "status")["mode"] == "run"


@pytest.mark.parametrize("chip", [ESP8266, ESP32, ESP32C3], ids=str)
def test_a_board_whose_stub_does_not_arrive_runs_its_app_again(plug: Plug, chip: Chip) -> None:
    port = plug("a", chip=chip.name)
    client.request("a", "fault", fault="noise", arguments={"flip": "0.001"})
    with pytest.raises(ProvisionError):
        EsptoolFlasher.attach(
            port, profile(chip), wait_for_operator=None, operator_seconds=0.0, trace=ignored
        )
    client.request("a", "fault", fault="noise", arguments={})
    assert client.request("a", "status")["mode"] == "run"


def test_a_board_that_a_person_gave_up_on_is_told_what_it_was_told_before(plug: Plug) -> None:
    """Nothing but its button restarts it; that is no other error."""
    said: list[str] = []
    port = plug("a", chip="esp32", wiring="none")
    with pytest.raises(ManualActionRequired, match="put in download mode by hand"):
        EsptoolFlasher.attach(
            port,
            profile(ESP32, reset=ResetWiring.NONE),
            wait_for_operator=None,
            operator_seconds=0.0,
            trace=lambda _level, text: said.append(text),
        )
    assert said[-1] == "only its RESET button restarts this board"
    assert client.request("a", "status")["mode"] == "run"


def test_a_port_without_lines_needs_hands_whatever_the_profile_says(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "locks"))
    client.ensure("a", {"chip": "esp8266"})
    with open_port(Endpoint(address=client.request("a", "pty")["pty"]), device="a") as port:
        with pytest.raises(ManualActionRequired):
            connected(port, profile(ESP8266))
        press("a", hold=True)
        bootloader = connected(port, profile(ESP8266))
        assert bootloader.identify().mac
        press("a", hold=False)
        assert bootloader.restart() is True  # by the stub
        assert client.request("a", "status")["mode"] == "run"


def test_a_stub_that_a_killed_run_left_at_its_rate_answers_without_hands(plug: Plug) -> None:
    board = replace(profiles()["esp8266-bare"], baud=460800)
    port = plug("a", chip="esp8266", wiring="none")
    press("a", hold=True)
    first = connected(port, board, wait_for_operator=lambda _left: True)
    assert first.raise_baud(460800) == 460800
    port.serial.baudrate = 115200  # the next run opens the port anew
    again = connected(port, board)
    assert again.identify().chip is ESP8266
    assert again.baud == 460800


def test_a_profile_that_promises_lines_which_are_not_there(plug: Plug) -> None:
    port = plug("a", chip="esp32", wiring="none")
    with pytest.raises(NoAnswer, match="did not react to the reset lines") as caught:
        connected(port, profile(ESP32))
    assert caught.value.device == "a"


def test_a_connection_talks_to_the_bootloader_at_the_boards_rate(plug: Plug) -> None:
    plug("a", chip="esp32").close()
    board = replace(profile(ESP32), baud=460800)
    connection = SerialConnector(SerialDiscovery()).connect(
        Endpoint(address="sim://a"), board, device="a", trace=lambda _level, _text: None
    )
    try:
        flasher = connection.flasher(None, 0.0)
        assert isinstance(flasher, EsptoolFlasher)
        assert flasher.baud == 460800
    finally:
        connection.close()


@pytest.fixture
def bad_cable(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> Plug:
    """As `plug`, over a cable that cannot hold more than 460800 baud."""
    monkeypatch.setattr(serial, "protocol_handler_packages", ["tests.handlers"])
    return plug


def test_a_line_that_cannot_hold_the_rate_is_used_at_a_lower_one(bad_cable: Plug) -> None:
    bootloader = connected(bad_cable("a", chip="esp32"), profile(ESP32))
    assert bootloader.raise_baud(921600) == 460800
    assert bootloader.baud == 460800
    assert bootloader.identify().chip is ESP32


def test_a_line_that_fails_under_load_is_taken_up_again_slower(
    bench: Bench, bad_cable: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.handlers.protocol_sim.LONGEST", 1000)
    heard: list[str] = []
    bootloader = connected(
        bad_cable("a", chip="esp8266"),
        profile(ESP8266),
        trace=lambda _level, text: heard.append(text),
    )
    assert bootloader.raise_baud(921600) == 921600
    region = Region(name="app", offset=0, data=random.Random(8).randbytes(50_000))
    bootloader.write([region], nothing)
    assert bench.flash("a").startswith(region.data)
    assert bootloader.baud == 460800
    assert any("trying again" in text for text in heard)


@pytest.mark.parametrize("chip", CHIPS)
def test_the_stub_is_sent_at_the_boards_rate_and_started_at_the_roms(
    plug: Plug, chip: Chip
) -> None:
    heard: list[str] = []
    board = replace(profile(chip), baud=460800)
    connected(plug("a", chip=chip.name), board, trace=lambda _, text: heard.append(text))
    said = [text for text in heard if text.startswith(("Changing", "Uploading", "Running"))]
    loaded = ["Uploading stub flasher...", "Running stub flasher..."]
    if chip is ESP8266 or board.reset is ResetWiring.USB_JTAG:
        assert said == loaded  # its ROM, or its USB, knows no other rate
    else:
        raised, back = (f"Changing baud rate to {rate}..." for rate in (460800, 115200))
        assert said == [raised, *loaded, back]


def test_a_line_that_does_not_hold_the_boards_rate_gets_the_stub_at_the_roms(plug: Plug) -> None:
    heard: list[str] = []
    bootloader = EsptoolFlasher.attach(
        plug("a", chip="esp32", wire="on", bridge=460800),
        replace(profile(ESP32), baud=921600),
        wait_for_operator=None,
        operator_seconds=0.0,
        trace=lambda _, text: heard.append(text),
    )
    assert bootloader.baud == 460800
    failed = [text for text in heard if text.startswith("the stub was not taken at 921600 baud")]
    assert len(failed) == 1
    assert bootloader.identify().chip == ESP32


def test_a_bad_line_without_reset_lines_says_to_lower_the_rate(bad_cable: Plug) -> None:
    port = bad_cable("a", chip="esp8266", wiring="none")
    press("a", hold=True)
    bootloader = connected(port, profiles()["esp8266-bare"])
    with pytest.raises(NoAnswer, match="not reliable at 921600 baud") as caught:
        bootloader.raise_baud(921600)
    assert "lower baud" in (caught.value.hint or "")


def test_a_cable_pulled_while_writing(bench: Bench, plug: Plug) -> None:
    port = plug("a", chip="esp32")
    bootloader = connected(port, profile(ESP32))
    bootloader.identify()
    client.request("a", "fault", fault="unplug", arguments={"bytes": 30_000})
    region = Region(name="app", offset=0x10000, data=random.Random(5).randbytes(200_000))
    with pytest.raises(PortLost) as caught:
        bootloader.write([region], nothing)
    assert caught.value.device == "a"


@pytest.mark.parametrize("wiring", ["auto", "none"])
def test_a_board_that_dies_while_writing(bench: Bench, plug: Plug, wiring: str) -> None:
    board = profile(ESP8266, reset=ResetWiring(wiring))
    port = plug("a", chip="esp8266", wiring=wiring)
    if wiring == "none":
        press("a", hold=True)
    bootloader = connected(port, board, wait_for_operator=lambda _left: False)
    bootloader.identify()
    region = Region(name="app", offset=0, data=random.Random(6).randbytes(100_000))
    client.request("a", "fault", fault="cut-write", arguments={"after": 2, "again": 0.2})
    if wiring == "auto":  # reset, met again, and written from the start of the region
        bootloader.write([region], nothing)
        assert bench.flash("a").startswith(region.data)
    else:
        with pytest.raises((NoAnswer, FlashFailed)):
            bootloader.write([region], nothing)
        assert not bench.flash("a").startswith(region.data)


@pytest.mark.parametrize("chip", CHIPS, ids=str)
def test_the_flash_is_read_as_it_is(bench: Bench, plug: Plug, chip: Chip) -> None:
    port = plug("a", chip=chip.name, flash="4MB")
    held = random.Random(9).randbytes(150_000) + b"\xc0\xdb\xdc\xdd" * 1000
    with (bench.home / "a" / "flash.bin").open("r+b") as flash:
        flash.seek(0x200000)
        flash.write(held)
    bootloader = connected(port, profile(chip, flash_size=4 << 20))
    bootloader.raise_baud(460800)
    assert bootloader.read(0x200000, len(held)) == held
    assert bootloader.read(0x200003, 5) == held[3:8]
    assert bootloader.read((4 << 20) - 4096, 4096) == b"\xff" * 4096
    assert bootloader.read(0x1000, 0) == b""
    bootloader.write([Region(name="x", offset=0x300000, data=held[:5000])], nothing)
    assert bootloader.read(0x300000, 5000) == held[:5000]
    with pytest.raises(NoAnswer, match="reading the flash"):
        bootloader.read((4 << 20) - 4096, 8192)


@pytest.mark.parametrize("noise", [{"flip": "0.0005"}, {"drop": "0.0005"}], ids=str)
def test_what_a_bad_line_makes_of_a_read_is_read_again(
    bench: Bench, plug: Plug, noise: dict[str, str]
) -> None:
    heard: list[str] = []

    def trace(_level: int, text: str) -> None:
        heard.append(text)
        if "trying again" in text:
            client.request("a", "fault", fault="noise", arguments={})

    port = plug("a", chip="esp32", flash="4MB")
    held = random.Random(10).randbytes(200_000)
    with (bench.home / "a" / "flash.bin").open("r+b") as flash:
        flash.seek(0x200000)
        flash.write(held)
    bootloader = connected(port, profile(ESP32), trace=trace)
    bootloader.raise_baud(921600)
    bootloader.identify()
    client.request("a", "fault", fault="noise", arguments=noise)
    assert bootloader.read(0x200000, len(held)) == held
    assert any("trying again" in text for text in heard)


def test_a_cable_pulled_while_reading(plug: Plug) -> None:
    bootloader = connected(plug("a", chip="esp32"), profile(ESP32))
    bootloader.identify()
    client.request("a", "fault", fault="unplug", arguments={"bytes": 300})
    with pytest.raises(PortLost):
        bootloader.read(0x200000, 400_000)


def test_a_board_whose_rom_alone_answers_is_not_read(plug: Plug) -> None:
    port = plug("a", chip="esp32s3")
    client.request("a", "fault", fault="secure-download", arguments={})
    with pytest.raises(Refused, match="only the boot ROM answers"):
        connected(port, profile(ESP32S3)).read(0, 4096)


def test_two_boards_at_once_each_hear_their_own(bench: Bench, plug: Plug) -> None:
    heard: dict[str, list[str]] = {"one": [], "two": []}
    chips = {"one": ESP8266, "two": ESP32C3}
    data = random.Random(7).randbytes(60_000)
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            port = plug(name, chip=chips[name].name)
            bootloader = connected(
                port, profile(chips[name]), trace=lambda _level, text: heard[name].append(text)
            )
            bootloader.raise_baud(460800)
            bootloader.write([Region(name=name, offset=0x20000, data=data)], nothing)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(name,)) for name in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for name, lines in heard.items():
        assert bench.flash(name)[0x20000:].startswith(data)
        assert "Stub flasher running." in lines


def test_packets_are_heard_when_asked_for(plug: Plug) -> None:
    heard: list[tuple[int, str]] = []
    connected(
        plug("a", chip="esp8266"),
        profile(ESP8266),
        trace=lambda level, text: heard.append((level, text)),
        packets=True,
    )
    assert any(level == 2 and "SYNC" in text for level, text in heard)
    assert any(level == 1 for level, _ in heard)


def test_a_region_inside_a_sector_is_a_mistake_of_ours(plug: Plug) -> None:
    bootloader = connected(plug("a", chip="esp32"), profile(ESP32))
    with pytest.raises(ValueError, match="starts inside a sector"):
        bootloader.write([Region(name="app", offset=0x10010, data=b"x")], nothing)
