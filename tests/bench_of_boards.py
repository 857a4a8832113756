"""Virtual boards for a test: their state in a directory of its own, every process ended after it.

A test module imports the fixture `bench` from here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provision.sim import client


@dataclass
class Bench:
    """Runs `provision` as a user does, and looks after the boards it leaves behind."""

    home: Path
    work: Path

    def provision(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "provision", *words],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done

    def tool(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """An unmodified console script: `tool("esptool", "--port", "sim://x", "chip-id")`."""
        return self.provision("sim", "exec", "--", *words, check=check)

    @property
    def environment(self) -> dict[str, str]:
        root = str(Path(__file__).parents[1])
        return {**os.environ, "PYTHONPATH": root, "COLUMNS": "200", "NO_COLOR": "1"}

    def flash(self, name: str) -> bytes:
        """What is in the flash of a board, read past every protocol."""
        return (self.home / name / "flash.bin").read_bytes()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    home = tmp_path / "boards"
    monkeypatch.setenv("PROVISION_SIM_HOME", str(home))
    work = tmp_path / "work"
    work.mkdir()
    yield Bench(home=home, work=work)
    if home.is_dir():
        for entry in home.iterdir():
            client.stop(entry.name)
