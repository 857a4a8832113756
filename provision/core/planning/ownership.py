"""Whose board each MAC is, by what the manifest declares and what the lock has learned.

Pure. The manifest's word is stronger than the lock's: a MAC that one device declares is that
device's, whoever had it in a run before. `safety.py` refuses a board that is another device's.
A device whose learned MAC is declared as another's keeps it all the same: what is on its port is
then refused, one way or the other, until somebody says which board it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from provision.core.wording import plural
from provision.model.state import ActualState, BoardOwner, DesiredState

MOST_SEATS = 4  # named in one line


def board_owners(
    declared: Mapping[str, str], learned: Mapping[str, str]
) -> Mapping[str, BoardOwner]:
    """The owners by MAC; both arguments hold MACs by device, of all devices that are known."""
    owners: dict[str, BoardOwner] = {}
    for device, mac in declared.items():
        owners.setdefault(mac, BoardOwner(device=device, declared=True))
    for device, mac in learned.items():
        if device not in declared:
            owners.setdefault(mac, BoardOwner(device=device))
    return owners


def swapped_seats(found: Iterable[tuple[DesiredState, ActualState]]) -> str | None:
    """In one line, which devices of a run have each other's boards on their ports; None when none
    has. `found` are the devices and what answered on their ports."""
    seats = list(found)
    known = {desired.device for desired, _ in seats if desired.mac is not None}
    swapped = []
    for desired, actual in seats:
        owner = desired.owners.get(actual.mac) if actual.mac is not None else None
        if owner is not None and owner.device != desired.device and owner.device in known:
            swapped.append(f"that of {owner.device} on the port of {desired.device}")
    if not swapped:
        return None
    shown = ", ".join(swapped[:MOST_SEATS])
    more = f" and {len(swapped) - MOST_SEATS} more" if len(swapped) > MOST_SEATS else ""
    return (
        f"{plural(len(swapped), 'board')} on the port of another device: {shown}{more}; "
        "`provision apply --match-by-mac` finds each board by its MAC"
    )
