"""Unmodified mpremote on virtual boards, its commands as a user types them.

One chip of each port over `sim://`, and the commands that move files over a PTY and RFC 2217 as
well; `-m slow` has every command over every carrier, and the rest of the chips.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.core.chips.rp2.chips import RP2040
from provision.model.chip import Chip
from provision.sim import client
from provision.sim.families import MODELS
from tests.bench_of_boards import Bench, bench
from tests.sim.bench import release

__all__ = ["bench"]

PORTS = pytest.mark.parametrize("chip", [ESP8266, ESP32C3, RP2040])
ONE_PORT = pytest.mark.parametrize(
    "chip", [ESP8266, RP2040, pytest.param(ESP32C3, marks=pytest.mark.slow)]
)
PLATFORMS = {ESP8266: "esp8266", ESP32C3: "esp32", RP2040: "rp2"}
BLOCKS = {ESP8266: 763, ESP32C3: 512, RP2040: 352}  # of the filesystem
EACH_CHIP = pytest.mark.parametrize(
    "chip",
    [
        pytest.param(chip, marks=[] if chip is ESP32 else [pytest.mark.slow])
        for chip in MODELS
        if chip not in (ESP8266, ESP32C3, RP2040)
    ],
)
PATIENCE = 20.0
# Of an RP2040 the carriers are told apart by what they do when its port goes (tests/sim/rp2).
BOTH_OVER_ALL = pytest.mark.parametrize(
    ("chip", "carrier"),
    [
        *((ESP32, carrier) for carrier in ("sim", "pty", "rfc2217")),
        (RP2040, "sim"),
        *(pytest.param(RP2040, name, marks=pytest.mark.slow) for name in ("pty", "rfc2217")),
    ],
)
EVERY_CARRIER = pytest.mark.parametrize(
    "carrier",
    ["sim", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pty", "rfc2217"))],
)


class Mpremote:
    """mpremote connected to one virtual board that runs MicroPython."""

    def __init__(
        self, bench: Bench, chip: Chip, carrier: str = "sim", version: str = "1.24.1"
    ) -> None:
        image = bench.work / "firmware.bin"
        image.write_bytes(release(chip, version))
        client.ensure("a", {"chip": str(chip), "firmware": str(image)})
        self.bench = bench
        self.port = {
            "sim": lambda: "sim://a",
            "pty": lambda: str(client.request("a", "pty")["pty"]),
            "rfc2217": lambda: str(client.request("a", "rfc2217")["rfc2217"]),
        }[carrier]()

    def run(self, *words: str) -> str:
        return self.call(*words).stdout.replace("\r\n", "\n")

    def call(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.bench.tool("mpremote", "connect", self.port, *words, check=check)

    def until(self, key: str, value: object) -> None:
        """mpremote leaves a command that ends the connection a tenth of a second ahead of it."""
        end = time.monotonic() + PATIENCE
        while self.status[key] != value:
            assert time.monotonic() < end, self.status
            time.sleep(0.02)  # the board's own process tells its state only when it is asked

    @property
    def status(self) -> dict[str, Any]:
        return client.request("a", "status")


def tree(directory: Path) -> dict[str, bytes]:
    """A small app: text, binary, nested and empty files."""
    draw = random.Random(7)
    files = {
        "main.py": b"print('hello from main')\n",
        "empty.txt": b"",
        "lib/inner/deep.bin": draw.randbytes(5000),
        "lib/every.bin": bytes(range(256)) * 3,
    }
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return files


@EVERY_CARRIER
@PORTS
def test_exec_eval_and_run(bench: Bench, chip: Chip, carrier: str) -> None:
    mpremote = Mpremote(bench, chip, carrier)
    assert mpremote.run("exec", "print(6 * 7)") == "42\n"
    assert mpremote.run("eval", "'a' + 'b'") == "ab\n"
    (bench.work / "script.py").write_text("import sys\nprint(sys.platform)\n")
    assert mpremote.run("run", "script.py") == f"{PLATFORMS[chip]}\n"
    failed = mpremote.call("exec", "1/0", check=False)
    assert failed.returncode == 1
    assert "ZeroDivisionError: divide by zero" in failed.stdout + failed.stderr


@EACH_CHIP
def test_every_chip_answers(bench: Bench, chip: Chip) -> None:
    mpremote = Mpremote(bench, chip)
    assert chip.label.replace("-", "") in mpremote.run("exec", "import os; print(os.uname())")


@BOTH_OVER_ALL
def test_files_both_ways(bench: Bench, chip: Chip, carrier: str) -> None:
    mpremote = Mpremote(bench, chip, carrier)
    files = tree(bench.work / "app")
    mpremote.run("cp", "-r", "app", ":")
    listed = mpremote.run("ls", ":app")
    assert " main.py" in listed
    assert "lib/" in listed
    drawn = mpremote.run("tree")
    assert all(name.split("/")[-1] in drawn for name in files)
    mpremote.run("cp", "-r", ":app", "back")
    for name, data in files.items():
        assert (bench.work / "back" / name).read_bytes() == data, name
    digest = mpremote.run("sha256sum", ":app/lib/inner/deep.bin")
    assert hashlib.sha256(files["lib/inner/deep.bin"]).hexdigest() in digest
    mpremote.run("rm", "-r", ":app")
    assert "app" not in mpremote.run("ls")


@EVERY_CARRIER
@ONE_PORT
def test_directories_and_room(bench: Bench, chip: Chip, carrier: str) -> None:
    mpremote = Mpremote(bench, chip, carrier)
    mpremote.run("mkdir", ":etc")
    (bench.work / "one.txt").write_text("1\n")
    mpremote.run("cp", "one.txt", ":etc/one.txt")
    assert mpremote.run("cat", ":etc/one.txt") == "1\n"
    refused = mpremote.call("rmdir", ":etc", check=False)
    assert refused.returncode == 1
    mpremote.run("rm", ":etc/one.txt", "+", "rmdir", ":etc")
    assert "etc" not in mpremote.run("ls")
    assert f" {BLOCKS[chip] * 4096} " in mpremote.run("df")


@EVERY_CARRIER
@pytest.mark.parametrize("chip", [ESP32, RP2040])
def test_mount(bench: Bench, chip: Chip, carrier: str) -> None:
    mpremote = Mpremote(bench, chip, carrier)
    data = tree(bench.work / "app")["lib/inner/deep.bin"]
    (bench.work / "app" / "module.py").write_text("answer = 42\n")
    said = mpremote.run(
        *("mount", "app", "exec"),
        "import module, hashlib; print(module.answer)\n"
        "d = open('/remote/lib/inner/deep.bin', 'rb').read()\n"
        "from binascii import hexlify\nprint(hexlify(hashlib.sha256(d).digest()).decode())\n"
        "f = open('/remote/made.bin', 'wb'); f.write(bytes(range(256))); f.close()",
    )
    assert f"42\n{hashlib.sha256(data).hexdigest()}\n" in said
    assert (bench.work / "app" / "made.bin").read_bytes() == bytes(range(256))


@EVERY_CARRIER
@ONE_PORT
def test_soft_reset_and_reset(bench: Bench, chip: Chip, carrier: str) -> None:
    mpremote = Mpremote(bench, chip, carrier)
    assert mpremote.run("exec", "x = 1", "+", "resume", "exec", "print(x)") == "1\n"
    forgot = mpremote.call("exec", "x = 1", "soft-reset", "exec", "print(x)", check=False)
    assert "NameError" in forgot.stdout + forgot.stderr
    boots = mpremote.status["boots"]
    mpremote.run("reset")
    mpremote.until("boots", boots + 1)
    mpremote.until("present", True)  # a chip's own USB is back once its program is
    assert mpremote.run("exec", "print(7)") == "7\n"


@EVERY_CARRIER
@pytest.mark.parametrize("chip", [ESP32C3, RP2040])
def test_bootloader(bench: Bench, chip: Chip, carrier: str) -> None:
    mpremote = Mpremote(bench, chip, carrier)
    assert mpremote.status["mode"] == "run"
    mpremote.run("bootloader")
    mpremote.until("mode", "download")


def test_a_reset_over_rfc2217_comes_back(bench: Bench) -> None:
    mpremote = Mpremote(bench, ESP32, "rfc2217")
    boots = mpremote.status["boots"]
    mpremote.run("reset")
    mpremote.until("boots", boots + 1)
    assert mpremote.run("exec", "print(8)") == "8\n"


@pytest.mark.parametrize(("chip", "start"), [(ESP8266, 0x100000), (RP2040, 0xA0000)])
def test_what_mpremote_writes_is_in_the_flash(bench: Bench, chip: Chip, start: int) -> None:
    mpremote = Mpremote(bench, chip)
    marker = random.Random(3).randbytes(64)
    (bench.work / "marker.bin").write_bytes(marker)
    before = bench.flash("a")
    assert marker not in before
    mpremote.run("cp", "marker.bin", ":marker.bin")
    after = bench.flash("a")
    assert marker in after[start:]
    assert after[:start] == before[:start]
