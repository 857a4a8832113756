"""What the examples need of virtual boards: commands of the tool, and firmware images for them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from provision.cli.problems import report_error
from provision.errors import ProvisionError


def provision(*arguments: str) -> str:
    """Run a command of the tool, which has to end well; its output."""
    command = [sys.executable, "-m", "provision", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def firmware_image(path: Path, chip: str, version: str, *, board: str | None = None) -> Path:
    """A small firmware image for a virtual chip, built where there is none yet. On real boards a
    release of micropython.org takes its place."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        named = ("--board", board) if board else ()
        provision(
            "sim", "firmware", "--chip", chip, "--version", version, *named, "-o", str(path)
        )
    return path


def rehearse(folder: Path, *options: str) -> NoReturn:
    """`provision rehearse` of the manifest in this folder, which is one for real boards: applied to
    virtual twins of them. Firmware that is not at hand is made up; end with its exit code."""
    command = ["rehearse", "--stand-in-firmware", "--start", "blank", "--runs", "1", *options]
    manifest = os.path.relpath(folder / "fleet.yaml")
    print(f"$ provision {shlex.join([*command, manifest])}", flush=True)
    done = subprocess.run([sys.executable, "-m", "provision", *command, manifest], check=False)
    sys.exit(done.returncode)


def run(main: Callable[[], int]) -> NoReturn:
    """End with the exit code of `main`; a mistake in a manifest is told as the command line does."""
    try:
        code = main()
    except ProvisionError as error:
        report_error(error)
        code = error.exit_code
    sys.exit(code)
