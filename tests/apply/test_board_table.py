"""Every board of FACTS.md's table from blank by its own profile, and what reached its flash."""

from __future__ import annotations

from dataclasses import dataclass

from provision.core.chips.esp.chips import ESP8266
from tests.apply.station import Station
from tests.filesystems import read_filesystem

DIO = 2
QIO = 0
SIZES = {2: 0x3, 4: 0x4}  # megabytes: the upper half of byte 3 of an ESP8266 image


@dataclass(frozen=True)
class Row:
    """`megabytes` is the flash chip, `header` what the image header must say; `hands` are the
    words of the table's instructions, None where the board resets by itself."""

    board: str
    megabytes: int
    header: int
    hands: tuple[str, ...] | None = None


TABLE = (
    Row("esp8266-bare", 4, 4, ("hold gpio0 to ground", "press and release reset")),
    Row("nodemcu", 4, 4),
    Row("lolin-nodemcu", 4, 4),
    Row("adafruit-huzzah-breakout", 4, 4, ("gpio0 button", "reset button")),
    Row("adafruit-feather-huzzah", 4, 4),
    Row("wemos-d1-mini", 4, 4),
    Row("wemos-d1-mini-pro", 16, 4),
    Row("olimex-esp8266-dev", 2, 2, ("hold the gpio0 button", "apply power", "release")),
    Row("olimex-esp8266-evb", 2, 2, ("hold the user button", "plug in the power", "release")),
)


STEPS = [
    "erase-flash",
    "write-firmware 1.24.1",
    "make-directory /lib",
    "write-file /lib/name.py",
    "write-file /main.py",
    "reset",
]


def follow(station: Station, row: Row) -> None:
    """Do with the board what its instructions say."""
    assert row.hands is not None
    if "power" in " ".join(row.hands):
        station.order(row.board, "press", buttons=["boot"], hold=True)
        station.order(row.board, "power", on=False)
        station.order(row.board, "power", on=True)
        station.order(row.board, "press", buttons=["boot"], release=True)
    else:
        station.press(row.board, "boot", "reset")


def test_each_board_of_the_table_from_blank(station: Station) -> None:
    image = bytearray((station.work / station.firmware(ESP8266)).read_bytes())
    image[2], image[3] = QIO, 0  # neither mode nor size are what any board must get
    station.write("firmware.bin", bytes(image))
    station.write("main.py", "print('ready')\n")
    station.write("lib/name.py", "NAME = 'table'\n")
    devices = ""
    for row in TABLE:
        wiring = "none" if row.hands else "auto"
        devices += f"  {row.board}:\n    board: {row.board}\n    port: "
        devices += f"sim://{row.board}?chip=esp8266&flash={row.megabytes}MB&wiring={wiring}\n"
    station.write(
        "fleet.yaml",
        "defaults: {firmware: {file: firmware.bin}, files: [main.py, lib/]}\n"
        f"devices:\n{devices}",
    )

    run = station.start("apply", "--json", "--yes", terminal=True)
    for row in TABLE:
        if row.hands is not None:
            asked = run.until_event("manual-action-needed", device=row.board)
            for words in row.hands:
                assert words in asked["instructions"].lower()
            follow(station, row)
    ended = run.end()
    assert ended.code == 0, ended.said

    for row in TABLE:
        assert ended.done(row.board) == ended.planned(row.board) == STEPS, row
        flash = station.flash(row.board)
        assert len(flash) == row.megabytes << 20
        assert flash[0] == 0xE9, f"{row.board}: no image at offset 0"
        assert flash[2] == DIO, f"{row.board}: flash mode {flash[2]}"
        assert flash[3] >> 4 == SIZES[row.header], f"{row.board}: flash size {flash[3]:#x}"
        assert flash[4 : len(image)] == image[4:], row
        start, end = 0x100000, (row.header << 20) - 20480
        assert read_filesystem(flash[start:end]) == {
            "/main.py": b"print('ready')\n",
            "/lib/name.py": b"NAME = 'table'\n",
        }, row

    again = station.apply()
    assert set(again.outcomes.values()) == {"ok"}
    assert not again.of("action-done")
