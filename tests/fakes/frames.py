"""Frames as agent/send.py makes them, and as a liar may."""

from __future__ import annotations

import hashlib

from provision.device.micropython.frames import MAGIC


def frame(payload: bytes) -> bytes:
    """One around a payload."""
    rest = len(payload).to_bytes(2, "little") + payload
    return MAGIC + hashlib.sha256(rest).digest()[:4] + rest
