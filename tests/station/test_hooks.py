"""Programs of the manifest's own: over when they have ended, whatever they have started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from provision.errors import DeviceError
from provision.model.station import Hook
from provision.station.hooks import run_hook

UNIT = {"number": "001000", "columns": {"batch": "x" * 200_000}}  # more than a pipe holds


def hook(program: str, timeout: float = 60.0) -> Hook:
    return Hook(command=(sys.executable, "-c", program), timeout=timeout)


def run(folder: Path, one: Hook) -> str | None:
    return run_hook("after", one, UNIT, folder, lambda text: text.replace("secret", "***"))


def gone(pid: int) -> bool:
    """Whether a process has ended; a container without an init keeps the dead of killed parents."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


CHILD = (
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
    "open('child', 'w').write(str(child.pid))\n"
)


def test_it_gets_the_unit_and_need_not_read_it(tmp_path: Path) -> None:
    program = "import json, sys; open('n', 'w').write(json.load(sys.stdin)['number'])"
    assert run(tmp_path, hook(program)) is None
    assert (tmp_path / "n").read_text() == "001000"
    assert run(tmp_path, hook("pass")) is None


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")
@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks at /proc")
@pytest.mark.parametrize(("end", "timeout"), [("", 3000.0), ("child.wait()", 2.0)])
def test_a_child_that_holds_its_output_holds_up_nobody(
    tmp_path: Path, end: str, timeout: float
) -> None:
    program = hook(CHILD + end, timeout)
    if end:
        with pytest.raises(DeviceError, match="was not done after 2 s, and was ended"):
            run(tmp_path, program)
    else:
        assert run(tmp_path, program) == "what the hook `after` left running was ended"
    pid = int((tmp_path / "child").read_text())
    while not gone(pid):
        os.sched_yield()


def test_what_it_said_last_is_told_without_secrets(tmp_path: Path) -> None:
    program = "import sys; print('x' * 300_000 + ' no paper in secret tray'); sys.exit(3)"
    with pytest.raises(DeviceError) as caught:
        run(tmp_path, hook(program))
    assert " ended with 3: " in caught.value.message
    assert caught.value.message.endswith(" no paper in *** tray")
    assert len(caught.value.message) < 500


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        run(tmp_path, Hook(command=("no-such-program",)))
    assert "cannot be run: no-such-program: No such file or directory" in caught.value.message
    assert "station.after.command" in caught.value.hint
