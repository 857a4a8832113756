"""What is to be done to a board's NVS: each entry that the manifest names and that is not there as
it must be, and nothing else. Pure.

A board whose NVS is blank gets it as a partition, in its flash; on any other entries are set one by
one through MicroPython, which knows two types. So what it cannot write is refused there, since the
rest of the NVS, Wi-Fi's settings and calibration, is to stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provision.core.wording import listed, printable
from provision.model.plan import EraseFlash, FlashAction, Refusal, WriteNvs
from provision.model.state import ActualState, DesiredState
from provision.model.unit_data import MICROPYTHON_TYPES, NVS_NAME, NvsEntry


def nvs_actions(
    desired: DesiredState, actual: ActualState, flashing: Sequence[FlashAction]
) -> tuple[WriteNvs, ...]:
    """The entries to set, by namespace and key."""
    blank = _is_erased(flashing)
    known = () if blank else actual.nvs
    there = {entry.place: entry for entry in known or ()}
    return tuple(
        WriteNvs(
            namespace=entry.namespace,
            key=entry.key,
            type=entry.type,
            size=len(entry.data or b""),
            sensitive=entry.sensitive,
            reason=reason,
            replaces=found is not None and found.type != entry.type,
        )
        for entry in desired.nvs
        for found in (there.get(entry.place),)
        for reason in (_why(entry, found, blank=blank, known=known is not None),)
        if reason is not None
    )


def nvs_refusals(
    actual: ActualState, flashing: Sequence[FlashAction], writes: Sequence[WriteNvs]
) -> tuple[Refusal, ...]:
    """Why entries cannot be set on this board: their types are none that MicroPython writes, and
    its NVS is to stay. Of a board whose NVS nobody has read yet that is told once it was."""
    spared = any(isinstance(one, EraseFlash) for one in flashing)
    if _is_erased(flashing) or (actual.nvs is None and not spared):
        return ()
    names = [f"{one.namespace}.{one.key} ({one.type})" for one in writes if not _writable(one)]
    if not names:
        return ()
    return (
        Refusal(
            kind="nvs-type",
            message=f"MicroPython writes i32 and blob to NVS, and the board's NVS is to stay: "
            f"{listed(names)} cannot be set",
            hint="write them as i32 or blob, which is all that a MicroPython program reads; or "
            "begin a new NVS, Wi-Fi settings and calibration lost, with `provision apply` once "
            "under `firmware: {version: …, erase: always}`",
        ),
    )


def without_secrets(desired: DesiredState, actual: ActualState) -> ActualState:
    """The state as it may be reported: without the values that secrets are to go into, or are
    in."""
    secret = {entry.place for entry in desired.nvs if entry.sensitive}
    if not secret or actual.nvs is None:
        return actual
    shown = (replace(one, data=None) if one.place in secret else one for one in actual.nvs)
    return replace(actual, nvs=tuple(shown))


def _is_erased(flashing: Sequence[FlashAction]) -> bool:
    """Whether the board's NVS begins anew."""
    return any(isinstance(one, EraseFlash) and NVS_NAME not in one.spares for one in flashing)


def _writable(one: WriteNvs) -> bool:
    return one.type in MICROPYTHON_TYPES


def _why(wanted: NvsEntry, found: NvsEntry | None, *, blank: bool, known: bool) -> str | None:
    if blank:
        return "the flash is erased"
    if not known:
        return "what is on the board is not known"
    if found is None:
        return "it is missing"
    if found.same_as(wanted):
        return None
    if found.type != wanted.type:
        return f"it is of type {found.type}, {wanted.type} is wanted"
    if wanted.sensitive or not isinstance(wanted.value, int):
        return "its value differs"
    return f"it is {printable(str(found.value))}, {wanted.value} is wanted"
