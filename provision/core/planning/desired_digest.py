"""Whether what a device has to be is still the same: a digest of its desired state.

Pure. It is made with a key that only one user has, so that it gives no secret away: nobody else can
try passwords until one fits.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict

from provision.model.state import DesiredState

DIGITS = 32


def desired_digest(desired: DesiredState, image: str | None, key: bytes) -> str:
    """32 hex digits that are the same for the same state: every file that is wanted and what must
    not be there, NVS, the certificate, the check, and the firmware, whose `image` is its sha256."""
    certificate, check = desired.certificate, desired.check
    state = [
        [[file.dest, file.content.sha256, file.create_only] for file in desired.files],
        [list(desired.directories), list(desired.absent), list(desired.prune)],
        [[*entry.place, entry.type, (entry.data or b"").hex()] for entry in desired.nvs],
        [certificate.cn, certificate.dest_cert, certificate.dest_key, certificate.key]
        if certificate is not None
        else None,
        asdict(check) if check is not None else None,
        [desired.board.chip.name, image],
    ]
    return hmac.new(key, json.dumps(state).encode(), hashlib.sha256).hexdigest()[:DIGITS]
