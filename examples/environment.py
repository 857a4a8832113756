"""A virtual environment for this checkout, made when it is missing, with nothing but Python.

`python3 examples/demo` and `python3 tests` both start here: the standard library alone, then the
same script again inside `.venv`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def enter(extra: str) -> None:
    """Go on inside the environment, made or brought up to date for `.[extra]`; returns there."""
    home = ROOT / ".venv"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    inside = Path(sys.prefix).resolve() == home.resolve()
    stamp, project = home / f"installed-{extra}", ROOT / "pyproject.toml"
    if inside and not (stamp.exists() and project.exists()):
        return  # made by hand, or the examples alone
    wanted = hashlib.sha256(project.read_bytes()).hexdigest()
    if not python.exists() or not stamp.exists() or stamp.read_text() != wanted:
        print(f"setting up {home.name} (once; it takes a minute) …", file=sys.stderr, flush=True)
        if not python.exists():
            venv.create(home, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "-e", f"{ROOT}[{extra}]"],
            check=True,
        )  # fmt: skip
        stamp.write_text(wanted)
    if inside:
        return
    command = [str(python), *sys.argv]
    if os.name == "nt":  # execv returns to the shell at once there
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(python, command)
