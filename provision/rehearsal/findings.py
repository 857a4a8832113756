"""What is found wanting of a twin, in words for whoever has to correct the manifest or the app.

What `apply` says of a real board speaks of cables and buttons, which a twin does not have.
"""

from __future__ import annotations

from provision.core.rehearsal.report import Finding
from provision.core.wording import listed, one_line
from provision.errors import CheckFailed, NoAnswer, ProvisionError, Refused, RolledBack
from provision.model.board_path import STARTUP_FILES
from provision.model.state import DesiredState

_HEARD = "; last heard: "


def finding_of(error: ProvisionError, desired: DesiredState, *, runs: bool) -> Finding:
    """Of an apply that did not end well; `runs`: the twin's program does, and is neither asleep nor
    being started."""
    if isinstance(error, NoAnswer) and runs:  # a twin's line and supply are sound
        return repl_kept_away(error, desired)
    hint = error.hint
    if isinstance(error, NoAnswer):
        hint = (
            "the twin was asleep, or restarting: have the app stay awake for a second after it "
            "starts, so that apply can prove that it runs"
        )
    if isinstance(error, CheckFailed | RolledBack) and desired.check is not None:
        hint = (
            "correct the app, or its `check:`. Nothing is wired to a twin's pins, and it is on no "
            "network: a check that needs those passes on the real board alone, and "
            "--skip-checks rehearses without"
        )
    elif isinstance(error, Refused) and "--yes" in hint:
        hint = "give --yes if that is wanted, as to `provision apply`; or do not ask for it"
    message, detail = _parts(error)
    return Finding(code=error.code, message=message, hint=one_line(hint), detail=detail)


def repl_kept_away(error: ProvisionError, desired: DesiredState) -> Finding:
    """Of an app that does not let go of the board."""
    files = [path for path in STARTUP_FILES if path in desired.files_by_dest]
    who = listed(files) or "the app"
    message, detail = _parts(error)
    return Finding(
        code="repl-blocked",
        message=f"{who} never {'yields' if len(files) < 2 else 'yield'} the REPL: once the app "
        "runs, Ctrl-C does not interrupt it",
        hint="let Ctrl-C through: no `micropython.kbd_intr(-1)`, no `except KeyboardInterrupt` or "
        "bare `except:` that goes on. Where that is wanted, --allow repl-blocked: `apply` then has "
        "to reset the board, and without reset lines somebody has to press its button",
        detail=f"{message}; {detail}" if detail else message,
    )


def _parts(error: ProvisionError) -> tuple[str, str]:
    """What an error says, and what was heard of the board at that moment."""
    message, heard, rest = one_line(error.message).partition(_HEARD)
    return message, f"{heard.removeprefix('; ')}{rest}"
