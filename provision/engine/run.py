"""A run: one task over the devices of a fleet, all at once, each on a thread of its own.

A board is wire-bound, so a fleet takes as long as its slowest board; one device's failure
neither stops, slows nor hides another's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provision.core.planning.ownership import swapped_seats
from provision.engine.cancellation import Cancellation
from provision.engine.context import RunContext
from provision.engine.device_run import Claims, DeviceRun
from provision.engine.locate import Located, locate
from provision.engine.scheduler import FINISHING, STOPPING, run_all
from provision.engine.task import Target, Task
from provision.errors import Interrupted
from provision.model.event import Notice, RunFinished, RunStarted
from provision.model.report import RunReport
from provision.model.state import DesiredState, PortSelector


def run(
    states: Sequence[DesiredState],
    task: Task,
    context: RunContext,
    cancel: Cancellation,
    *,
    fleet: str,
    owned: Sequence[PortSelector] = (),
    manifest: str | None = None,
    commit: str | None = None,
    host: str | None = None,
) -> RunReport:
    """Do a task with every device; the report has them in the order of `states`.

    Errors of one device are in its report; errors of the inputs (an image that cannot be read)
    are raised before any board is touched. Once `cancel` says so, or at the first
    KeyboardInterrupt, writes in progress are finished and the rest is skipped; a second
    KeyboardInterrupt is passed on. `owned` are the ports of the manifest's other devices.
    `manifest`, `commit` and `host` are those of `RunStarted`.
    """
    started = context.clock()
    context.emit(
        RunStarted(
            task=task.name,
            changes_boards=task.changes_boards,
            fleet=fleet,
            devices=tuple(state.device for state in states),
            manifest=manifest,
            commit=commit,
            host=host,
        )
    )
    targets: Sequence[Target] = [Target(desired=state) for state in states]
    located: Mapping[str, Located] = {}
    try:
        targets = task.prepare(states, context)
        located = locate(
            [target.desired for target in targets],
            context.discovery,
            context.connector,
            owned=[*owned, *(state.port for state in states if state.port)],
            match_by_mac=context.match_by_mac,
        )
    except KeyboardInterrupt:
        cancel.cancel()  # no board was touched yet: every device is skipped
    not_located = Interrupted("the run was cancelled")
    claims = Claims()
    devices = [
        DeviceRun(
            target,
            located.get(target.desired.device, not_located),
            task=task,
            context=context,
            cancel=cancel,
            claims=claims,
        )
        for target in targets
    ]
    run_all(
        devices,
        cancel,
        # A device that has no port ends at once, on whichever thread is free.
        forks=context.forks or max(1, sum(device.located for device in devices)),
        fail_fast=context.fail_fast,
        notice=lambda text: context.emit(Notice(message=text)),
        stopping=FINISHING if task.writes else STOPPING,
    )
    seats = swapped_seats(
        (target.desired, device.report.actual)
        for target, device in zip(targets, devices, strict=True)
        if device.report is not None
        and device.report.outcome == "refused"
        and device.report.actual is not None
    )
    if seats is not None and not context.match_by_mac:
        context.emit(Notice(message=seats))
    report = RunReport(
        devices=tuple(device.report for device in devices if device.report is not None),
        seconds=context.clock() - started,
        interrupted=cancel.cancelled(),
    )
    context.emit(
        RunFinished(
            seconds=report.seconds,
            exit_code=report.exit_code(detailed=context.detailed_exit_code),
            outcomes={item.device: item.outcome for item in report.devices},
            macs=_macs(states, context),
        )
    )
    return report


def _macs(states: Sequence[DesiredState], context: RunContext) -> dict[str, str]:
    known = {state.device: context.identities.known(state.device) for state in states}
    return {device: mac for device, mac in known.items() if mac is not None}
