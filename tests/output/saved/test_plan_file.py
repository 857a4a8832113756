"""Saved plans on disk: whole ones, damaged ones, and ones that somebody has made up."""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.chips.esp.chips import ESP32
from provision.errors import SavedPlanError, UsageError
from provision.model.plan import DeleteFile, Plan, Reset, WriteFile, WriteFirmware
from provision.model.state import ActualState, FirmwareIdentity
from provision.output.saved.plan_file import (
    SavedPlan,
    is_saved_plan,
    read_plan,
    saved_device,
    write_plan,
)

MAC = "24:6f:28:00:00:01"
BOARD = ActualState(mac=MAC)
MAIN = WriteFile(path="/main.py", size=12, sensitive=False, reason="its content differs")
OLD = DeleteFile(path="/old.py", reason="it is absent in the manifest")
IMAGE = WriteFirmware(
    identity=FirmwareIdentity(version="1.24.1", machine="Generic ESP32", chip=ESP32), reason="r"
)
RESET = Reset(reason="run what is there now")
PLAN = Plan(device="kitchen", actions=(IMAGE, OLD, MAIN, RESET))


def made(path: Path, *plans: Plan) -> SavedPlan:
    devices = {each.device: saved_device(each, BOARD) for each in plans or (PLAN,)}
    return SavedPlan(
        path=path, tool="0.1.0", made="2026-11-29T20:00:00+00:00", fleet="school",
        manifest="fleet.yaml", fresh=False, accept_new=(), loaded=(*devices, "shed"),
        left_out={"shed": "unreachable"}, inputs={"fleet.yaml": "0f" * 32}, secrets=None,
        key="0" * 12, devices=devices,
    )  # fmt: skip


def written(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.plan"
    write_plan(made(path))
    return path


def test_a_plan_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = written(tmp_path)
    again = read_plan(path)
    assert replace(again, tool="0.1.0") == made(path)
    assert is_saved_plan(path)
    assert again.manifest_path == tmp_path / "fleet.yaml"
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("actions", "actual", "why"),
    [
        ((IMAGE, OLD, MAIN, RESET), BOARD, None),
        ((IMAGE, OLD, MAIN, RESET), ActualState(), None),
        ((), BOARD, None),
        ((), ActualState(mac="other"), None),
        ((IMAGE, OLD, MAIN, RESET), ActualState(mac="other"), "was 24:6f:28:00:00:01, and the one"),
        ((OLD, MAIN, RESET), BOARD, "no longer to write MicroPython 1.24.1 for Generic ESP32"),
        ((IMAGE, OLD, MAIN, replace(OLD, path="/x"), RESET), BOARD, "now it takes to delete /x"),
        ((IMAGE, OLD, replace(MAIN, size=13), RESET), BOARD,
         "now it takes to write /main.py (13 B); no longer to write /main.py (12 B)"),
        ((IMAGE, OLD, replace(MAIN, reason="other"), RESET), BOARD, "for other reasons"),
        ((OLD, IMAGE, MAIN, RESET), BOARD, "for other reasons"),
    ],
)  # fmt: skip
def test_what_there_is_to_do_now_is_compared(
    tmp_path: Path, actions: Any, actual: ActualState, why: str | None
) -> None:
    saved = read_plan(written(tmp_path)).devices["kitchen"]
    told = saved.differs(Plan(device="kitchen", actions=actions), actual)
    assert told is None if why is None else why in str(told)


def test_what_is_no_file_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("# provision plan 1\n")
    for name in ("fleet.yaml", "missing", "a\0b", "."):
        assert not is_saved_plan(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read"):
        read_plan(tmp_path / "missing")


def wrong(path: Path) -> str:
    with pytest.raises(SavedPlanError) as raised:
        read_plan(path)
    assert raised.value.exit_code == 3
    return str(raised.value.problem).replace(str(path), "P")


def closed(lines: list[str]) -> str:
    """With the digest that belongs to it: whoever makes a plan up can do that too."""
    text = "".join(f"{line}\n" for line in lines)
    return text + json.dumps({"end": hashlib.sha256(text.encode()).hexdigest()}) + "\n"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "provision plan 1",
            "provision plan 2",
            "P:1:1: a plan of version 2; this provision reads",
        ),
        ("provision plan 1", "devices: {}", "P:1:1: expected `provision plan 1`: this is no saved"),
        ('"kitchen"', '"kitchen', "P:3:"),
        ('"kitchen"', '"shed"', "P:4:1: what is above is not what was written here"),
        ('{"end"', '\x00{"end"', "P:4:1: Expecting value"),
    ],
)
def test_where_a_damaged_plan_is_damaged(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = written(tmp_path)
    lines = path.read_text().split("\n")
    place = next(number for number, line in enumerate(lines) if old in line and number != 1)
    lines[place] = lines[place].replace(old, new, 1)
    path.write_text("\n".join(lines))
    assert wrong(path).startswith(told)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ({"tool": 3}, "P:2:1: tool: expected some text"),
        ({"manifest": "a\0b"}, "P:2:1: manifest: expected some text"),
        ({"loaded": "kitchen"}, "P:2:1: loaded: expected a list of devices"),
        ({"loaded": ["*"]}, "P:2:1: loaded: '*' is no device's name"),
        ({"loaded": ["!kitchen"]}, "is no device's name"),
        ({"loaded": ["a,b"]}, "is no device's name"),
        ({"accept_new": [["a"]]}, "is no device's name"),
        ({"inputs": {"fleet.yaml": 3}}, "P:2:1: inputs: expected an object of texts"),
        ({"left_out": None}, "P:2:1: left_out: expected an object of texts"),
        ({"key": None}, "P:2:1: key: expected some text"),
    ],
)
def test_a_plan_that_is_made_up_is_looked_at_before_it_is_used(
    tmp_path: Path, head: dict[str, object], told: str
) -> None:
    path = written(tmp_path)
    lines = path.read_text().splitlines()[:-1]
    lines[1] = json.dumps({**json.loads(lines[1]), **head})
    path.write_text(closed(lines))
    assert told in wrong(path)


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("[]", "P:3:1: expected an object in braces"),
        ("{}", "P:3:1: device: 'None' is no device's name"),
        ('{"device": "kitchen", "actions": {}}', "P:3:1: actions: expected a list of objects"),
        ('{"device": "kitchen", "actions": [1]}', "P:3:1: actions: expected a list of objects"),
        ('{"device": "kitchen", "mac": 1, "actions": []}', "P:3:1: mac: expected some text"),
        ("[" * 100_000, "P:3:"),
        ("1" * 5000, "P:3:1: "),
    ],
)
def test_so_are_its_devices(tmp_path: Path, device: str, told: str) -> None:
    path = written(tmp_path)
    lines = path.read_text().splitlines()[:-1]
    path.write_text(closed([*lines[:2], device]))
    assert wrong(path).startswith(told)


@given(cut=st.integers(0, 2000), noise=st.binary(max_size=8))
def test_no_damage_is_taken_for_a_plan(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("plan"))
    data = path.read_bytes()
    damaged = data[:cut] + noise + data[cut + len(noise) :]
    if damaged == data:
        return
    path.write_bytes(damaged)
    assert wrong(path).startswith("P:")


def test_one_that_is_cut_short_says_so(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert "the file was cut short: its end is missing" in wrong(path)
    path.write_bytes(b"provision plan 1\n\xff\n")
    assert wrong(path) == "P:2:1: this is no text"
