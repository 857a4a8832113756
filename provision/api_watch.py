"""The part of `api` that keeps boards in step with a project while somebody edits it. Its function
is `api`'s own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provision.app_watch import watch_fleet
from provision.engine.cancellation import Cancellation
from provision.engine.event_stream import OnEvent
from provision.model.report import RunReport
from provision.project.fleet import Fleet


def watch(
    fleet: Fleet,
    reload: Callable[[], Fleet],
    *,
    reset: bool = True,
    limit: Sequence[str] = (),
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Keep the files of the boards as the manifest says, whatever becomes of it on disk, until
    `cancel` says so; each change is a `DeviceUpdated`, what boards print are `ConsoleLine` events.

    `reload` is `load` with the arguments that the fleet was loaded with: it is called, from another
    thread, whenever something that the fleet hangs on has changed; an error that it raises is told
    as `EditFailed`, and boards keep what they have. With `reset` apps are started anew after each
    change. Firmware is never written; where the manifest asks for that, a `Notice` says so.
    """
    return watch_fleet(fleet, reload, reset=reset, limit=limit, on_event=on_event, cancel=cancel)
