"""Where virtual boards are kept: a directory for each one's state, a short path for its socket."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

from provision.errors import SimulatorError

VOLUMES = "bootsel"
"""The folder in a board's own that holds the one that stands for its volume."""

HOME_VARIABLE = "PROVISION_SIM_HOME"
_LONGEST_SOCKET = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
_SOCKET_NAME = 25  # characters


def need_posix() -> None:
    """SimulatorError on Windows: a virtual board is a process with a socket and a pseudo-terminal
    of Linux' or macOS' kind."""
    if sys.platform == "win32":
        raise SimulatorError(
            "there are no virtual boards on Windows: they need Linux or macOS",
            hint="install a Linux beside it with `wsl --install`, and run the same command there",
        )


def home() -> Path:
    """The directory of all boards: PROVISION_SIM_HOME, or the user's own state directory."""
    need_posix()
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    import platformdirs

    return platformdirs.user_state_path("provision") / "sim"


def directory(name: str) -> Path:
    return home() / name


def socket_path(board_home: Path, name: str) -> Path:
    """The socket of the board called `name`; its directory is made, private to this user."""
    digest = hashlib.sha256(f"{board_home}\0{name}".encode()).hexdigest()[:20]
    path = _runtime() / f"{digest}.sock"
    if len(str(path)) > _LONGEST_SOCKET:
        raise SimulatorError(
            f"the path {path} is too long for a socket",
            hint="set TMPDIR to a directory with a shorter path",
        )
    return path


def _runtime() -> Path:
    user = os.getuid()
    name = f"provision-sim-{user}"
    room = _LONGEST_SOCKET - len(f"/{name}/") - _SOCKET_NAME
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(given) if given and len(given) <= room and Path(given).is_dir() else None
    if base is None:
        base = Path(tempfile.gettempdir())
        if len(str(base)) > room:
            base = Path("/tmp")
    path = base / name
    path.mkdir(mode=0o700, exist_ok=True)
    held = path.lstat()
    if not stat.S_ISDIR(held.st_mode) or held.st_uid != user or held.st_mode & 0o077:
        raise SimulatorError(
            f"{path} must be a directory that only this user can enter, and is not",
            hint="remove it, or set XDG_RUNTIME_DIR to a private directory",
        )
    return path
