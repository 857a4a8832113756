"""The disk of the computer that runs the tool, as a power cut leaves it at the worst moment.

Of a file what was flushed is there, of a directory the entries that were there when it was flushed;
of what came since, either all may be there or nothing, in no order. It sees `os.fsync` and
`os.replace` as the system's calls; everything is written as ever.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest


class Disk:
    """What is on the disk for good, from its making on; before, everything was."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._flushed: dict[int, bytes] = {}  # inode: content
        self._entries = self._now()
        for name, inode in self._entries.items():
            self._flushed[inode] = (folder / name).read_bytes()
        self.moments: list[dict[str, bytes]] = []  # what a cut could leave, at each rename
        fsync, replace = os.fsync, os.replace

        def flush(descriptor: int) -> None:
            fsync(descriptor)
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                assert os.path.samestat(status, folder.stat())
                self._entries = self._now()
            else:
                self._flushed[status.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

        def rename(source: str | Path, target: str | Path) -> None:
            replace(source, target)
            self.moments += self.after_a_cut()

        monkeypatch.setattr(os, "fsync", flush)
        monkeypatch.setattr(os, "replace", rename)

    def _now(self) -> dict[str, int]:
        files = (path for path in self._folder.iterdir() if path.is_file())
        return {path.name: path.stat().st_ino for path in files}

    def after_a_cut(self) -> list[dict[str, bytes]]:
        """The files that there may be if the power fails now: without the entries since the
        directory was flushed, and with them."""
        return [
            {name: self._flushed.get(inode, b"") for name, inode in entries.items()}
            for entries in (self._entries, self._now())
        ]
