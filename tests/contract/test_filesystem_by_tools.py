"""The filesystem through real tools: what esptool writes MicroPython mounts, what MicroPython
writes esptool reads back; and what `provision sim fault` does to firmware and filesystem."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.device.flashing.littlefs import build_filesystem
from provision.model.chip import Chip
from provision.model.firmware import FilesystemPlace
from provision.sim import client
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench
from tests.filesystems import read_filesystem

__all__ = ["bench"]

PATIENCE = 120.0  # seconds after which a test gives up: far beyond what it takes
LAYOUTS = pytest.mark.parametrize(
    ("chip", "flash", "offset", "blocks"),
    [
        (ESP8266, "1MB", 0x99000, 98),
        (ESP32, "2MB", 0x180000, 128),
        pytest.param(ESP8266, "4MB", 0x100000, 763, marks=pytest.mark.slow),
        pytest.param(ESP32, "4MB", 0x200000, 512, marks=pytest.mark.slow),
    ],
)


@LAYOUTS
def test_littlefs_goes_both_ways(
    bench: Bench, chip: Chip, flash: str, offset: int, blocks: int
) -> None:
    firmware = bench.work / "firmware.bin"
    size = int(flash[:-2]) << 20
    firmware.write_bytes(build(chip, "1.24.1", flash_size=size))
    client.ensure("a", {"chip": str(chip), "flash": flash, "firmware": str(firmware)})
    data = random.Random(1).randbytes(9000)
    image = build_filesystem(
        FilesystemPlace(offset=offset, blocks=blocks),
        {"/lib/data.bin": data, "/boot.py": b"x = 1\n"},
    )
    regions = []
    for number, region in enumerate(image.regions()):
        (bench.work / f"part{number}").write_bytes(region.data)
        regions += [hex(region.offset), f"part{number}"]
    bench.tool("esptool", "--port", "sim://a", "write-flash", *regions)
    code = (
        "import os; print(x, os.listdir('/'), open('/lib/data.bin', 'rb').read()[-3:])\n"
        "f = open('/written.bin', 'wb'); f.write(bytes(range(256)) * 40); f.close()"
    )
    said = until_it_answers(bench, code)
    assert said == f"1 ['boot.py', 'lib'] {data[-3:]!r}\n"
    bench.tool(
        *("esptool", "--port", "sim://a", "read-flash"), hex(offset), str(blocks * 4096), "back"
    )
    files = read_filesystem((bench.work / "back").read_bytes())
    assert files == {
        "/lib/data.bin": data,
        "/boot.py": b"x = 1\n",
        "/written.bin": bytes(range(256)) * 40,
    }


def test_a_downgrade_by_esptool_shows_an_older_directory_and_loses_what_follows(
    bench: Bench,
) -> None:
    """LittleFS' disk versions, as a real ESP32 with its files kept: 1.18 does not accept what
    1.26 wrote, and 1.26 does not find what 1.18 wrote then. Nothing is said of either."""
    for version in ("1.18.0", "1.26.1"):
        image = build(ESP32, version, flash_size=4 << 20)
        (bench.work / f"{version}.bin").write_bytes(image)
    client.ensure(
        "a", {"chip": "esp32", "flash": "4MB", "firmware": str(bench.work / "1.18.0.bin")}
    )
    code = "f = open('/{name}', 'w'); f.write('{name}'); f.close()\n"
    code += "import os; print(os.uname().version.split()[0], sorted(os.listdir('/')))"
    for version, name, expected in (
        ("1.18.0", "a", ["a", "boot.py"]),
        ("1.26.1", "b", ["a", "b", "boot.py"]),
        ("1.18.0", "c", ["a", "boot.py", "c"]),
        ("1.26.1", "d", ["a", "b", "boot.py", "d"]),
    ):
        if name != "a":
            bench.tool("esptool", "--port", "sim://a", "write-flash", "0x1000", f"{version}.bin")
        said = until_it_answers(bench, code.format(name=name))
        assert said == f"v{version} {expected}\n"
    image = bench.flash("a")[0x200000:]
    assert sorted(read_filesystem(image)) == ["/a", "/b", "/boot.py", "/d"]


def until_it_answers(bench: Bench, code: str) -> str:
    """esptool ends while the chip boots; what it is sent meanwhile is lost, as on a real one. And
    mpremote gives up after ten seconds, in which a busy computer may not have started a board."""
    end = time.monotonic() + PATIENCE
    while True:
        words = ("mpremote", "connect", "sim://a", "resume", "exec", code)
        done = bench.tool(*words, check=False)
        if done.returncode == 0:
            return done.stdout.replace("\r\n", "\n")
        board = client.request("a", "status")
        assert time.monotonic() < end, f"{done.stdout}{done.stderr}{board}"


def micropython(bench: Bench) -> None:
    image = bench.work / "firmware.bin"
    image.write_bytes(build(ESP32, "1.24.1"))
    client.ensure("a", {"chip": "esp32", "firmware": str(image)})
    assert until_it_answers(bench, "print(1)") == "1\n"


def test_a_main_that_hogs_is_stopped_by_mpremote(bench: Bench) -> None:
    micropython(bench)
    bench.provision("sim", "fault", "a", "main-hog")
    assert "while True" in bench.tool("mpremote", "connect", "sim://a", "cat", ":main.py").stdout


@pytest.mark.parametrize(
    "fault",
    [
        "main-deepsleep",
        pytest.param("main-deaf", marks=pytest.mark.slow),
        pytest.param("foreign-firmware", marks=pytest.mark.slow),
    ],
)
def test_some_boards_answer_no_repl(bench: Bench, fault: str) -> None:
    micropython(bench)
    bench.provision("sim", "fault", "a", fault)
    done = bench.tool("mpremote", "connect", "sim://a", "exec", "print(1)", check=False)
    assert done.returncode
    assert "could not enter raw repl" in done.stdout + done.stderr
    # But the bootloader is always there.
    assert "MAC" in bench.tool("esptool", "--port", "sim://a", "read-mac").stdout


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        ("corrupt-filesystem", lambda flash: flash[0x200000:0x202000] == b"\x5a" * 0x2000),
        ("full-filesystem", lambda flash: flash[0x200000:].count(b"\xa5" * 4000) > 400),
    ],
)
def test_faults_in_the_flash(bench: Bench, fault: str, holds: Callable[[bytes], bool]) -> None:
    micropython(bench)
    boots = client.request("a", "status")["boots"]
    bench.provision("sim", "fault", "a", fault)
    assert holds(bench.flash("a"))
    assert client.request("a", "status")["boots"] == boots + 1


def test_the_power_fails_while_micropython_writes(bench: Bench) -> None:
    micropython(bench)
    bench.provision("sim", "fault", "a", "cut-erase", "after=3", "again=0")
    boots = client.request("a", "status")["boots"]
    code = "f = open('big.bin', 'wb'); f.write(bytes(200000)); f.close()"
    bench.tool("mpremote", "connect", "sim://a", "resume", "exec", "--no-follow", code)
    end = time.monotonic() + PATIENCE
    while client.request("a", "status")["boots"] == boots:
        assert time.monotonic() < end
        time.sleep(0.02)  # the board's own process tells of a new boot only when it is asked
    # LittleFS is made for this: mounted as if nothing had been, the new file short or not there.
    code = "import os; print(os.stat('boot.py')[6], max(f[3] for f in os.ilistdir()))"
    assert until_it_answers(bench, code) == "139 139\n"
