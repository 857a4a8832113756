"""The board that the tests here run on: a virtual one behind RFC 2217, and the real one that
PROVISION_HW_PORT names. Which it is, no test can tell."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from provision.sim import client
from tests.hw.bench import APP, BoardOnBench, HardwareBench

VERSIONS = {"firmware": "1.24.1", "old_firmware": "1.23.0"}
IMAGE_SIZE = 400_000  # bytes: long enough on the line to be killed in the middle


def _provision(work: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "provision", *words],
        cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def _virtual_board(work: Path) -> BoardOnBench:
    """A blank ESP32 that is reached as a board on another host is."""
    images = {}
    for kind, version in VERSIONS.items():
        images[kind] = work / f"{kind}.bin"
        _provision(
            work,
            *("sim", "firmware", "--chip", "esp32", "--version", version),
            *("--size", str(IMAGE_SIZE), "-o", str(images[kind])),
        )
    (board,) = json.loads(
        _provision(work, "sim", "up", "--chip", "esp32", "--rfc2217", "--json", "bench")
    )
    return BoardOnBench(port=board["rfc2217"], profile="esp32", **images)


def _real_board() -> BoardOnBench:
    port = os.environ.get("PROVISION_HW_PORT")
    if not port:
        pytest.skip("PROVISION_HW_PORT names no board's port")
    missing = {"PROVISION_HW_BOARD", "PROVISION_HW_FIRMWARE"} - set(os.environ)
    if missing:
        pytest.fail(f"PROVISION_HW_PORT is set, {', '.join(sorted(missing))} must be too")
    old = os.environ.get("PROVISION_HW_OLD_FIRMWARE")
    return BoardOnBench(
        port=port,
        profile=os.environ["PROVISION_HW_BOARD"],
        firmware=Path(os.environ["PROVISION_HW_FIRMWARE"]).absolute(),
        old_firmware=Path(old).absolute() if old else None,
    )


@pytest.fixture(params=["virtual", "real"])
def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HardwareBench]:
    """A project with the app in it, and a board in whatever state it was left in."""
    work = tmp_path / "work"
    work.mkdir()
    for variable, folder in (("PROVISION_SIM_HOME", "boards"), ("PROVISION_STATE_DIR", "state")):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    for variable in ("FORCE_COLOR", "PROVISION_SECRETS"):
        monkeypatch.delenv(variable, raising=False)
    board = _virtual_board(work) if request.param == "virtual" else _real_board()
    made = HardwareBench(board=board, work=work)
    made.write(APP)
    made.manifest()
    # Tests run in parallel; of one board, one after the other.
    key = hashlib.sha256(board.port.encode()).hexdigest()[:16]
    try:
        with FileLock(Path(tempfile.gettempdir()) / f"provision-hw-{key}.lock"):
            yield made
    finally:
        made.close()
        for entry in (tmp_path / "boards").glob("*"):
            client.stop(entry.name)
