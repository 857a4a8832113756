"""What was saved of a board before its flash is erased, as bytes of a file: JSON, since names on a
board are any text, and so that a person can get at a file by hand.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from provision.interfaces import SavedFlash, StoredContents
from provision.model.firmware import Region


def saved_bytes(saved: SavedFlash) -> bytes:
    """The content of the file."""
    contents = saved.contents
    data: dict[str, Any] = {
        "regions": [[one.name, one.offset, _text(one.data)] for one in saved.regions]
    }
    if contents is not None:
        data["directories"] = sorted(contents.directories)
        data["files"] = {path: _text(content) for path, content in sorted(contents.files.items())}
    return json.dumps(data).encode()


def read_saved(data: bytes) -> SavedFlash | None:
    """What such a file holds; None where it is damaged."""
    try:
        found = json.loads(data)
        regions = tuple(
            Region(name=str(name), offset=int(offset), data=_bytes(content))
            for name, offset, content in found["regions"]
        )
        if "files" not in found:
            return SavedFlash(regions=regions)
        contents = StoredContents(
            files={str(path): _bytes(content) for path, content in found["files"].items()},
            directories=frozenset(map(str, found["directories"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
    return SavedFlash(contents=contents, regions=regions)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
