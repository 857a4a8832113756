"""Safety rule 5: what a firmware update must leave alone, byte for byte.

An RP2040 and an RP2350 keep nothing of their own beside the filesystem: what becomes of that is in
test_pico.py and test_every_chip.py.
"""

from __future__ import annotations

import hashlib

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.model.chip import Chip
from tests.apply.station import Station

# Where each chip keeps what is its own: NVS of the partition table; the parameters of the SDK
# (radio calibration, Wi-Fi credentials) in the last five sectors of an ESP8266's 4 MB.
OWN = {**dict.fromkeys(CHIPS, (0x9000, 0xF000)), ESP8266: ((4 << 20) - 20480, 4 << 20)}
# The first sector of NVS is what the virtual board itself writes to.
FIRST = {**dict.fromkeys(CHIPS, 4096), ESP8266: 0}
BOARDS = {**{chip: chip.name for chip in CHIPS}, ESP8266: "wemos-d1-mini"}
ALL_CHIPS = [
    chip if chip in (ESP32, ESP8266) else pytest.param(chip, marks=pytest.mark.slow)
    for chip in CHIPS
]


@pytest.mark.parametrize("chip", ALL_CHIPS)
def test_an_update_leaves_settings_and_files_alone(station: Station, chip: Chip) -> None:
    station.board("x", chip, station.firmware(chip, "1.20.0"))
    station.type("x", "import os; os.mkdir('/log')")
    station.put("x", {"/log/today.txt": "unmanaged", "/main.py": "print(1)"})
    if chip is not ESP8266:
        station.type("x", "import esp32; n = esp32.NVS('app'); n.set_i32('count', 7); n.commit()")
    start, end = OWN[chip]
    pattern = b"".join(
        hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range((end - start) // 32)
    )
    with station.flash_file("x").open("r+b") as flash:
        flash.seek(start + FIRST[chip])
        flash.write(pattern[FIRST[chip] :])
    own = station.flash("x")[start:end]
    assert own.endswith(pattern[FIRST[chip] :])
    files = station.files("x", chip)
    assert files["/log/today.txt"] == b"unmanaged"

    station.write("main.py", "print(1)")
    image = station.firmware(chip)
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x: {{port: sim://x, board: {BOARDS[chip]}, firmware: {{file: {image}}}, files: [main.py]}}
        """,
    )
    ended = station.apply()
    assert ended.done("x") == ["write-firmware 1.24.1", "reset"]
    assert station.flash("x")[start:end] == own
    if chip is not ESP8266:
        assert station.type("x", "import esp32", "esp32.NVS('app').get_i32('count')") == "7"
    assert station.files("x", chip) == files
    assert station.apply().outcomes == {"x": "ok"}


@pytest.mark.parametrize("chip", ALL_CHIPS)
def test_an_update_that_is_cut_short_is_finished_with_the_files_kept(
    station: Station, chip: Chip
) -> None:
    """The power fails while the firmware is replaced: nothing answers, and yet nothing is lost."""
    station.board("x", chip, station.firmware(chip, "1.20.0", size=300_000))
    station.put("x", {"/log.txt": "unmanaged", "/main.py": "print('old')"})
    if chip is not ESP8266:
        station.type("x", "import esp32; n = esp32.NVS('app'); n.set_i32('count', 7); n.commit()")
    start, end = OWN[chip]
    own = station.flash("x")[start:end]
    station.write("main.py", "print('new')")
    image = station.firmware(chip, size=300_000)
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x: {{port: sim://x, board: {BOARDS[chip]}, firmware: {{file: {image}}}, files: [main.py]}}
        """,
    )
    station.fault("x", "cut-erase", after=2)
    cut = station.provision("apply")
    assert cut.code in (4, 5), cut.said
    station.order("x", "power", on=True)

    plan = station.plan()
    assert plan.planned("x") == [
        "write-firmware 1.24.1",
        "restore-file /boot.py",
        "write-file /main.py",
        "reset",
    ]
    assert "finish the update to 1.24.1 that was interrupted; files kept" in plan.out
    ended = station.apply()
    assert ended.done("x") == plan.planned("x")
    files = station.files("x", chip)
    assert files["/log.txt"] == b"unmanaged"
    assert files["/main.py"] == b"print('new')"
    assert not [path for path in files if "~" in path]
    assert station.flash("x")[start:end] == own
    if chip is not ESP8266:
        assert station.type("x", "import esp32", "esp32.NVS('app').get_i32('count')") == "7"
    assert station.apply().outcomes == {"x": "ok"}
