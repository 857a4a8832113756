"""The Python API: what the command line does, in a few calls with typed results.

>>> from provision import load, plan, apply          # doctest: +SKIP
>>> fleet = load("fleet.yaml")                        # doctest: +SKIP
>>> plan(fleet).pending                               # doctest: +SKIP
True
>>> report = apply(fleet, yes=True)                   # doctest: +SKIP
>>> report.exit_code()                                # doctest: +SKIP
0

`load` raises ManifestError with every problem of the manifest. `plan`, `apply` and `facts` return
a `RunReport` with one `DeviceReport` a device, in manifest order; errors of single devices are in
their reports, never raised. Events arrive at `on_event` as they happen, from many threads, or one
after the other from a `stream`. Another thread stops a run by the `Cancellation` that was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from provision.app import open_fleet as load
from provision.app import run_task, status_of
from provision.core.planning.rollout import draw_batches
from provision.core.wording import listed
from provision.engine.cancellation import Cancellation
from provision.engine.context import MANUAL_TIMEOUT, Confirm
from provision.engine.discover import Arrivals, FoundPort
from provision.engine.event_stream import EventStream, OnEvent, stream
from provision.engine.tasks.apply import ApplyTask
from provision.engine.tasks.check import CheckTask
from provision.engine.tasks.facts import FactsTask
from provision.engine.tasks.plan import PlanTask
from provision.errors import UsageError
from provision.model.event import Event, ManualActionNeeded, Notice
from provision.model.plan import Batches, Plan, Rollout, Share
from provision.model.report import DeviceReport, RunReport
from provision.model.state import ActualState, BoardEntry, Part
from provision.output.scrub import scrub
from provision.project.apply_records import LastApply
from provision.project.device_status import DeviceStatus, FleetStatus
from provision.project.fleet import Fleet

if TYPE_CHECKING:
    from provision.api_console import logs, repl, reset, run_code, watch
    from provision.api_files import (
        ShownFile,
        backup,
        cat,
        fetch,
        ls,
        read_backup,
        restore,
        rollback,
        send,
    )
    from provision.api_import import BoardImport, Imported
    from provision.api_manifest import (
        FleetHosts,
        NamedBoard,
        Naming,
        NewManifest,
        arrivals,
        ask,
        discover,
        hosts,
        init,
        merge_lock,
        naming,
        ports_named,
    )
    from provision.api_project.needs import (
        LockResult,
        ValidManifest,
        VendorResult,
        build_image,
        lock,
        validate,
        vendor,
    )
    from provision.api_project.plans import check_plan_path, made_here, open_planned, save_plan
    from provision.api_station import MadeUnit, StationManifest, open_station
    from provision.output.saved.plan_file import SavedPlan, is_saved_plan, read_plan
    from provision.project.backups import SavedBackup
    from provision.rehearsal.rehearse import Rehearsal, Start, rehearse
    from provision.sources.lock_resolution import EVERYTHING

__all__ = [
    "EVERYTHING",
    "ActualState",
    "Arrivals",
    "BoardEntry",
    "BoardImport",
    "Cancellation",
    "Confirm",
    "DeviceReport",
    "DeviceStatus",
    "Event",
    "EventStream",
    "Fleet",
    "FleetHosts",
    "FleetStatus",
    "FoundPort",
    "Imported",
    "LastApply",
    "LockResult",
    "MadeUnit",
    "ManualActionNeeded",
    "NamedBoard",
    "Naming",
    "NewManifest",
    "Plan",
    "Rehearsal",
    "Rollout",
    "RunReport",
    "SavedBackup",
    "SavedPlan",
    "Share",
    "ShownFile",
    "Start",
    "StationManifest",
    "ValidManifest",
    "VendorResult",
    "apply",
    "arrivals",
    "ask",
    "backup",
    "build_image",
    "cat",
    "check",
    "check_plan_path",
    "discover",
    "facts",
    "fetch",
    "hosts",
    "init",
    "is_saved_plan",
    "load",
    "lock",
    "logs",
    "ls",
    "made_here",
    "merge_lock",
    "naming",
    "open_planned",
    "open_station",
    "plan",
    "ports_named",
    "read_backup",
    "read_plan",
    "rehearse",
    "repl",
    "reset",
    "restore",
    "rollback",
    "run_code",
    "save_plan",
    "send",
    "status",
    "stream",
    "validate",
    "vendor",
    "watch",
]

_ELSEWHERE = {
    "provision.sources.lock_resolution": "EVERYTHING",
    "provision.api_console": "logs repl reset run_code watch",
    "provision.api_files": "SavedBackup ShownFile backup cat fetch ls read_backup restore rollback "
    "send",
    "provision.api_import": "BoardImport Imported",
    "provision.api_manifest": "FleetHosts NamedBoard Naming NewManifest arrivals ask discover "
    "hosts init merge_lock naming ports_named",
    "provision.api_project.needs": "LockResult ValidManifest VendorResult build_image lock "
    "validate vendor",
    "provision.api_project.plans": "check_plan_path made_here open_planned save_plan",
    "provision.output.saved.plan_file": "SavedPlan is_saved_plan read_plan",
    "provision.api_station": "MadeUnit StationManifest open_station",
    "provision.rehearsal.rehearse": "Rehearsal Start rehearse",
}


def __getattr__(name: str) -> object:
    """What only some commands need is imported when it is first asked for."""
    for module, names in _ELSEWHERE.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def plan(
    fleet: Fleet,
    *,
    limit: Sequence[str] = (),
    match_by_mac: bool = False,
    forks: int = 0,
    accept_new_boards: Sequence[str] = (),
    diff: bool = False,
    fresh: bool = False,
    only: Part | None = None,
    operator: bool = False,
    manual_timeout: float = MANUAL_TIMEOUT,
    detailed_exit_code: bool = False,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Observe the boards and say what would change; nothing does.

    `limit` selects devices as `--limit` does; `forks` is how many at once, 0 for all. With `diff`,
    `FileDiffed` events tell how text files would change. `fresh`, `only`, `match_by_mac`,
    `accept_new_boards`, `operator` and `manual_timeout` are those of `apply`.
    `detailed_exit_code` has pending changes tell themselves as exit code 6 in the event
    `RunFinished`.
    """
    return run_task(
        fleet,
        PlanTask(
            contents=diff,
            accept_new=fleet.select_new_boards(accept_new_boards, limit),
            fresh=fresh,
            only=only,
        ),
        cancel,
        limit=limit,
        match_by_mac=match_by_mac,
        on_event=on_event,
        operator=operator,
        manual_timeout=manual_timeout,
        forks=forks,
        detailed_exit_code=detailed_exit_code,
    )


