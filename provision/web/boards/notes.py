"""What somebody has looked up of boards from a page: their facts, what files they hold, and files
that were read. It is remembered for as long as the server runs, within bounds; none stays on disk.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import field

from provision.core.file_names import plain_name
from provision.core.wording import Redact, harmless
from provision.model.language import record
from provision.model.state import ActualState, BoardEntry

MOST_READ = 32 << 20  # bytes of all files that are remembered; the last one is, however large
MOST_SHOWN = 256 << 10  # characters of a file that a page shows; all of it can be saved
_TEXT = frozenset(range(32, 256)) | frozenset(b"\t\n\r\f\x1b")


@record
class Listing:
    """What lies on a board, as it was seen. `when` is in seconds since the epoch."""

    entries: Mapping[str, BoardEntry]
    when: float

    @property
    def files(self) -> int:
        return sum(entry.kind == "file" for entry in self.entries.values())

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries.values())


@record
class ReadFile:
    """A file as it is on the board, secrets included; `shown` is its text without them, None of
    what is no text. `masked`: the two differ."""

    path: str
    data: bytes = field(repr=False)
    when: float
    shown: str | None = field(repr=False)
    masked: bool

    @property
    def cut(self) -> bool:
        """Whether the page shows a part of it only."""
        return self.shown is not None and len(self.shown) > MOST_SHOWN

    @property
    def text(self) -> str:
        """What the page shows: the text, or the first bytes in hexadecimal."""
        if self.shown is not None:
            return self.shown[:MOST_SHOWN]
        return "\n".join(
            f"{start:06x}  {self.data[start : start + 16].hex(' ')}"
            for start in range(0, min(len(self.data), 1024), 16)
        )

    @property
    def name(self) -> str:
        """A name for the file on any other computer: no path."""
        return plain_name(self.path.rpartition("/")[2])


class BoardNotes:
    """Those of one server, by device. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: dict[str, tuple[ActualState, float]] = {}
        self._listings: dict[str, Listing] = {}
        self._read: OrderedDict[tuple[str, str], ReadFile] = OrderedDict()

    def observed(self, device: str, actual: ActualState) -> None:
        """What a board has said of itself."""
        with self._lock:
            self._facts[device] = (actual, time.time())

    def listed(self, device: str, entries: tuple[BoardEntry, ...]) -> None:
        """What lies on it. What was read before is forgotten: it may have changed since."""
        with self._lock:
            self._listings[device] = Listing(
                entries={entry_id(entry.path): entry for entry in entries}, when=time.time()
            )
            for key in [key for key in self._read if key[0] == device]:
                del self._read[key]

    def read(self, device: str, path: str, data: bytes, masked: Redact) -> None:
        """A file of it, whole."""
        text = data.decode("utf-8", "replace")
        clean = masked(text)
        known = ReadFile(
            path=path,
            data=data,
            when=time.time(),
            shown=masked(harmless(clean)) if _is_text(data) else None,
            masked=clean != text,
        )
        with self._lock:
            self._read.pop((device, entry_id(path)), None)
            self._read[device, entry_id(path)] = known
            while len(self._read) > 1 and sum(len(one.data) for one in self._read.values()) > (
                MOST_READ
            ):
                self._read.popitem(last=False)

    def facts(self, device: str) -> tuple[ActualState, float] | None:
        return self._facts.get(device)

    def listing(self, device: str) -> Listing | None:
        return self._listings.get(device)

    def entry(self, device: str, file: str) -> BoardEntry | None:
        """A file of the listing by its id: nothing else can be asked for."""
        listing = self._listings.get(device)
        entry = listing.entries.get(file) if listing is not None else None
        return entry if entry is not None and entry.kind == "file" else None

    def file(self, device: str, file: str) -> ReadFile | None:
        """A file that was read, by its id."""
        with self._lock:
            return self._read.get((device, file))


def entry_id(path: str) -> str:
    """What a page calls a path: names on boards are bytes, and need not be text."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return _TEXT.issuperset(data)
