"""Safe boot: boot.py and main.py are kept from starting while a board must restart and answer.

An app that gave its REPL once need not give it again: it may reset in a loop, swallow Ctrl-C, or
arm a watchdog that bites while files are sent. Where such a board has to be reset with its files
kept, its start-up files are renamed before and restored after, so that nothing runs in between.
They are never lost: the next look sees them as themselves, and the next apply restores them.
"""

from __future__ import annotations

from collections.abc import Callable

from provision.engine.session import Session
from provision.errors import BoardError, NoAnswer, ProvisionError
from provision.interfaces import Repl

STARTUP_DISABLED = (
    "boot.py and main.py are disabled, so its app does not start; run `provision apply` again"
)


def disable_startup(session: Session, note_state: Callable[[str], None]) -> bool:
    """Keep the app of a board that will be reset from starting; whether there was one.

    A failure is no reason to stop: most apps give their REPL again.
    """
    for reset in (False, True):
        if reset and not session.can_reset:
            break
        try:
            disabled = session.repl(reset=reset).disable_startup()
        except (NoAnswer, BoardError) as error:
            session.note(f"could not keep the app from starting: {error.message}")
            continue
        if disabled:
            session.note(f"kept from starting: {', '.join(sorted(disabled))}")
            note_state(STARTUP_DISABLED)
        return bool(disabled)
    return False


def restore_app(session: Session, note_state: Callable[[str], None]) -> None:
    """Give a board that was not written after all its app back, and start it; when that fails,
    `note_state` has told so."""
    try:
        if session.can_reset or session.in_download_mode:
            session.restart()
        session.repl().restore_startup()
        note_state("nothing was changed")
        session.restart()
    except ProvisionError as error:
        session.note(f"the app is still kept from starting: {error.message}")


def restart_without_app(session: Session, note_state: Callable[[str], None]) -> Repl:
    """The REPL of a board that was reset, which disarms its watchdog, and ran nothing since."""
    session.stage("boot")
    repl = session.repl(reset=session.can_reset)
    if repl.disable_startup():
        note_state(STARTUP_DISABLED)
    session.restart()
    repl = session.repl()
    repl.restore_startup()
    return repl
