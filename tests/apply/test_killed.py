"""SIGKILL at random moments of an apply that erases, flashes and uploads; then apply again.

After each kill the power is cut and the flash's bytes are read with littlefs-python, not with
our own code: no managed path may hold anything but its old or its new content. Then the power
comes back, and one more apply must converge without help.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import littlefs
import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.registry import family_of
from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip
from provision.model.firmware import LITTLEFS_BLOCK
from provision.sim import client
from tests.filesystems import read_filesystem
from tests.sim.bench import release

KILLS = {"quick": 2, "full": 60}

MANIFEST = """
firmware: {{wanted: {{file: {version}.bin, erase: {erase}}}}}
devices:
  node:
    board: {board}
    port: "sim://{name}?chip={chip}&timing=on&scale=8"
    firmware: wanted
    files: [{{src: {app}/, dest: /}}]
"""
BOARDS = {
    **{chip: chip.name for chip in CHIPS},
    ESP8266: "wemos-d1-mini",
    RP2040: "pico",
    RP2350: "pico2",
}
OTHERS = [*(chip for chip in CHIPS if chip not in (ESP8266, ESP32)), RP2350]


@dataclass
class Bench:
    """One virtual board and a project that has been at version 1 and is to become version 2."""

    chip: Chip
    name: str
    home: Path
    environment: dict[str, str]
    snapshot: bytes = b""

    @property
    def flash(self) -> Path:
        return Path(client.request(self.name, "status")["directory"]) / "flash.bin"

    def manifest(self, app: str, version: str, erase: str) -> None:
        (self.home / "fleet.yaml").write_text(
            MANIFEST.format(
                app=app, version=version, erase=erase,
                chip=self.chip, board=BOARDS[self.chip], name=self.name,
            )
        )  # fmt: skip

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "provision", "apply", "--yes", str(self.home / "fleet.yaml")],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def apply(self) -> str:
        process = self.start()
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    def wanted(self, app: str) -> dict[str, bytes]:
        root = self.home / app
        return {
            "/" + path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    def on_flash(self) -> dict[str, bytes] | None:
        """The files that the flash holds, read by littlefs itself; None where there is no
        filesystem to be found."""
        data = self.flash.read_bytes()
        geometry = family_of(self.chip).filesystem_in_flash(
            self.chip, lambda at, size: data[at : at + size], len(data), None
        )
        if geometry is None:
            return None
        end = geometry.offset + geometry.blocks * LITTLEFS_BLOCK
        try:
            return read_filesystem(data[geometry.offset : end])
        except littlefs.LittleFSError:
            return None

    def restore(self) -> None:
        """Back to the flash of version 1, as it was."""
        client.request(self.name, "power", on=False)
        with self.flash.open("r+b") as flash:
            flash.write(self.snapshot)
        client.request(self.name, "power", on=True)


@pytest.fixture
def bench(chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("PROVISION_SIM_HOME", str(tmp_path / "sim"))
    name = f"killed-{chip}"
    dice = random.Random(1)
    for version, app in (("1.20.0", "old"), ("1.24.1", "new")):
        (tmp_path / f"{version}.bin").write_bytes(release(chip, version))
        for path, size in (("boot.py", 40), ("lib/a.py", 3000), ("lib/b/c.bin", 9000),
                           (f"lib/only_{app}.py", 500), ("main.py", 400)):  # fmt: skip
            place = tmp_path / app / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(f"# {app} {path}\n".encode() + (
                dice.randbytes(size) if path.endswith(".bin") else b"x = 1\n" * (size // 6)
            ))  # fmt: skip
    bench = Bench(
        chip=chip, name=name, home=tmp_path,
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        bench.manifest("old", "1.20.0", "auto")
        bench.apply()
        assert bench.on_flash() == bench.wanted("old")
        client.request(name, "power", on=False)
        bench.snapshot = bench.flash.read_bytes()
        client.request(name, "power", on=True)
        yield bench
    finally:
        client.stop(name)
        shutil.rmtree(tmp_path / "sim", ignore_errors=True)


@pytest.mark.parametrize(
    "rounds", [pytest.param("quick"), pytest.param("full", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    "chip",
    [ESP8266, ESP32, RP2040, *(pytest.param(chip, marks=pytest.mark.slow) for chip in OTHERS)],
)
def test_whenever_it_is_killed_the_next_apply_converges(bench: Bench, rounds: str) -> None:
    old, new = bench.wanted("old"), bench.wanted("new")
    dice = random.Random(f"{bench.chip} {rounds}")
    # The whole filesystem goes with the flash, or files go over the REPL.
    lengths = {"always": 2.5, "auto": 2.5}
    for erase in lengths if rounds == "full" else ():
        bench.manifest("new", "1.24.1", erase)
        started = time.monotonic()
        bench.apply()
        lengths[erase] = time.monotonic() - started
        bench.restore()
    caught = 0
    for number in range(KILLS[rounds]):
        erase = ("always", "auto")[number % 2]
        bench.manifest("new", "1.24.1", erase)
        process = bench.start()
        moment = dice.uniform(0.2, lengths[erase])
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            caught += 1
        process.communicate()
        client.request(bench.name, "power", on=False)
        for path, content in (bench.on_flash() or {}).items():
            if path in old or path in new:
                assert content in (old.get(path), new.get(path)), (number, moment, path)
        client.request(bench.name, "power", on=True)
        bench.manifest("new", "1.24.1", "auto")
        bench.apply()
        client.request(bench.name, "power", on=False)
        found = bench.on_flash()
        assert found is not None, (number, moment)
        assert {path: found.get(path) for path in new} == new, (number, moment)
        assert all(not path.endswith("~") for path in found), (number, moment, sorted(found))
        bench.restore()
    assert caught >= KILLS[rounds] // 2, "the kills came too late to tell anything"
