"""Rescue instead of erase: what a board holds is found in its flash where nothing answers, and is
kept, moved or asked for; nothing is erased unasked that the plan did not name.
"""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.core.chips.esp.partition_table import Partition
from provision.model.chip import Chip
from provision.sim.esp.firmware import build
from provision.sim.process.flash_faults import MAIN_PY
from tests.apply.station import Ended, Station
from tests.filesystems import read_filesystem

BOARDS = {ESP32: "esp32", ESP8266: "wemos-d1-mini", ESP32C3: "esp32-c3"}
CHIPS = pytest.mark.parametrize("chip", [ESP32, ESP8266])
DATA = {"/data.csv": "1,2\n", "/boot.py": "# mine\n"}
APP = "print('well-behaved')\n"
NVS_SET = "import esp32; n = esp32.NVS('a'); n.set_i32('k', 7); n.commit()"
NVS_GET = "import esp32; print(esp32.NVS('a').get_i32('k'))"


def manifest(station: Station, chip: Chip, firmware: str, more: str = "") -> None:
    station.write("main.py", APP)
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: {BOARDS[chip]}
            firmware: {{file: {firmware}{more}}}
            files: [main.py]
        """,
    )


def losses(ended: Ended) -> list[str]:
    (event,) = ended.of("device-planned", "x")
    return [loss for action in event["plan"]["actions"] for loss in action.get("losses", ())]


def kept(station: Station, chip: Chip) -> None:
    files = station.files("x", chip)
    assert files["/data.csv"] == b"1,2\n"
    assert files["/boot.py"] == b"# mine\n"
    assert files["/main.py"] == APP.encode()
    assert not [path for path in files if "~" in path]


@pytest.mark.parametrize(
    ("chip", "app"),
    [
        (ESP32, "deaf"),
        pytest.param(ESP32, "hog", marks=pytest.mark.slow),
        pytest.param(ESP8266, "deaf", marks=pytest.mark.slow),
        (ESP8266, "hog"),
    ],
)
def test_an_app_that_keeps_its_repl_is_replaced_and_nothing_else_is(
    station: Station, chip: Chip, app: str
) -> None:
    image = station.firmware(chip)
    station.board("x", chip, image)
    if chip == ESP32:
        station.type("x", NVS_SET)
    station.put("x", {**DATA, "/main.py": MAIN_PY[app]})
    station.press("x", "reset")
    manifest(station, chip, image)
    plans = [station.plan().planned("x") for _ in range(2)]
    assert plans == [["write-file /main.py", "reset"]] * 2
    assert station.apply().done("x") == plans[0]
    kept(station, chip)
    if chip == ESP32:
        assert station.type("x", NVS_GET) == "7"
    assert station.apply().outcomes == {"x": "ok"}


@pytest.mark.parametrize("chip", [ESP32, pytest.param(ESP8266, marks=pytest.mark.slow)])
def test_a_board_that_is_as_it_must_be_is_ok_though_its_app_keeps_the_repl(
    station: Station, chip: Chip
) -> None:
    image = station.firmware(chip)
    station.board("x", chip, image)
    station.put("x", {"/main.py": MAIN_PY["deaf"]})
    station.press("x", "reset")
    manifest(station, chip, image)
    station.write("main.py", MAIN_PY["deaf"].encode())
    before = station.flash("x")
    assert station.apply().outcomes == {"x": "ok"}
    assert station.flash("x") == before


@CHIPS
def test_firmware_that_does_not_boot_is_written_again_and_the_files_stay(
    station: Station, chip: Chip
) -> None:
    image = station.firmware(chip)
    station.board("x", chip, image)
    station.put("x", {**DATA, "/main.py": APP})
    station.fault("x", "broken-firmware")
    manifest(station, chip, image)
    ended = station.apply()
    assert ended.done("x") == ["write-firmware 1.24.1", "reset"]
    kept(station, chip)
    assert station.apply().outcomes == {"x": "ok"}


@CHIPS
def test_a_filesystem_that_cannot_be_read_is_erased_only_when_somebody_agrees(
    station: Station, chip: Chip
) -> None:
    image = station.firmware(chip)
    mac = station.board("x", chip, image)
    if chip == ESP32:
        station.type("x", NVS_SET)
    station.put("x", DATA)
    station.write("fleet.lock", f"version: 1\ndevices:\n  x: {{mac: '{mac}'}}\n")
    station.fault("x", "corrupt-filesystem")
    station.press("x", "reset")
    manifest(station, chip, image)
    before = station.flash("x")
    for _ in range(2):
        refused = station.apply(code=4)
        assert "a filesystem that cannot be read would be lost" in refused.finished("x")["error"]
        assert losses(refused) == ["a filesystem that cannot be read"]
        assert station.flash("x") == before
    agreed = station.apply("--yes")
    assert agreed.done("x")[0] == "erase-flash"
    if chip == ESP32:
        assert station.type("x", NVS_GET) == "7"
    assert station.apply().outcomes == {"x": "ok"}


def moved(start: int, end: int = 4 << 20) -> tuple[Partition, ...]:
    """A table like MicroPython's, with its filesystem elsewhere."""
    return (
        Partition(name="nvs", type=1, subtype=2, offset=0x9000, size=0x6000),
        Partition(name="phy_init", type=1, subtype=1, offset=0xF000, size=0x1000),
        Partition(name="factory", type=0, subtype=0, offset=0x10000, size=0x180000),
        Partition(name="vfs", type=1, subtype=0x81, offset=start, size=end - start),
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [(0x300000, 0x400000), (0x190000, 0x400000), (0x200000, 0x280000)],
    ids=["later", "earlier and larger", "shrunk"],
)
def test_files_are_carried_to_where_the_new_firmware_keeps_its_own(
    station: Station, start: int, end: int
) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    station.type("x", NVS_SET)
    station.put("x", {**DATA, "/main.py": "print('old')\n", "/empty": ""})
    station.type("x", "import os; os.mkdir('/dir'); os.mkdir('/none')")
    station.put("x", {"/dir/big": "0123456789" * 1000})
    new = build(ESP32, "1.25.0", partitions=moved(start, end))
    station.write("firmware/new.bin", new)
    manifest(station, ESP32, "firmware/new.bin")
    before = station.flash("x")
    planned = station.plan()
    assert planned.planned("x") == [
        "rewrite-filesystem",
        "write-firmware 1.25.0",
        "write-file /main.py",
        "reset",
    ]
    assert losses(planned) == []
    assert station.flash("x") == before
    assert station.apply().done("x") == planned.planned("x")
    files = read_filesystem(station.flash("x")[start:end])
    assert files == {
        "/data.csv": b"1,2\n",
        "/boot.py": b"# mine\n",
        "/main.py": APP.encode(),
        "/empty": b"",
        "/dir/big": b"0123456789" * 1000,
    }
    assert station.type("x", NVS_GET) == "7"
    assert station.type("x", "import os; print('none' in os.listdir('/'))") == "True"
    assert station.apply().outcomes == {"x": "ok"}


