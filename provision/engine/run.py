"""A run: one task over the devices of a fleet, each on a thread of its own: all at once, or where
it is asked for in batches.

A board is wire-bound, so a fleet takes as long as its slowest board; one device's failure
neither slows nor hides another's, and keeps none from beginning but where batches say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provision.core.planning.ownership import swapped_seats
from provision.core.planning.rollout import stopped_because
from provision.engine.cancellation import Cancellation
from provision.engine.context import RunContext, RunTime
from provision.engine.device_run import Claims, DeviceRun
from provision.engine.locate import Located, locate
from provision.engine.scheduler import FINISHING, STOPPING, run_all
from provision.engine.task import Target, Task
from provision.errors import Interrupted
from provision.model.event import BatchStarted, Notice, RolloutStopped, RunFinished, RunStarted
from provision.model.plan import Batches
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
    batches: Batches | None = None,
    resumes: str | None = None,
) -> RunReport:
    """Do a task with every device; the report has them in the order of `states`. With `batches`,
    which hold each of them once, no device is begun before the batch ahead of its own has ended
    well.

    Errors of one device are in its report; errors of the inputs (an image that cannot be read)
    are raised before any board is touched. Once `cancel` says so, or at the first
    KeyboardInterrupt, writes in progress are finished and the rest is skipped; a second
    KeyboardInterrupt is passed on. `owned` are the ports of the manifest's other devices.
    `manifest`, `commit`, `host` and `resumes` are those of `RunStarted`.
    """
    time = RunTime(context.clock)
    context.emit(
        RunStarted(
            task=task.name,
            changes_boards=task.changes_boards,
            fleet=fleet,
            devices=tuple(state.device for state in states),
            manifest=manifest,
            commit=commit,
            host=host,
            rollout=batches,
            resumes=resumes,
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
            run_time=time,
        )
        for target in targets
    ]
    steps = _Steps(context, batches)
    run_all(
        steps.of(devices),
        cancel,
        # A device that has no port ends at once, on whichever thread is free: one always is, while
        # others wait for an answer that is asked for once for all.
        forks=context.forks or 1 + sum(device.located for device in devices),
        begun=steps.begun,
        may_begin=steps.may_begin,
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
        seconds=time.seconds,
        interrupted=cancel.cancelled(),
        stopped=steps.stopped,
    )
    steps.tell(report)
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


class _Steps:
    """The batches of a run, one by one, and whether it goes on. `stopped` is why it does not."""

    def __init__(self, context: RunContext, batches: Batches | None) -> None:
        self.stopped: str | None = None
        self._context = context
        self._batches = batches
        self._number = 0

    def of(self, devices: Sequence[DeviceRun]) -> Sequence[Sequence[DeviceRun]]:
        """The devices by batches."""
        if self._batches is None:
            return [devices]
        by_name = {device.name: device for device in devices}
        return [[by_name[name] for name in batch] for batch in self._batches.devices]

    def begun(self, number: int) -> None:
        """A device of the batch of this number, from 0, is about to begin."""
        if self._batches is not None:
            batch = self._batches.devices[number]
            of = len(self._batches.devices)
            self._context.emit(BatchStarted(number=number + 1, of=of, devices=batch))

    def may_begin(self, number: int, failed: int) -> bool:
        """Whether another device of this batch may begin after so many have failed."""
        if self._context.fail_fast and failed:
            return False
        if self._batches is None:
            return True
        # Until a device of this batch has begun, it is the one before that has to have ended well.
        self.stopped = self.stopped or stopped_because(self._batches, self._number, failed)
        if self.stopped is None:
            self._number = number
        return self.stopped is None

    def tell(self, report: RunReport) -> None:
        """Tell of the devices that were not begun because of others that failed."""
        if self.stopped is None or self._batches is None:
            return
        left = tuple(one.device for one in report.devices if one.outcome == "skipped")
        self._context.emit(
            RolloutStopped(
                batch=self._number + 1,
                of=len(self._batches.devices),
                message=self.stopped,
                not_started=left,
            )
        )
