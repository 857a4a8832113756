"""What is known of devices without asking their boards: what this computer remembers of their last
apply and check, and whether their ports are plugged in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provision.errors import PortNotFound, UsageError
from provision.model.language import record
from provision.model.state import CheckOutcome, DesiredState, PortSelector
from provision.project.apply_records import ApplyRecords, LastApply
from provision.project.check_records import CheckRecords


@record
class DeviceStatus:
    """`check` is what the last check of a device came to; `port` how the manifest names its port,
    `address` where that is plugged in. `plugged_in` is None where only the board itself could
    tell: a URL, a port that is found by its MAC."""

    device: str
    last: LastApply | None
    check: CheckOutcome | None
    port: str
    address: str | None = None
    plugged_in: bool | None = None


@record
class FleetStatus:
    """The status of devices in manifest order, and the commit that the manifest is at now."""

    commit: str | None
    devices: tuple[DeviceStatus, ...]


def recall(
    states: Sequence[DesiredState],
    *,
    applies: ApplyRecords,
    checks: CheckRecords,
    resolve: Callable[[PortSelector], str],
    commit: str | None,
) -> FleetStatus:
    """The status of these devices; `resolve` is that of `interfaces.Discovery`."""

    def one(state: DesiredState) -> DeviceStatus:
        last = applies.last(state.device)
        mac = _own_board(last) or state.mac
        record = checks.last(mac, state.device) if state.check is not None else None
        address: str | None = None
        plugged_in: bool | None = None
        if state.port is not None and state.port.kind not in ("url", "mac", "any"):
            try:
                address, plugged_in = resolve(state.port), True
            except PortNotFound:
                plugged_in = False
            except UsageError:  # more than one such port: `apply` says what to do
                plugged_in = True
        return DeviceStatus(
            device=state.device,
            last=last,
            check=record.outcome if record is not None else None,
            port=str(state.port) if state.port is not None else "",
            address=address,
            plugged_in=plugged_in,
        )

    return FleetStatus(commit=commit, devices=tuple(map(one, states)))


def _own_board(last: LastApply | None) -> str | None:
    """The MAC of the board that a device was, as far as its applies tell."""
    if last is None:
        return None
    if last.mac is not None and last.outcome != "refused":  # else it was another's
        return last.mac
    return last.made.mac if last.made is not None else None
