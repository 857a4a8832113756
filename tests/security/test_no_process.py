"""Reading, validating or planning a manifest starts no process: a checkout may be somebody else's,
and git, for one, runs what the configuration of a repository names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleets import write_tree

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

MANIFEST = """\
devices:
  d:
    port: /dev/ttyUSB99
    board: esp32
    vars: {wifi: !secret wifi}
    files: [{src: app/, dest: /}]
"""
FILES = {"fleet.yaml": MANIFEST, "secrets.yaml": "wifi: 'x'\n", "app/main.py": "print(1)\n"}

# Prints each program that is started and each connection that is made, and goes on.
WATCHED = """
import sys
starts = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
          "os.startfile", "pty.spawn")
def told(event, arguments):
    if event.startswith(starts):
        print("STARTED", event, arguments, flush=True)
sys.addaudithook(told)
from provision.__main__ import main
sys.exit(main())
"""

QUIET = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments],
        cwd=folder,
        env={**os.environ, **QUIET},
        capture_output=True,
        check=False,
    )


def provision(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        cwd=folder,
        env={
            **os.environ,
            **QUIET,
            "PROVISION_STATE_DIR": str(folder.parent / "state"),
            "PROVISION_RUNTIME_DIR": str(folder.parent / "run"),
            "PROVISION_CACHE_DIR": str(folder.parent / "cache"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, 5), done.stderr
    return done.stdout + done.stderr


COMMANDS = (
    ("validate",),
    ("show",),
    ("plan",),
    ("lock", "--check"),
    ("vendor", "--offline"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_no_program_is_started_and_no_connection_made(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    project = tmp_path / "project"
    write_tree(project, FILES)
    (project / ".git").mkdir()
    assert "STARTED" not in provision(project, *command)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder in a checkout that is itself a bare repository of somebody else's making. Its index
    is sparse and lacks an object, which git fetches by the program that its configuration names:
    one that leaves the file `sprung` beside the checkout."""
    outer = tmp_path / "checkout"
    outer.mkdir()
    git(outer, "init", "--quiet")
    made = tmp_path / "made"
    made.mkdir()
    git(made, "init", "--quiet")
    write_tree(made, {**FILES, "far/away.py": "print(2)\n"})
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "all")
    far = git(made, "rev-parse", "HEAD:far").stdout.decode().strip()
    git(made, "sparse-checkout", "set", "--cone", "--sparse-index", "app")
    (made / ".git/objects" / far[:2] / far[2:]).unlink()
    inner = outer / "inner"
    shutil.copytree(made / ".git", inner)
    write_tree(inner, FILES)
    sprung = tmp_path / "sprung"
    with (inner / "config").open("a") as config:
        config.write(
            "[core]\n\tbare = false\n\tworktree = .\n"
            f"\tsshCommand = touch {sprung};\n\tfsmonitor = touch {sprung};\n"
            f"[extensions]\n\tpartialClone = origin\n"
            '[remote "origin"]\n\turl = ssh://example.invalid/x\n\tpromisor = true\n'
        )
    return inner


@needs_git
def test_a_folder_that_is_a_repository_of_somebody_elses_runs_nothing(
    trap: Path, tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    for command in COMMANDS:
        assert "STARTED" not in provision(trap, *command)
    assert not sprung.exists()
    git(trap, "-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--", "secrets.yaml")
    if not sprung.exists():
        pytest.skip("this git does not run what such a repository says")
