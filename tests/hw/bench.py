"""A board on the bench, known by its port alone: what the tests of the main job run on.

Nothing here or in the tests knows whether the board is a real one. It is looked at by tools of
others: esptool for its flash, mpremote for its files.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apply.station import Ended, Run

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0  # seconds: a real board of 16 MB is erased in one minute

# What the tests install: `config.py` is the file that changes.
APP = {
    "boot.py": "# nothing to do before main.py\n",
    "config.py": "NAME = 'first'\n",
    "lib/sensor.py": "".join(f"CHANNEL_{n} = {n * n}\n" for n in range(300)),
    "main.py": "import config\nimport sensor\nprint('ready:', config.NAME, sensor.CHANNEL_3)\n",
}

_READ_FILES = """
import binascii, hashlib, json
found = {{}}
for path in {paths!r}:
    try:
        with open(path, 'rb') as file:
            found[path] = binascii.hexlify(hashlib.sha256(file.read()).digest()).decode()
    except OSError:
        found[path] = None
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True)
class BoardOnBench:
    """`port` as a manifest has it, `profile` the name of its board profile; images are files."""

    port: str
    profile: str
    firmware: Path
    old_firmware: Path | None


@dataclass
class HardwareBench:
    """One board and one project folder, the working directory of every command."""

    board: BoardOnBench
    work: Path
    runs: list[Run] = field(default_factory=list)

    # -- the project ------------------------------------------------------------------------

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.work / "app" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def manifest(self, ready: str = "first", **changes: Any) -> None:
        """One device, its app checked by what it prints; `changes` replace keys of the device."""
        device = {
            "port": self.board.port,
            "board": self.board.profile,
            "firmware": {"file": str(self.board.firmware)},
            "files": [{"src": "app/", "dest": "/"}],
            "check": {"console": f"ready: {ready} 9", "timeout": 30},
            **changes,
        }
        (self.work / "fleet.yaml").write_text(yaml.safe_dump({"devices": {"node": device}}))

    # -- the tool ---------------------------------------------------------------------------

    def start(self, *words: str) -> Run:
        """Start `provision`, to be watched and killed."""
        run = Run(
            [sys.executable, "-m", "provision", *words],
            terminal=False,
            cwd=self.work,
            environment=self.environment,
        )
        self.runs.append(run)
        return run

    def apply(self, *words: str, code: int = 0) -> Ended:
        ended = self.start("apply", "--json", *words).end(PATIENCE)
        assert ended.code == code, ended.said
        return ended

    def converge(self) -> None:
        """Bring the board to what the manifest says, whatever it is now."""
        self.apply("--yes")

    def assert_converged(self) -> None:
        """Every file of the app is on the board, and another run finds nothing to do."""
        ended = self.apply()
        assert ended.outcomes == {"node": "ok"}
        assert ended.planned("node") == ended.done("node") == []
        assert self.hashes() == self.wanted()

    # -- the board, by other tools ----------------------------------------------------------

    def digest(self) -> str:
        """Size and MD5 of all its flash."""
        return self._run("-m", "tests.hw.whole_flash", "digest", self.board.port).splitlines()[-1]

    def erase(self) -> None:
        self._run("-m", "tests.hw.whole_flash", "erase", self.board.port)

    def mpremote(self, *words: str) -> str:
        return self._run("-m", "mpremote", "connect", self.board.port, "resume", *words)

    def execute(self, code: str) -> str:
        """Run MicroPython code on the board; what it prints."""
        return self.mpremote("exec", code).strip()

    def hashes(self) -> dict[str, str | None]:
        """The SHA-256 of the app's files as they are on the board; None for one that is not."""
        found: dict[str, str | None] = json.loads(
            self.execute(_READ_FILES.format(paths=sorted(self.wanted())))
        )
        return found

    def wanted(self) -> dict[str, str | None]:
        """What `hashes` must return."""
        app = self.work / "app"
        return {
            f"/{path.relative_to(app).as_posix()}": hashlib.sha256(path.read_bytes()).hexdigest()
            for path in app.rglob("*")
            if path.is_file()
        }

    @property
    def other(self) -> dict[str, Any]:
        """A shipped board profile whose chip is not this board's, as `provision boards` has it."""
        profiles = json.loads(self._run("-m", "provision", "boards", "--json"))
        chips = {profile["name"]: profile["chip"] for profile in profiles}
        mine = chips[self.board.profile]
        found: dict[str, Any] = next(one for one in profiles if one["chip"] != mine)
        return found

    def image_for(self, chip: str) -> Path:
        """A small sound image for another chip."""
        path = self.work / f"{chip}.bin"
        self._run(
            *("-m", "provision", "sim", "firmware", "--chip", chip),
            *("--version", "1.24.1", "-o", str(path)),
        )
        return path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode:
            pytest.fail(f"{words}: {done.stdout}\n{done.stderr}")
        return done.stdout

    def close(self) -> None:
        for run in self.runs:
            run.kill()