def apply(
    fleet: Fleet,
    *,
    limit: Sequence[str] = (),
    match_by_mac: bool = False,
    yes: bool = False,
    forks: int = 0,
    fail_fast: bool = False,
    accept_new_boards: Sequence[str] = (),
    diff: bool = False,
    fresh: bool = False,
    only: Part | None = None,
    rollout: Rollout | None = None,
    resume: str | None = None,
    saved: SavedPlan | None = None,
    operator: bool = False,
    manual_timeout: float = MANUAL_TIMEOUT,
    confirm: Confirm | None = None,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Make the boards match.

    Boards that would be erased and are not in fleet.lock are refused, unless `yes`, or
    `confirm(device, plan)` says so. With `operator`, a board that needs somebody to press a button
    is waited for `manual_timeout` seconds; `on_event` gets a `ManualActionNeeded` with the
    instructions every second. `accept_new_boards` names, as `limit` does, devices that may have got
    another board. With `match_by_mac`, a device whose MAC is declared or learned is
    found by it on the ports of all selected devices and on those that are no device's. With
    `fail_fast`, no device is begun after one has failed. `fresh`, which is to be asked for before,
    deletes whatever no entry of the manifest manages, cards excepted, and restarts every board.
    `only` has it do the files, or the firmware, and leave the rest undone, which is told.
    `rollout` has the devices begin in batches, in place of the manifest's own; where it stops,
    `stopped` of the report says why. `resume` goes on with an earlier apply, by the id of its
    record or as "last": with the devices that it did not leave as they have to be now, in its own
    batches where no `rollout` is given. With a plan that was `saved`, and the fleet that
    `open_planned` gives for it, a device is refused where there is anything else to be done now;
    `fresh` and `accept_new_boards` are the plan's.
    """
    if saved is not None:
        from provision.api_project.plans import planned_of

        fresh, limit = saved.fresh, planned_of(fleet, saved, limit)
    batches: Batches | None = None
    if resume is not None:
        from provision.api_project.resume import go_on_with

        left = go_on_with(fleet, limit, resume)
        limit, resume, batches = left.devices, left.run, left.batches
        if left.again and on_event is not None:
            again = (
                f"to be done again, as they have to be something else since: {listed(left.again)}"
            )
            on_event(Notice(message=again))
    if rollout is not None or batches is None:
        rollout = rollout or fleet.rollout
        batches = draw_batches(fleet.select(limit), rollout) if rollout is not None else None
    if saved is not None:
        accept_new_boards = [device for device in saved.accept_new if device in limit]
    return run_task(
        fleet,
        ApplyTask(
            yes=yes,
            accept_new=fleet.select_new_boards(accept_new_boards, limit),
            contents=diff,
            fresh=fresh,
            only=only,
            differs=partial(_differs, fleet, saved) if saved is not None else None,
        ),
        cancel,
        limit=limit,
        match_by_mac=match_by_mac,
        on_event=on_event,
        operator=operator,
        manual_timeout=manual_timeout,
        confirm=confirm,
        forks=forks,
        fail_fast=fail_fast,
        batches=batches,
        resumes=resume,
    )


def _differs(fleet: Fleet, saved: SavedPlan, plan: Plan, actual: ActualState) -> str | None:
    return saved.devices[plan.device].differs(scrub(plan, fleet.masked), actual)


def check(
    fleet: Fleet,
    *,
    limit: Sequence[str] = (),
    forks: int = 0,
    match_by_mac: bool = False,
    operator: bool = False,
    manual_timeout: float = MANUAL_TIMEOUT,
    detailed_exit_code: bool = False,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Restart the boards whose devices have a check, and run it: "ok" of one that is as it must be
    and passed, "pending" of one that passed and has changes to come, "failed" of one whose app did
    not prove that it runs. Nothing is written; the next `plan` knows what came of it.

    Devices without a check are left out; UsageError when none is left. The arguments are those of
    `plan`.
    """
    names = [state.device for state in fleet.select(limit) if state.check is not None]
    if not names:
        raise UsageError(
            "none of these devices has a check",
            hint="declare one, as in `check: {console: ready}`; docs/manifest.md has its keys",
        )
    return run_task(
        fleet,
        CheckTask(),
        cancel,
        limit=names,
        on_event=on_event,
        operator=operator,
        manual_timeout=manual_timeout,
        match_by_mac=match_by_mac,
        forks=forks,
        detailed_exit_code=detailed_exit_code,
    )


def facts(
    fleet: Fleet,
    *,
    limit: Sequence[str] = (),
    nvs: bool = False,
    forks: int = 0,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Observe the boards and report what they are, as the `actual` of each device's report, with
    `nvs` the entries of their NVS too; whatever the manifest wants of them, nothing changes."""
    task = FactsTask(nvs=nvs)
    return run_task(fleet, task, cancel, limit=limit, on_event=on_event, forks=forks)


def status(fleet: Fleet, *, limit: Sequence[str] = ()) -> FleetStatus:
    """What the last apply of each device came to, on this computer, and whether its port is plugged
    in. No board is touched; `plan` is what looks at them."""
    return status_of(fleet, limit)
