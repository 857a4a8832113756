"""`firmware show`, `image build` and `sim firmware`, as a user types them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.esp.firmware import read_firmware
from provision.core.chips.rp2.chips import RP2040
from provision.model.chip import Chip
from provision.sim.esp.firmware import build
from tests.cli.conftest import Cli
from tests.filesystems import read_filesystem
from tests.images import real_images
from tests.sim.bench import release


def provision(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "provision", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=environment,
    )


@pytest.mark.parametrize("chip", CHIPS)
def test_a_built_image_is_shown(chip: Chip, tmp_path: Path) -> None:
    words = ["--chip", chip.name, "--version", "1.26.0", "--date", "2025-08-09", "-o", "a.bin"]
    built = provision(tmp_path, "sim", "firmware", *words)
    assert built.returncode == 0, built.stderr
    assert "MicroPython v1.26.0 on 2025-08-09" in built.stdout
    shown = provision(tmp_path, "firmware", "show", "a.bin", "--json")
    data = json.loads(shown.stdout)
    assert (data["chip"], data["version"], data["date"]) == (chip.name, "1.26.0", "2025-08-09")
    assert data["header"] == {"mode": "dio", "size": "4MB", "freq": data["header"]["freq"]}
    assert data["filesystem"]["size"] > 1 << 20
    for_people = provision(tmp_path, "firmware", "show", "a.bin").stdout
    assert for_people.startswith(f"a.bin: MicroPython 1.26.0 for {data['machine']}")
    assert data["sha256"] in for_people


def test_a_real_image_is_shown(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(real_images()[1].read_bytes())
    result = provision(tmp_path, "firmware", "show", "real.bin", "--board", "esp32")
    assert result.returncode == 0, result.stderr
    assert "MicroPython 1.16-237-g1613dc8a1-dirty for ET-Board with ESP32" in result.stdout
    assert "LittleFS at 0x200000, 2 MB" in result.stdout
    assert "fits esp32" in result.stdout


@pytest.mark.parametrize("board", [(), ("--board", "esp8266")])
def test_a_release_whose_header_names_the_smallest_flash(
    board: tuple[str, ...], tmp_path: Path
) -> None:
    """As that of an ESP8266 does: `esptool` makes it fit when it is flashed."""
    image = bytearray(build(ESP8266, "1.24.1"))
    image[3] &= 0x0F
    (tmp_path / "fw.bin").write_bytes(image)
    result = provision(tmp_path, "firmware", "show", "fw.bin", *board)
    assert result.returncode == 0, result.stderr
    assert "size 512KB" in result.stdout
    assert "LittleFS at 0x100000, 2.98 MB on a flash of 4 MB" in result.stdout


def test_an_image_that_does_not_fit_the_board(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(build(ESP8266, "1.24.1"))
    result = provision(tmp_path, "firmware", "show", "a.bin", "--board", "esp8266-1m", "--json")
    assert result.returncode == 4
    kinds = [refusal["kind"] for refusal in json.loads(result.stdout)["board"]["refusals"]]
    assert kinds == ["image-too-large"]
    wrong = provision(tmp_path, "firmware", "show", "a.bin", "--board", "esp32")
    assert wrong.returncode == 4
    assert "does not fit esp32: a.bin is for the ESP8266" in wrong.stdout


def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    missing = provision(tmp_path, "firmware", "show", "gone.bin")
    assert (missing.returncode, "cannot be read: No such file" in missing.stderr) == (3, True)
    (tmp_path / "page.bin").write_text("<!doctype html><title>Not found</title>")
    page = provision(tmp_path, "firmware", "show", "page.bin")
    assert (page.returncode, "is a web page" in page.stderr) == (3, True)
    assert "hint: " in page.stderr
    board = provision(tmp_path, "firmware", "show", "page.bin", "--board", "wemos-d1-min")
    assert (board.returncode, "did you mean 'wemos-d1-mini'?" in board.stderr) == (2, True)


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        ("new/a.bin", "make the folder new first, or choose another --output"),
        ("page.bin/a.bin", "hint: choose another --output"),
    ],
)
def test_an_output_that_cannot_be_written_says_why(output: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "page.bin").write_text("a file")
    words = ["--chip", "esp32", "--version", "1.24.1", "-o", output]
    ended = provision(tmp_path, "sim", "firmware", *words)
    assert (ended.returncode, hint in ended.stderr) == (2, True), ended.stderr


def test_a_release_name_gives_its_banner(tmp_path: Path) -> None:
    words = ["sim", "firmware", "--chip", "esp8266", "--version", "1.24.1", "-o", "a.bin"]
    result = provision(tmp_path, *words, "--board", "ESP8266_GENERIC-FLASH_1M")
    assert "ESP module (1M) with ESP8266" in result.stdout
    result = provision(tmp_path, *words, "--board", "ESP32_GENERIC_C3")
    assert (result.returncode, "is not a release for the ESP8266" in result.stderr) == (2, True)
    result = provision(tmp_path, *words, "--board", "My board with ESP8266")
    assert "; My board with ESP8266" in result.stdout


MANIFEST = """
firmware:
  fw: {file: fw.bin}
