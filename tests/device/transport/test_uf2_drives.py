"""Drives of boards among those of a computer, as Linux lists them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from provision.device.transport.discovery import SerialDiscovery
from provision.device.transport.uf2_drives import SystemVolumes, description, is_bootsel, read_drive
from provision.interfaces import Volume
from provision.model.state import PortSelector
from tests.fakes.bootsel import FakeVolumes, drive


class Computer:
    """What Linux tells of block devices, in a folder, and what is mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sysfs = folder / "class"
        self.sysfs.mkdir()
        self.mounted: list[tuple[str, str, str]] = []
        self.asked = 0

    def plug(self, name: str, location: str, *, ids: str, serial: str = "E0C9125B0D9B") -> None:
        usb = self.folder / "devices" / location
        block = usb / f"{location}:1.0" / "host0" / "block" / name
        block.mkdir(parents=True)
        vendor, product = ids.split(":")
        for key, value in (("idVendor", vendor), ("idProduct", product), ("serial", serial)):
            (usb / key).write_text(f"{value}\n")
        (self.sysfs / name).symlink_to(block)

    def mount(self, name: str, files: dict[str, str], kind: str = "vfat") -> Path:
        point = self.folder / "media" / name
        point.mkdir(parents=True)
        for file, text in files.items():
            (point / file).write_text(text)
        self.mounted.append((f"/dev/{name}", str(point), kind))
        return point

    def mounts(self) -> Iterable[tuple[str, str, str]]:
        self.asked += 1
        return self.mounted

    def volumes(self) -> list[Volume]:
        return list(SystemVolumes(self.mounts, self.sysfs).volumes())


INFO = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"


def test_a_computer_without_such_drives_is_asked_for_none(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    assert computer.volumes() == []
    assert computer.asked == 0


def test_a_mounted_drive_is_told_by_its_file_and_its_socket(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    computer.plug("sda1", "1-1.4", ids="2e8a:0003")
    point = computer.mount("sda1", {"INFO_UF2.TXT": INFO})
    assert computer.volumes() == [
        Volume(
            path=point,
            device="/dev/sda1",
            info={"Model": "Raspberry Pi RP2", "Board-ID": "RPI-RP2"},
            usb_serial="E0C9125B0D9B",
            usb_location="1-1.4",
            usb_id="2e8a:0003",
        )
    ]


def test_a_stick_is_no_board(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    computer.plug("sda1", "1-1.4", ids="0781:5567")
    computer.mount("sda1", {"photo.jpg": ""})
    assert computer.volumes() == []


def test_what_a_mounted_filesystem_shows_of_a_drive_that_is_gone_is_old(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    computer.plug("sda1", "1-1.4", ids="0781:5567")
    computer.mount("sdb1", {"INFO_UF2.TXT": INFO})
    assert computer.volumes() == []


def test_a_board_that_nobody_mounted_is_told_by_its_rom(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    computer.plug("sda", "1-1.4", ids="2e8a:000f", serial="E66058388352A421")
    (found,) = computer.volumes()
    assert (found.path, found.device, found.usb_location) == (None, "/dev/sda", "1-1.4")
    assert description(found) == "board in BOOTSEL mode (RP2350, not mounted)"


def test_a_disk_with_a_partition_counts_once(tmp_path: Path) -> None:
    computer = Computer(tmp_path)
    computer.plug("sda", "1-1.4", ids="2e8a:0003")
    block = (computer.sysfs / "sda").resolve() / "sda1"
    block.mkdir()
    (computer.sysfs / "sda1").symlink_to(block)
    assert [one.device for one in computer.volumes()] == ["/dev/sda1"]
    computer.mount("sda1", {"INFO_UF2.TXT": INFO})
    assert [one.path is None for one in computer.volumes()] == [False]


def told(tmp_path: Path, name: str, text: str) -> str:
    (tmp_path / name).write_text(text)
    found = read_drive(tmp_path)
    assert found is not None
    kind, info = found
    return description(Volume(path=tmp_path, kind=kind, info=info))


def test_other_boards_are_named_as_what_they_are(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    assert told(tmp_path / "a", "boot_out.txt", "Adafruit CircuitPython 9.2.1 on 2024-11-20\n") == (
        "Adafruit CircuitPython 9.2.1 on 2024-11-20: CircuitPython, not MicroPython"
    )
    assert "DAPLink" in told(tmp_path / "b", "DETAILS.TXT", "# DAPLink Firmware\nUnique ID: 1\n")
    other = told(tmp_path / "c", "INFO_UF2.TXT", "TinyUF2\nBoard-ID: ESP32S3-Feather-v1\n")
    assert other == (
        "UF2 boot loader of ESP32S3-Feather-v1: its firmware is not written by this tool"
    )


def test_what_a_drive_says_is_made_harmless(tmp_path: Path) -> None:
    (tmp_path / "INFO_UF2.TXT").write_bytes(b"Board-ID: a\x1b[31mb\xff\n" + b"x" * 10000)
    assert read_drive(tmp_path) is not None
    assert "\x1b" not in told(tmp_path, "INFO_UF2.TXT", "Board-ID: a\x1b[31mb\n")


def test_a_board_in_bootsel_mode_stands_where_its_port_was(tmp_path: Path) -> None:
    volumes = FakeVolumes([drive(tmp_path / "RPI-RP2"), drive(tmp_path / "x", board="SAMD")])
    discovery = SerialDiscovery(list, [], volumes)
    (port,) = discovery.ports()
    assert is_bootsel(port.drive)
    assert (port.path, port.location) == (str(tmp_path / "RPI-RP2"), "1-1.4")
    assert discovery.resolve(PortSelector(kind="location", value="1-1.4")) == port.path
    assert len(discovery.drives()) == 2
