"""Every chip of every family through the whole job at once: one fleet, a board of each.

Where an image begins is asked of esptool's own classes, or of the addresses in a UF2 file: no table
of ours. The virtual boards' ROMs start from nowhere else.
"""

from __future__ import annotations

import struct

import pytest

from provision.core.chips import registry
from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.rp2.chips import CHIPS as RP2_CHIPS
from provision.device.flashing.esptool.library import esptool
from provision.model.chip import Chip
from tests.apply.station import Station

pytest.importorskip("micropython_unix")

CHIPS = tuple(registry.CHIPS.values())
NAMES = {chip: f"a-{chip}" for chip in CHIPS}
OLD, NEW = "1.20.0", "1.24.1"


def manifest(station: Station, version: str, images: dict[Chip, Chip] | None = None) -> None:
    """A device of each chip; `images` gives some the image of another."""
    text = "defaults: {files: [main.py, lib/]}\ndevices:\n"
    for chip, name in NAMES.items():
        image = station.firmware((images or {}).get(chip, chip), version)
        text += f"  {name}: {{board: {chip}, port: sim://{name}, firmware: {{file: {image}}}}}\n"
    station.write("fleet.yaml", text)


def starts_where_its_rom_looks(station: Station, chip: Chip, version: str) -> None:
    """The flash has an image for this chip where esptool has it written, or its UF2 file says."""
    if chip in RP2_CHIPS:
        starts_as_its_file_says(station, chip, version)
        return
    rom = esptool().chips[chip.name]
    at = station.flash(NAMES[chip])[rom.BOOTLOADER_FLASH_OFFSET :]
    assert at[0] == rom.ESP_IMAGE_MAGIC, chip
    if chip is not ESP8266:
        assert int.from_bytes(at[12:14], "little") == rom.IMAGE_CHIP_ID, chip


def starts_as_its_file_says(station: Station, chip: Chip, version: str) -> None:
    """Such a chip sees its flash from 0x10000000 on, and starts from the first of its pages."""
    file = (station.work / station.firmware(chip, version)).read_bytes()
    blocks = [file[at : at + 512] for at in range(0, len(file), 512)]
    (first,) = [
        block[32:288] for block in blocks if struct.unpack_from("<I", block, 12) == (0x10000000,)
    ]
    assert station.flash(NAMES[chip])[:256] == first, chip


def test_from_blank_to_an_update_that_is_killed(station: Station) -> None:
    for chip, name in NAMES.items():
        station.board(name, chip)
    station.write("main.py", "print('ready')\n")
    station.write("lib/name.py", "NAME = 'every'\n")
    manifest(station, OLD)
    ended = station.apply("--yes")
    for chip, name in NAMES.items():
        assert ended.done(name) == [
            "erase-flash", f"write-firmware {OLD}", "make-directory /lib",
            "write-file /lib/name.py", "write-file /main.py", "reset",
        ], chip  # fmt: skip
        starts_where_its_rom_looks(station, chip, OLD)
        assert station.files(name, chip)["/lib/name.py"] == b"NAME = 'every'\n"
    again = station.apply()
    assert set(again.outcomes.values()) == {"ok"}
    assert not again.of("action-done")

    # An image for another chip reaches no flash.
    before = {name: station.digest(name) for name in NAMES.values()}
    following = dict(zip(CHIPS, (*CHIPS[1:], CHIPS[0]), strict=True))
    manifest(station, NEW, following)
    refused = station.apply("--yes", code=4)
    assert set(refused.outcomes.values()) == {"refused"}
    for chip, name in NAMES.items():
        said = refused.finished(name)["error"]
        assert f"is for the {following[chip].label}, the board" in said, said
        assert station.digest(name) == before[name], f"{chip}: its flash has changed"

    # An update keeps what is on the board, though it is killed in the middle.
    for name in NAMES.values():
        station.put(name, {"/log.txt": "a year of data"})
    station.write("main.py", "print('newer')\n")
    manifest(station, NEW)
    run = station.start("apply", "--json", "--yes")
    run.until_event("stage-started", stage="flash")
    run.kill()
    station.apply("--yes")
    for chip, name in NAMES.items():
        starts_where_its_rom_looks(station, chip, NEW)
        files = station.files(name, chip)
        assert files["/log.txt"] == b"a year of data", chip
        assert files["/main.py"] == b"print('newer')\n", chip
        assert not [path for path in files if "~" in path]
    again = station.apply()
    assert set(again.outcomes.values()) == {"ok"}
    assert not again.of("action-done")