def test_the_files_of_an_esp8266_move_with_the_build(station: Station) -> None:
    """A build for 1 MB starts its filesystem before the code of the usual one ends, and takes the
    flash to be as small as its header says."""
    small = build(ESP8266, "1.24.1", machine="ESP module (1M) with ESP8266", flash_size=1 << 20)
    station.write("firmware/small.bin", small)
    station.board("x", ESP8266, "firmware/small.bin")
    station.put("x", {**DATA, "/main.py": APP})
    manifest(station, ESP8266, station.firmware(ESP8266))
    planned = station.plan()
    assert planned.planned("x") == ["rewrite-filesystem", "write-firmware 1.24.1", "reset"]
    assert station.apply().done("x") == planned.planned("x")
    kept(station, ESP8266)
    assert station.apply().outcomes == {"x": "ok"}


def test_files_without_room_where_the_new_firmware_keeps_its_own_are_asked_for(
    station: Station,
) -> None:
    mac = station.board("x", ESP32, station.firmware(ESP32))
    station.put("x", {"/data.csv": "1,2\n"})
    station.put("x", {"/log": "x"})
    station.type("x", "f = open('/log', 'w'); [f.write('x' * 1000) for _ in range(300)]; f.close()")
    station.write("fleet.lock", f"version: 1\ndevices:\n  x: {{mac: '{mac}'}}\n")
    station.write("firmware/new.bin", build(ESP32, "1.25.0", partitions=moved(0x3C0000)))
    manifest(station, ESP32, "firmware/new.bin")
    before = station.flash("x")
    refused = station.apply(code=4)
    assert {"/data.csv (4 B)", "/log (300.0 kB)"} <= set(losses(refused))
    assert "would be lost" in refused.finished("x")["error"]
    assert station.flash("x") == before
    station.apply("--yes")
    assert "/main.py" in read_filesystem(station.flash("x")[0x3C0000:0x400000])
    assert station.apply().outcomes == {"x": "ok"}


