"""Who owns a port: told by the lock file that each run of ours keeps, and by /proc on Linux.

A busy port is no use as an error without the name of the program to close, so this looks for
it; where the system does not tell, the answer is empty and the caller says less.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from provision.atomic_files import lock_path, take_lock
from provision.device.transport.transports import scheme_of, transport_of
from provision.model.language import record

# What stands first in the lock file: Windows locks that byte against reading.
_LOCKED_BYTE = b"\n"
_MASTER_SIDES = frozenset({"/dev/ptmx", "/dev/pts/ptmx"})


@record
class Owner:
    """A process that has a port; `device` when it is a run of ours that said so."""

    pid: int
    command: str
    device: str | None = None

    def __str__(self) -> str:
        who = "this run" if self.pid == os.getpid() else f"process {self.pid}"
        command = f" ({self.command})" if self.command and self.pid != os.getpid() else ""
        return f"{who}{command}" + (f" for device {self.device}" if self.device else "")


def port_key(address: str) -> str:
    """One text for all names of one port: links resolved, a URL without its options."""
    transport = transport_of(address)
    if not transport.is_local:
        place = address.partition("://")[2].split("?", 1)[0].split("#", 1)[0].rstrip("/")
        # Host names have no case; what other schemes name may.
        return f"{scheme_of(address)}://{place.lower() if transport.names_host else place}"
    if sys.platform == "win32":
        return address.upper().removeprefix("\\\\.\\")
    place = str(Path(address).resolve())
    if sys.platform == "darwin":  # each port has two names there, for calling out and in
        return place.replace("/dev/tty.", "/dev/cu.", 1)
    return place


def claim(address: str, device: str) -> BinaryIO | Owner | None:
    """Take this user's lock of a port: the open file that holds it until it is closed.

    When it is taken: the Owner, or None where the owner left no readable word.
    """
    path = lock_path("port", port_key(address))
    file = take_lock(path, wait=False)
    if file is None:
        return _owner_in(path)
    owner = Owner(pid=os.getpid(), command=_own_command(), device=device)
    file.truncate(0)
    file.seek(0)
    file.write(_LOCKED_BYTE + json.dumps(asdict(owner)).encode())
    return file


def _owner_in(path: Path) -> Owner | None:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(len(_LOCKED_BYTE))
            said = json.loads(file.read())
        device = said["device"]
        return Owner(
            pid=int(said["pid"]), command=str(said["command"]), device=device and str(device)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # caught between taking the lock and writing the name


def _own_command() -> str:
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]


def other_owners(address: str) -> list[Owner]:
    """Other processes that have a port open, as /proc shows to this user; [] elsewhere.

    Whoever holds the master side of a pseudo terminal plays the board there, and is no rival.
    """
    processes = Path("/proc")
    if (
        not transport_of(address).is_local
        or not sys.platform.startswith("linux")
        or not processes.is_dir()
    ):
        return []
    port = port_key(address)
    found = []
    for entry in processes.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        targets = _open_files(entry / "fd")
        if port in targets and not (port.startswith("/dev/pts/") and targets & _MASTER_SIDES):
            found.append(Owner(pid=int(entry.name), command=_command(entry)))
    return sorted(found, key=lambda owner: owner.pid)


def _open_files(descriptors: Path) -> set[str]:
    targets = set()
    try:
        with os.scandir(descriptors) as links:
            for link in links:
                targets.add(os.readlink(link.path))  # noqa: PTH115 - hot: every open file there is
    except OSError:
        pass  # another user's process, or one that ended while we looked
    return targets


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).decode(errors="replace")[:200]