devices:
  kitchen:
    port: /dev/ttyUSB0
    board: BOARD
    firmware: fw
    vars: {topic: kitchen, wifi: !secret wifi_password}
    files:
      - boot.py
      - {src: config.json.j2, dest: /conf/config.json, template: true}
  plain: {port: /dev/ttyUSB1, board: BOARD, firmware: fw, files: [boot.py]}
  bare: {port: /dev/ttyUSB2, board: BOARD}
"""


@pytest.mark.parametrize(
    ("chip", "board", "offset"),
    [(ESP8266, "wemos-d1-mini-pro", 0x100000), (ESP32, "esp32", 0x200000 - 0x1000)],
)
def test_an_image_of_firmware_and_files(
    chip: Chip, board: str, offset: int, tmp_path: Path
) -> None:
    (tmp_path / "fleet.yaml").write_text(MANIFEST.replace("BOARD", board))
    (tmp_path / "secrets.yaml").write_text("wifi_password: correct horse\n")
    (tmp_path / "config.json.j2").write_text('{"topic": "{{ topic }}", "key": "{{ wifi }}"}')
    (tmp_path / "boot.py").write_text("# boot\n")
    (tmp_path / "fw.bin").write_bytes(build(chip, "1.24.1"))
    result = provision(tmp_path, "image", "build", "kitchen", "-o", "kitchen.bin", "--json")
    assert result.returncode == 0, result.stderr
    assert "correct horse" not in result.stdout
    report = json.loads(result.stdout)
    assert report["filesystem"]["files"] == ["/boot.py", "/conf/config.json"]
    assert report["secrets"] is True
    path = tmp_path / "kitchen.bin"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    data = path.read_bytes()
    assert len(data) == report["size"]
    firmware = read_firmware(data, "kitchen.bin")
    assert firmware.identity.version == "1.24.1"
    assert firmware.boot.flash_size == "4MB"
    partition = data[offset:].ljust(report["filesystem"]["size"], b"\xff")
    assert read_filesystem(partition) == {
        "/boot.py": b"# boot\n",
        "/conf/config.json": b'{"topic": "kitchen", "key": "correct horse"}',
    }
    for_people = provision(tmp_path, "image", "build", "plain", "-o", "plain.bin").stdout
    assert f"esptool --chip {chip} write-flash 0x{firmware.base:x} plain.bin" in for_people
    assert "secrets" not in for_people
    missing = provision(tmp_path, "image", "build", "cellar", "-o", "x.bin")
    assert (missing.returncode, "no device 'cellar'" in missing.stderr) == (2, True)
    bare = provision(tmp_path, "image", "build", "bare", "-o", "x.bin")
    assert (bare.returncode, "bare has no firmware" in bare.stderr) == (2, True)
    assert not (tmp_path / "x.bin").exists()


@pytest.mark.parametrize("chip", [ESP8266, RP2040])
def test_an_image_of_another_chip_is_built_into_none(chip: Chip, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "devices: {a: {port: /dev/ttyUSB0, board: esp32, firmware: {file: fw.bin}}}\n"
    )
    (tmp_path / "fw.bin").write_bytes(release(chip, "1.24.1"))
    result = provision(tmp_path, "image", "build", "a", "-o", "a.bin")
    assert result.returncode == 4
    assert f"fw.bin is for the {chip.label}, the board esp32 has an ESP32" in result.stderr
    assert "choose a build of ESP32_GENERIC" in result.stderr
    assert not (tmp_path / "a.bin").exists()


def test_a_filesystem_that_cannot_be_built(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "devices: {a: {port: /dev/ttyUSB0, board: esp32, firmware: {file: fw.bin}}}\n"
    )
    (tmp_path / "fw.bin").write_bytes(build(ESP32, "1.11"))  # FAT, in those days
    result = provision(tmp_path, "image", "build", "a", "-o", "a.bin")
    assert result.returncode == 2
    assert "is none that can be built" in result.stderr
    assert "provision apply" in result.stderr


@pytest.mark.parametrize("version", ["foo", "", "1", "1.24.1; rm", "latest"])
def test_an_image_of_no_version_is_not_built(cli: Cli, tmp_path: Path, version: str) -> None:
    ended = cli("sim", "firmware", "--chip", "esp32", "--version", version, "-o", "a.bin")
    assert ended.code == 2
    assert f"{version!r} is not a MicroPython version" in ended.err
    assert not (tmp_path / "a.bin").exists()
