"""Files out of a board's LittleFS, read by littlefs-python alone: what our own code wrote is looked
at without our own code."""

from __future__ import annotations

import littlefs

BLOCK = 4096


def read_filesystem(image: bytes) -> dict[str, bytes]:
    """The files of a LittleFS of MicroPython's shape, of any disk version, by absolute path."""
    filesystem = littlefs.LittleFS(
        block_size=BLOCK,
        block_count=len(image) // BLOCK,
        read_size=32,
        prog_size=32,
        lookahead_size=32,
        mount=False,
    )
    filesystem.context.buffer = bytearray(image)
    filesystem.mount()
    found = {}
    for folder, _, names in filesystem.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with filesystem.open(path, "rb") as file:
                found[path] = file.read()
    return found
