"""BOOTSEL of a virtual Pico: a volume that takes a UF2 and vanishes, and the ways into it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import serial

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip
from provision.sim import client
from provision.sim.rp2.firmware import build, e10, read_uf2
from tests.bench_of_boards import Bench, bench
from tests.rp2_images import FAMILIES, XIP, block, blocks
from tests.sim.bench import release
from tests.sim.rp2.pico import PATIENCE, Pico
from tests.virtual_ports import virtual_ports

__all__ = ["bench", "virtual_ports"]

BOTH = pytest.mark.parametrize("chip", [RP2040, RP2350])
SECTOR = 4096


def in_flash(pico: Pico, uf2: bytes) -> bool:
    flash = pico.flash
    return all(flash[offset : offset + len(page)] == page for offset, page in read_uf2(uf2))


@BOTH
def test_a_blank_board_shows_its_volume_takes_a_uf2_and_runs_it(bench: Bench, chip: Chip) -> None:
    pico = Pico(bench, chip)
    label = "RPI-RP2" if chip is RP2040 else "RP2350"
    volume = bench.home / "pico" / "bootsel" / label
    assert pico.volume == volume
    assert f"Board-ID: {label}\n" in (volume / "INFO_UF2.TXT").read_text()
    assert "raspberrypi.com" in (volume / "INDEX.HTM").read_text()
    assert not pico.status["present"]
    with pytest.raises(serial.SerialException, match="it is in BOOTSEL") as refused:
        pico.open()
    assert refused.value.errno == 2
    image = release(chip, "1.24.1")
    pico.copy(b"a text that is nothing to it\n" * 40, "notes.txt")
    pico.copy(image)
    pico.until_running()
    assert not volume.exists()
    assert in_flash(pico, image)
    assert chip.label in pico.run("import os; print(os.uname().machine)")


def test_the_volumes_that_a_computer_sees(bench: Bench) -> None:
    blank = [Pico(bench, chip, name=chip.name) for chip in (RP2040, RP2350)]
    Pico(bench, firmware="1.24.1", name="running")
    seen = {volume.name: volume for volume in client.volumes()}
    assert set(seen) == {"rp2040", "rp2350"}
    assert seen["rp2040"].serial == "E0C9125B0D9B", "the ROM's, on every chip"
    assert seen["rp2350"].serial == blank[1].status["serial"].upper(), "the chip's own"
    assert seen["rp2350"].path == blank[1].volume
    client.stop("rp2040")
    assert [volume.name for volume in client.volumes()] == ["rp2350"]


@BOTH
def test_another_chips_image_is_nothing_to_it(bench: Bench, chip: Chip) -> None:
    pico = Pico(bench, chip)
    other = RP2350 if chip is RP2040 else RP2040
    pico.copy(release(other, "1.24.1"))
    pico.copy(release(chip, "1.24.1")[:-512], "all-but-the-last.uf2")
    assert pico.status["volume"]
    pico.copy(release(chip, "1.24.1")[-512:], "the-last.uf2")
    pico.until_running()


def test_a_filesystem_in_the_same_file_must_keep_to_sectors_on_an_rp2040(bench: Bench) -> None:
    """What the ROM gets wrong, it gets wrong here (pico-bootrom-rp2040, issue 19). Not at the
    filesystem's own place, 0xA0000: the firmware, which starts at once, formats that."""
    place = 0x90000
    data = b"".join(page for _, page in read_uf2(build(RP2040, "1.24.1", size=16640)))
    files = bytes(range(256)) * (2 * SECTOR // 256)
    for padded, right in ((len(data), False), (5 * SECTOR, True)):
        family = FAMILIES["rp2040"]
        parts = [(data.ljust(padded, b"\xff"), XIP), (files, XIP + place)]
        pages = [
            (base + at, part[at : at + 256])
            for part, base in parts
            for at in range(0, len(part), 256)
        ]
        pico = Pico(bench, name=f"padded-{right}")
        flash = bench.home / pico.name / "flash.bin"
        with flash.open("r+b") as file:  # something was there before
            file.seek(place)
            file.write(b"\x0f" * (2 * SECTOR))
        pico.copy(
            b"".join(
                block(page, address=at, number=number, count=len(pages), family=family)
                for number, (at, page) in enumerate(pages)
            )
        )
        pico.until(lambda status: not status["volume"])
        assert (pico.flash[place : place + len(files)] == files) is right


def test_what_lies_beyond_the_flash_comes_in_at_its_beginning(bench: Bench) -> None:
    pico = Pico(bench)
    pico.copy(b"".join(blocks(b"\x5a" * 256, FAMILIES["rp2040"], base=XIP + (2 << 20))))
    pico.until(lambda status: status["boots"] == 2)
    assert pico.flash[:256] == b"\x5a" * 256
    assert pico.status["volume"], "and nothing starts from that"


def test_the_block_of_erratum_e10_spoils_the_last_sector_of_a_small_flash(bench: Bench) -> None:
    """Seen on real boards: awalol/DS5Dongle, issue 244."""
    pico = Pico(bench, RP2350, "1.24.1")
    pico.run("f = open('kept', 'w'); f.write('yes'); f.close()")
    pico.run("import rp2; rp2.Flash().writeblocks(767, b'\\x11' * 4096)")
    client.request("pico", "press", buttons=["boot", "reset"])
    pico.copy(e10() + release(RP2350, "1.25.0"))
    pico.until_running()
    assert pico.flash[-256:] == b"\xef" * 256
    assert pico.flash[-SECTOR:-256].count(0xFF) == SECTOR - 256
    assert pico.run("print(open('kept').read())") == "yes"


def test_ways_into_bootsel_by_hand(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    client.request("pico", "press", buttons=["boot", "reset"])
    assert pico.status["volume"]
    client.request("pico", "press", buttons=["reset"])
    pico.until_running()
    client.request("pico", "press", buttons=["boot"])
    assert not pico.status["volume"], "a button that is pressed while a program runs"
    client.request("pico", "unplug")
    client.request("pico", "press", buttons=["boot"], hold=True)
    client.request("pico", "replug")
    assert pico.status["volume"], "held while it is plugged in"
    client.request("pico", "press", buttons=["boot"], release=True)
    assert pico.status["volume"], "and let go"


def test_the_bootsel_button_counts_at_a_restart_too(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    client.request("pico", "press", buttons=["boot"], hold=True)
    with pico.open() as port:
        port.write(b"\x03import machine; machine.reset()\r")
        pico.until_bootsel()


def test_1200_baud_is_a_way_for_programs_that_were_built_for_it(bench: Bench) -> None:
    foreign = Pico(bench, firmware=build(RP2040, "1.0", micropython=False), name="foreign")
    with foreign.open() as port:
        assert port.read_until(b"ready\r\n").endswith(b"ready\r\n")
        port.baudrate = 1200
        foreign.until_bootsel()
    machine = "Arduino Nano RP2040 Connect with RP2040"
    nano = Pico(bench, firmware=build(RP2040, "1.24.1", machine=machine), name="nano")
    nano.open(baudrate=1200).close()
    nano.until_bootsel()
    plain = Pico(bench, firmware="1.24.1", name="plain")
    plain.open(baudrate=1200).close()
    assert plain.run("print(1)") == "1", "MicroPython's builds for a Pico do not"
    assert plain.status["boots"] == 1


@BOTH
@pytest.mark.parametrize("after", [1, 20, 63])
def test_power_that_fails_in_mid_copy(bench: Bench, chip: Chip, after: int) -> None:
    """Block 0 comes first: an RP2040 then has a second-stage loader, and nothing behind it."""
    pico = Pico(bench, chip)
    pico.fault("cut-write", after=str(after))
    volume = pico.volume
    pico.copy(release(chip, "1.24.1"))
    pico.until(lambda status: status["mode"] == "off")
    assert not volume.exists()
    client.request("pico", "power", on=True)
    if chip is RP2040 and after > 1:
        status = pico.status
        assert (status["mode"], status["present"], status["volume"]) == ("run", False, None)
        with pytest.raises(serial.SerialException, match="hangs"):
            pico.open()
        client.request("pico", "press", buttons=["boot", "reset"])
    pico.copy(release(chip, "1.24.1"))
    pico.until_running()


def test_a_cable_that_comes_loose_in_mid_copy(bench: Bench) -> None:
    pico = Pico(bench)
    volume = pico.volume
    image = release(RP2040, "1.24.1")
    pico.fault("unplug", bytes=str(30 * 512))
    with (volume / "image.uf2").open("wb", buffering=0) as file:
        file.write(image)
        pico.until(lambda status: not status["plugged"])
        file.write(image)  # into nowhere
    assert not volume.exists()
    pages = read_uf2(image)
    flash = pico.flash
    assert [flash[at : at + 256] == page for at, page in pages].count(True) == 30
    client.request("pico", "replug")
    client.request("pico", "press", buttons=["boot", "reset"])
    pico.copy(image)
    pico.until_running()


def test_flash_takes_its_time_and_the_volume_stays_for_it(bench: Bench) -> None:
    pico = Pico(bench, timing="on", scale="10")
    start = pico.status["seconds"]
    pico.copy(release(RP2040, "1.24.1"))
    end = pico.until(lambda status: not status["volume"])["seconds"]
    # Four sectors, 64 pages, a second until it restarts; a tenth of each.
    assert end - start >= (4 * 0.045 + 64 * 0.0004 + 1.0) / 10


def test_a_program_for_the_ram_is_gone_at_the_next_restart(bench: Bench) -> None:
    pico = Pico(bench)
    pico.copy(b"".join(blocks(bytes(512), FAMILIES["rp2040"], base=0x20000000)))
    status = pico.until(lambda status: not status["volume"])
    assert (status["mode"], status["present"]) == ("run", False)
    assert set(pico.flash) == {0xFF}
    client.request("pico", "press", buttons=["reset"])
    pico.until_bootsel()


def test_a_board_that_is_killed_in_bootsel_leaves_no_volume_that_counts(bench: Bench) -> None:
    pico = Pico(bench)
    volume = pico.volume
    (volume / "stale").write_bytes(b"x")
    os.kill(pico.status["pid"], signal.SIGKILL)
    pico_gone(pico)
    assert client.volumes() == []
    again = Pico(bench)
    assert not (again.volume / "stale").exists()


def pico_gone(pico: Pico) -> None:
    import time

    end = time.monotonic() + PATIENCE
    while client.running(pico.name):
        assert time.monotonic() < end
        time.sleep(0.01)  # a process that goes is looked for


def test_whatever_a_host_does_to_the_volume_the_board_lives(bench: Bench) -> None:
    pico = Pico(bench)
    volume = pico.volume
    (volume / "INFO_UF2.TXT").chmod(0o600)
    (volume / "INFO_UF2.TXT").write_text("nonsense")
    os.truncate(volume / "INDEX.HTM", 200 << 20)
    (volume / "to").symlink_to("/etc/passwd")
    for path in list(Path(volume).iterdir()):
        path.unlink()
    volume.rmdir()
    assert pico.status["mode"] == "download"
    client.request("pico", "press", buttons=["boot", "reset"])
    assert (pico.volume / "INFO_UF2.TXT").read_text().startswith("UF2 Bootloader")