@pytest.mark.parametrize("after", ["erase", "flash"])
def test_an_update_that_was_cut_while_it_carried_the_files_over_goes_on(
    station: Station, after: str
) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    station.type("x", NVS_SET)
    station.put("x", {**DATA, "/main.py": APP})
    station.write("firmware/new.bin", build(ESP32, "1.25.0", partitions=moved(0x300000)))
    manifest(station, ESP32, "firmware/new.bin")
    cut = station.start("apply", "--json")
    cut.until_event("stage-started", stage=after)
    cut.kill()
    ended = station.apply()
    assert ended.planned("x")[:2] == ["rewrite-filesystem", "write-firmware 1.25.0"]
    files = read_filesystem(station.flash("x")[0x300000:])
    assert files == {"/data.csv": b"1,2\n", "/boot.py": b"# mine\n", "/main.py": APP.encode()}
    assert station.type("x", NVS_GET) == "7"
    assert station.apply().outcomes == {"x": "ok"}


def test_files_survive_a_firmware_that_reads_an_older_littlefs_and_the_way_back(
    station: Station,
) -> None:
    """1.26 writes LittleFS 2.1, of which a 1.18 would silently see an older directory."""
    new, old = station.firmware(ESP32, "1.26.1"), station.firmware(ESP32, "1.18")
    station.board("x", ESP32, new)
    station.type("x", NVS_SET)
    station.put("x", {**DATA, "/main.py": APP})
    station.type("x", "import os; os.mkdir('/d')")
    station.put("x", {"/d/late.txt": "written last"})
    manifest(station, ESP32, old)
    planned = station.plan()
    assert planned.planned("x") == ["rewrite-filesystem", "write-firmware 1.18", "reset"]
    (event,) = planned.of("device-planned", "x")
    assert "LittleFS 2.1" in event["plan"]["actions"][0]["reason"]
    assert station.apply().done("x") == planned.planned("x")
    kept(station, ESP32)
    assert station.type("x", "print(open('/d/late.txt').read())") == "written last"
    assert station.apply().outcomes == {"x": "ok"}
    station.put("x", {"/under-1.18.txt": "old"})
    manifest(station, ESP32, new)
    ended = station.apply()
    assert ended.done("x") == ["write-firmware 1.26.1", "reset"]
    kept(station, ESP32)
    assert station.files("x", ESP32)["/under-1.18.txt"] == b"old"
    assert station.files("x", ESP32)["/d/late.txt"] == b"written last"
    assert station.type("x", NVS_GET) == "7"
    assert station.apply().outcomes == {"x": "ok"}


def test_a_downgrade_by_another_tool_is_seen_before_anything_is_written(station: Station) -> None:
    """The older driver shows an older directory, without a word, and would write over the newer."""
    new, old = station.firmware(ESP32, "1.26.1"), station.firmware(ESP32, "1.18")
    station.board("x", ESP32, old)
    station.put("x", {"/data.csv": "1,2\n"})
    manifest(station, ESP32, new)
    station.apply("--yes")
    station.put("x", {"/late.txt": "written last"})
    station.order("x", "power", on=False)
    with station.flash_file("x").open("r+b") as flash:
        flash.seek(0x1000)
        flash.write((station.work / old).read_bytes())
    station.order("x", "power", on=True)
    manifest(station, ESP32, old)
    station.write("main.py", "print('another')\n")
    before = station.flash("x")[0x200000:]
    refused = station.apply("--yes", code=4).finished("x")
    assert "LittleFS 2.1; MicroPython 1.18" in refused["error"]
    assert station.flash("x")[0x200000:] == before
    manifest(station, ESP32, new)
    station.write("main.py", "print('another')\n")
    station.apply()
    files = station.files("x", ESP32)
    assert files["/late.txt"] == b"written last"
    assert files["/data.csv"] == b"1,2\n"
    assert files["/main.py"] == b"print('another')\n"


