"""Start-up files that are disabled: whole, but under another name, so that nothing starts.

agent/startup.py renames them before a reset after which no app may run, and back afterwards. A run
that is interrupted in between leaves them so; whoever looks next sees each as the file that it is,
by asking a second time, for both names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from provision.device.micropython.scan_protocol import DirectoryEntry
from provision.interfaces import ScanRequest
from provision.model.board_path import STARTUP_FILES, disabled_name
from provision.model.state import Filesystem


def disabled_among(entries: Iterable[DirectoryEntry]) -> dict[str, DirectoryEntry]:
    """The entries that are disabled files, by the path that is theirs."""
    found = {entry.path: entry for entry in entries if not entry.folder}
    return {
        path: found[disabled_name(path)] for path in STARTUP_FILES if disabled_name(path) in found
    }


def by_both_names(request: ScanRequest, paths: Iterable[str]) -> ScanRequest:
    """The same query, with disabled files asked for under either name."""
    names = {path: disabled_name(path) for path in paths}
    expected = {names[path]: request.expected[path] for path in names if path in request.expected}
    return replace(
        request,
        paths=tuple(sorted({*request.paths, *names, *names.values()})),
        expected={**request.expected, **expected},
    )


def under_own_names(seen: Filesystem, paths: Collection[str]) -> Filesystem:
    """What was seen, with each disabled file under its own path, but where a new one is there."""
    files = dict(seen.files)
    disabled = {path for path in paths if path not in files}
    for path in paths:
        file = files.pop(disabled_name(path), None)
        if file is None:  # put back since
            disabled.discard(path)
        elif path in disabled:
            files[path] = file
    return replace(seen, files=files, disabled=frozenset(disabled))
