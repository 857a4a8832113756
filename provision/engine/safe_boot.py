"""Hold the app: boot.py and main.py keep from starting while a board must restart and answer.

An app that gave its REPL once need not give it again: it may reset in a loop, swallow Ctrl-C, or
arm a watchdog that bites while files are sent. Where such a board has to be reset with its files
kept, they are held by name before and released after, so that nothing runs in between. Held files
are never lost: the next look sees them as themselves, and the next apply gives them back.
"""

from __future__ import annotations

from collections.abc import Callable

from provision.engine.session import Session
from provision.errors import BoardError, NoAnswer, ProvisionError
from provision.interfaces import Repl

HELD = "boot.py and main.py are held back, so that its app does not start; apply again"


def hold(session: Session, stands: Callable[[str], None]) -> bool:
    """Hold the app of a board that will be reset; whether there was one to hold.

    One that cannot be held is gone on with: most apps give their REPL again.
    """
    for reset in (False, True):
        if reset and not session.can_reset:
            break
        try:
            held = session.repl(reset=reset).hold()
        except (NoAnswer, BoardError) as error:
            session.note(f"the app cannot be held: {error.message}")
            continue
        if held:
            session.note(f"held: {', '.join(sorted(held))}")
            stands(HELD)
        return bool(held)
    return False


def let_go(session: Session, stands: Callable[[str], None]) -> None:
    """Give a board that was not written after all its app back, and start it; when that fails,
    `stands` has told so."""
    try:
        if session.can_reset or session.mode == "bootloader":
            session.restart()
        session.repl().release()
        stands("nothing was changed")
        session.restart()
    except ProvisionError as error:
        session.note(f"the app is still held: {error.message}")


def restart_without_app(session: Session, stands: Callable[[str], None]) -> Repl:
    """The REPL of a board that was reset, which disarms its watchdog, and ran nothing since."""
    session.stage("boot")
    repl = session.repl(reset=session.can_reset)
    if repl.hold():
        stands(HELD)
    session.restart()
    repl = session.repl()
    repl.release()
    return repl
