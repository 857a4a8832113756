"""Observe: learn what a board is, from the cheapest evidence up.

The REPL answers everything in one round trip. A main.py that hogs it is caught by a reset and
an early interrupt. A blank, foreign or dead board is asked by its flasher.
"""

from __future__ import annotations

from dataclasses import replace

from provision.core.chips.registry import family_of
from provision.engine.session import Session
from provision.errors import NoAnswer
from provision.interfaces import ScanRequest
from provision.model.board_path import ancestors
from provision.model.firmware import Firmware
from provision.model.state import ActualState, DesiredState, FileState


def scan_request(desired: DesiredState) -> ScanRequest:
    """What must be looked at to compare a board with what it must be."""
    paths = {file.dest for file in desired.files}
    paths |= {parent for file in desired.files for parent in ancestors(file.dest)}
    trees = {*desired.prune, *desired.absent}
    expected = {
        file.dest: FileState(size=file.content.size, sha256=file.content.sha256)
        for file in desired.files
        if not file.create_only
    }
    return ScanRequest(
        paths=tuple(sorted(paths - trees)), trees=tuple(sorted(trees)), expected=expected
    )


def observe(
    session: Session, request: ScanRequest, firmware: Firmware | None = None
) -> ActualState:
    """The actual state of the session's board, of its files what `request` asks for; `firmware`
    is the image it shall run.

    Nothing on the board changes, and where its REPL answers it is not even reset, unless the
    manifest asks for `verify: flash`. Raises Unreachable when nothing answers at all.
    """
    try:
        return verified(session, session.observe(request), firmware)
    except NoAnswer as error:
        session.note(f"no REPL: {error.message}")
    proved = session.flasher().identify()
    unresponsive = holds_image(session, proved)
    if session.can_reset and unresponsive:
        # There is something to boot: an app that keeps its REPL away has no chance to after a
        # reset. A blank board is not waited for.
        try:
            return session.observe(request, reset=True)
        except NoAnswer as error:
            session.note(f"no REPL after a reset: {error.message}")
        proved = session.flasher().identify()
    return replace(proved, repl_unresponsive=unresponsive)


def verified(session: Session, actual: ActualState, firmware: Firmware | None) -> ActualState:
    """With `verify: flash`, what the flash itself holds of the image that answers by its name."""
    desired = session.desired
    if (
        firmware is None
        or desired.firmware is None
        or desired.firmware.verify != "flash"
        or actual.firmware is None
        or not actual.firmware.agrees_with(firmware.identity)
    ):
        return actual
    session.stage("verify-flash")
    flasher = session.flasher()
    flash_size = flasher.identify().flash_size or actual.flash_size
    differs = flasher.differs(family_of(firmware.chip).regions(firmware, desired.board, flash_size))
    session.restart()
    return replace(actual, flash_differs=differs)


def holds_image(session: Session, proved: ActualState) -> bool:
    """Whether the flash has the beginning of an image where the boot ROM looks for one."""
    if proved.chip is None or proved.secured is not None:
        return False
    family = family_of(proved.chip)
    start = session.flasher().read(*family.image_start(proved.chip))
    return start is not None and family.starts_image(start)