def test_what_the_sdk_of_an_esp8266_keeps_stays_where_the_filesystem_is_written_anew(
    station: Station,
) -> None:
    """Wi-Fi settings and calibration lie behind the filesystem, in no partition of a table."""
    station.write("firmware/new.bin", build(ESP8266, "1.26.1"))
    station.board("x", ESP8266, "firmware/new.bin")
    station.type("x", f"import esp; esp.flash_write({(4 << 20) - 20480}, bytes(range(256)) * 16)")
    station.put("x", {**DATA, "/main.py": APP})
    station.write("firmware/old.bin", build(ESP8266, "1.21.0"))
    manifest(station, ESP8266, "firmware/old.bin")
    assert station.apply().done("x")[0] == "rewrite-filesystem"
    assert station.flash("x")[(4 << 20) - 20480 :] == bytes(range(256)) * 16 + b"\xff" * 16384
    kept(station, ESP8266)


@pytest.mark.parametrize("erase", ["auto", "always"])
def test_nvs_is_not_forgotten_with_the_partition_table(station: Station, erase: str) -> None:
    """Another tool's flashing was cut before the table: what it told of is there all the same."""
    image = station.firmware(ESP32)
    station.board("x", ESP32, image)
    station.type("x", NVS_SET)
    station.put("x", DATA)
    station.type(
        "x",
        "import esp; [esp.flash_erase(sector) for sector in (1, 8, 512, 513)]; "
        "esp.flash_write(0x200000, b'Z' * 8192)",
    )
    station.press("x", "reset")
    manifest(station, ESP32, image, f", erase: {erase}")
    ended = station.apply("--yes")
    assert ended.done("x")[0] == "erase-flash"
    assert ("NVS" in losses(ended)) is (erase == "always")
    if erase == "auto":
        assert station.type("x", NVS_GET) == "7"


@pytest.mark.parametrize("erase", ["auto", "always"])
def test_what_an_app_keeps_outside_of_any_partition(station: Station, erase: str) -> None:
    """By its address, from the first free sector on, as a data logger does."""
    for name, version in (("old", "1.20.0"), ("new", "1.24.1")):
        image = build(ESP32, version, partitions=moved(0x200000, 0x300000))
        station.write(f"firmware/{name}.bin", image)
    station.board("x", ESP32, "firmware/old.bin")
    station.type("x", "import esp; esp.flash_write(0x300000, b'mine')")
    station.put("x", DATA)
    if erase == "auto":  # of a filesystem that cannot be read
        station.type("x", "import esp; esp.flash_write(0x200000, b'Z' * 8192)")
        station.press("x", "reset")
    manifest(station, ESP32, "firmware/new.bin", f", erase: {erase}")
    ended = station.apply("--yes")
    assert ended.done("x")[0] == "erase-flash"
    lost = "data at 0x300000, outside of any partition" in losses(ended)
    assert lost is (erase == "always")
    there = station.type("x", "import esp; b = bytearray(4); esp.flash_read(0x300000, b); print(b)")
    assert ("mine" in there) is not lost


def test_a_blank_board_with_an_app_that_sleeps_at_once_is_proved_in_one_run(
    station: Station,
) -> None:
    """As sensors on a battery do: a few lines with nothing in them that a Ctrl-C would reach."""
    image = station.firmware(ESP32)
    manifest(station, ESP32, image)
    station.write("main.py", "import machine\nmachine.deepsleep(3000)\n")
    station.board("x", ESP32)
    run = station.apply("--yes", "-v")
    assert run.outcomes == {"x": "changed"}
    assert station.files("x")["/main.py"] == (station.work / "main.py").read_bytes()
    assert station.apply().outcomes == {"x": "ok"}
