"""The values of NVS as `facts` and `show` tell them, secrets masked."""

from __future__ import annotations

from provision.core.wording import Redact, harmless, shorten
from provision.model.secret import MASK
from provision.model.unit_data import NvsEntry


def nvs_value(entry: NvsEntry, redact: Redact) -> str | int | None:
    """A value as it is shown: a blob that is text as text, another in hex; None of one that was
    not read. Masked, and a long one cut."""
    value = entry.value
    if isinstance(value, int):
        return value if redact(str(value)) == str(value) else MASK
    if isinstance(value, bytes):
        text = value.decode("ascii", "replace")
        value = text if text.isprintable() and "\ufffd" not in text else value.hex()
    return None if value is None else shorten(harmless(redact(value)), 64)
