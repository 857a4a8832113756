"""Start-up files that are held: whole, but under a name beside, so that nothing starts by itself.

agent/hold.py renames them before a reset after which no app may run, and back afterwards. A run
that is cut short in between leaves them so; whoever looks next sees each as the file that it is,
by asking a second time, for both names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from provision.core.planning.diff import STARTUP_FILES
from provision.device.micropython.scan_protocol import TEMPORARY, Entry
from provision.interfaces import ScanRequest
from provision.model.state import Filesystem


def held_name(path: str) -> str:
    """The name under which a file of the root directory is held."""
    return f"/{TEMPORARY}{path[1:]}"


def held_among(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The entries that are held files, by the path that is theirs."""
    found = {entry.path: entry for entry in entries if not entry.folder}
    return {path: found[held_name(path)] for path in STARTUP_FILES if held_name(path) in found}


def by_both_names(request: ScanRequest, paths: Iterable[str]) -> ScanRequest:
    """The same question, with held files asked for under either name."""
    names = {path: held_name(path) for path in paths}
    expected = {names[path]: request.expected[path] for path in names if path in request.expected}
    return replace(
        request,
        paths=tuple(sorted({*request.paths, *names, *names.values()})),
        expected={**request.expected, **expected},
    )


def as_themselves(seen: Filesystem, paths: Collection[str]) -> Filesystem:
    """What was seen, with each held file under its own path, but where a new one is there."""
    files = dict(seen.files)
    held = {path for path in paths if path not in files}
    for path in paths:
        file = files.pop(held_name(path), None)
        if file is None:  # put back since
            held.discard(path)
        elif path in held:
            files[path] = file
    return replace(seen, files=files, held=frozenset(held))
