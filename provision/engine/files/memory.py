"""Files that are read off a board into memory."""

from __future__ import annotations

import hashlib


class Memory:
    """Implements `FileSink` for files that are shown, or kept elsewhere afterwards."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}

    def write(self, path: str, offset: int, data: bytes) -> None:
        file = self.files.setdefault(path, bytearray())
        file.extend(bytes(max(0, offset - len(file))))
        file[offset : offset + len(data)] = data

    def finish(self, path: str, size: int, sha256: str) -> bool:
        file = self.files.setdefault(path, bytearray())
        del file[size:]
        return hashlib.sha256(file).hexdigest() == sha256
