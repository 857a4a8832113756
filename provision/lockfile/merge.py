"""The boards that another lock knows, joined to those of this one: each host's own fleet.lock, and
the one beside the manifest that is everybody's.

Pure. Who is which board is told like a host key: a device that both locks know, with two boards, is
a conflict that a person decides, and so is a board that is two devices'.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from provision.lockfile.entries import Lock
from provision.model.language import record


@record
class Conflict:
    """A device whose board in the other lock cannot be taken over. `ours` is the board that it has
    here, `owner` the device whose board `theirs` is here, where it is one's. `declared`: the
    manifest itself says so, which no lock can change."""

    device: str
    theirs: str
    ours: str | None = None
    owner: str | None = None
    declared: bool = False


@record
class Merged:
    """`lock` has what could be taken over; `learned` are the boards that are new in it."""

    lock: Lock
    learned: Mapping[str, str] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()


def merge_devices(
    ours: Lock,
    theirs: Lock,
    *,
    declared: Mapping[str, str],
    devices: Collection[str],
    accepted: Collection[str] = (),
) -> Merged:
    """Our lock with the boards of the other. Only `devices`, those of the manifest, are looked at;
    `declared` are the MACs that it says itself; `accepted` may have another board than before."""
    declared_by = {mac: device for device, mac in declared.items()}
    known_by = {entry.mac: name for name, entry in ours.devices.items() if entry.mac is not None}
    learned: dict[str, str] = {}
    conflicts: list[Conflict] = []
    for device in sorted(theirs.devices):
        mac = theirs.mac_of(device)
        if mac is None or device not in devices or mac == ours.mac_of(device):
            continue
        here = declared.get(device) or ours.mac_of(device)
        owner = declared_by.get(mac) or known_by.get(mac)
        owner = None if owner == device else owner
        settled = here != mac if device in declared else owner in declared
        if settled or ((here not in (None, mac) or owner) and device not in accepted):
            conflicts.append(
                Conflict(device=device, theirs=mac, ours=here, owner=owner, declared=settled)
            )
        else:
            learned[device] = mac
            known_by[mac] = device
    return Merged(lock=ours.with_macs(learned), learned=learned, conflicts=tuple(conflicts))
