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
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = home / f"installed-{extra}"
    known = stamp.read_text() if stamp.exists() else None
    # Who is inside without a stamp has made the environment by hand, and it is theirs.
    if not (python.exists() and known == wanted or inside and known is None):
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
