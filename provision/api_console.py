"""The part of `api` that is about what boards do and print: of their apps, which it can restart, of
code that is run on them, and while they follow a project that somebody edits. Its functions are
`api`'s own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provision.app import run_task
from provision.engine.cancellation import Cancellation
from provision.engine.context import MANUAL_TIMEOUT
from provision.engine.event_stream import OnEvent, OnPrinted
from provision.engine.tasks.logs import LogsTask
from provision.engine.tasks.repl import ReplTask
from provision.engine.tasks.reset import ResetTask
from provision.engine.tasks.run_code import RunCodeTask
from provision.errors import UsageError
from provision.interfaces import Terminal
from provision.model.report import RunReport
from provision.project.fleet import Fleet

# The raw REPL's own: it would end the code there.
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\f\r")


def run_code(
    fleet: Fleet,
    code: str | bytes,
    *,
    file: str = "<stdin>",
    limit: Sequence[str] = (),
    forks: int = 0,
    match_by_mac: bool = False,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Run code on the boards, in the interpreter of the app that it interrupts; apps are started
    again afterwards. What boards print arrives as `ConsoleLine` events; `file` is the code's name
    in tracebacks. "failed" is a device whose code raised an exception.

    UsageError for code that is no text. The other arguments are those of `plan`.
    """
    source = code.encode() if isinstance(code, str) else code.removeprefix(b"\xef\xbb\xbf")
    if not _is_text(source):
        raise UsageError(
            f"{file} is no MicroPython source: it holds what is no text in UTF-8",
            hint="bytecode (.mpy) cannot be run; give the source that it was made from",
        )
    return run_task(
        fleet,
        RunCodeTask(code=source, file=file),
        cancel,
        limit=limit,
        on_event=on_event,
        match_by_mac=match_by_mac,
        forks=forks,
    )


def logs(
    fleet: Fleet,
    *,
    seconds: float | None = None,
    since_boot: bool = False,
    limit: Sequence[str] = (),
    on_event: OnEvent | None = None,
    on_printed: OnPrinted | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """What the boards print, as `ConsoleLine` events, for so many seconds or until `cancel` says
    so; with `on_printed` as `Printed` there, those of a board that came at once together, which
    costs far less where boards print much, and not to `on_event`. Not a byte is sent to boards,
    unless they are to be restarted first, `since_boot`. A port that goes away later on is waited
    for, and told in a `Notice`."""
    task = LogsTask(seconds=seconds, since_boot=since_boot)
    return run_task(fleet, task, cancel, limit=limit, on_event=on_event, on_printed=on_printed)


def repl(
    fleet: Fleet,
    terminal: Terminal,
    *,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """The prompt of the board of a fleet of one device on a terminal, which is open for that time
    only, until Ctrl-] is typed. What the board prints is not masked."""
    return run_task(fleet, ReplTask(terminal=terminal), cancel, limit=(), on_event=on_event)


def _is_text(source: bytes) -> bool:
    try:
        source.decode()
    except UnicodeDecodeError:
        return False
    return _CONTROLS.isdisjoint(source)


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
    from provision.app_watch import watch_fleet

    return watch_fleet(fleet, reload, reset=reset, limit=limit, on_event=on_event, cancel=cancel)


def reset(
    fleet: Fleet,
    *,
    limit: Sequence[str] = (),
    forks: int = 0,
    match_by_mac: bool = False,
    operator: bool = False,
    manual_timeout: float = MANUAL_TIMEOUT,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Restart the boards; nothing is written. One that is not the device's own is refused. The
    arguments are those of `plan`."""
    return run_task(
        fleet,
        ResetTask(),
        cancel,
        limit=limit,
        on_event=on_event,
        operator=operator,
        manual_timeout=manual_timeout,
        match_by_mac=match_by_mac,
        forks=forks,
    )
