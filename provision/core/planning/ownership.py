"""Whose board each MAC is, by what the manifest declares and what the lock has learned.

Pure. The manifest's word is stronger than the lock's: a MAC that one device declares is that
device's, whoever had it in a run before. `safety.py` refuses a board that is another device's.
A device whose learned MAC is declared as another's keeps it all the same: what is on its port is
then refused, one way or the other, until somebody says which board it has.
"""

from __future__ import annotations

from collections.abc import Mapping

from provision.model.state import BoardOwner


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
