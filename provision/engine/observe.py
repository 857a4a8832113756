"""Observe: learn what a board is, from the cheapest evidence up.

The REPL answers everything in one round trip. A main.py that hogs it is caught by a reset and
an early interrupt. A blank, foreign or dead board is asked in its bootloader.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import md5
from posixpath import dirname

from provision.core.chips.registry import family_of
from provision.engine.session import Session
from provision.errors import NoAnswer
from provision.interfaces import BootloaderFacts, ReplFacts, ScanRequest
from provision.model.firmware import Firmware
from provision.model.state import ActualState, DesiredState, FileState, Filesystem


def scan_request(desired: DesiredState) -> ScanRequest:
    """What must be looked at to compare a board with what it must be."""
    paths = {file.dest for file in desired.files}
    for file in desired.files:
        parent = dirname(file.dest)
        while parent != "/":
            paths.add(parent)
            parent = dirname(parent)
    trees = {*desired.prune, *desired.absent}
    expected = {
        file.dest: FileState(size=file.content.size, sha256=file.content.sha256)
        for file in desired.files
        if not file.create_only
    }
    return ScanRequest(
        paths=tuple(sorted(paths - trees)), trees=tuple(sorted(trees)), expected=expected
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What was seen, and by which evidence: "repl", "reset" or "bootloader"."""

    actual: ActualState
    evidence: str
    bytecode: int | None = None


def observe(
    session: Session, request: ScanRequest, firmware: Firmware | None = None
) -> Observation:
    """The actual state of the session's board, of its files what `request` asks for; `firmware`
    is the image it shall run.

    Nothing on the board changes, and where its REPL answers it is not even reset, unless the
    manifest asks for `verify: flash`. Raises Unreachable when nothing answers at all.
    """
    try:
        observation = _at_repl(session, request, reset=False)
        return verified(session, observation, firmware)
    except NoAnswer as error:
        session.note(f"no REPL: {error.message}")
    proved = session.bootloader().facts()
    silent = holds_image(session, proved)
    if session.can_reset and silent:
        # There is something to boot: an app that keeps its REPL away has no chance to after a
        # reset. A blank board is not waited for.
        try:
            return _at_repl(session, request, reset=True)
        except NoAnswer as error:
            session.note(f"no REPL after a reset: {error.message}")
        proved = session.bootloader().facts()
    actual = replace(seen_in_bootloader(proved), silent=silent)
    return Observation(actual=actual, evidence="bootloader")


def _at_repl(session: Session, request: ScanRequest, *, reset: bool) -> Observation:
    facts, filesystem = session.repl(reset=reset).observe(request)
    return Observation(
        actual=seen_at_repl(facts, filesystem),
        evidence="reset" if reset else "repl",
        bytecode=facts.bytecode,
    )


def verified(session: Session, observation: Observation, firmware: Firmware | None) -> Observation:
    """With `verify: flash`, what the flash itself holds of the image that answers by its name."""
    desired, actual = session.desired, observation.actual
    if (
        firmware is None
        or desired.firmware is None
        or desired.firmware.verify != "flash"
        or actual.firmware is None
        or not actual.firmware.agrees_with(firmware.identity)
    ):
        return observation
    session.stage("verify-flash")
    bootloader = session.bootloader()
    flash_size = bootloader.facts().flash_size or actual.flash_size
    differs = tuple(
        region.name
        for region in family_of(firmware.chip).regions(firmware, desired.board, flash_size)
        if bootloader.md5(region.offset, len(region.data))
        != md5(region.data, usedforsecurity=False).hexdigest()
    )
    session.restart()
    return replace(observation, actual=replace(actual, flash_differs=differs))


def holds_image(session: Session, facts: BootloaderFacts) -> bool:
    """Whether the flash has the beginning of an image where the boot ROM looks for one."""
    if facts.secured is not None:
        return False
    family = family_of(facts.chip)
    return family.starts_image(session.bootloader().read(*family.image_start(facts.chip)))


def seen_at_repl(facts: ReplFacts, filesystem: Filesystem) -> ActualState:
    """What a running MicroPython proves. It cannot tell about secure boot: that a firmware of
    ours runs says that none stands in the way; the bootloader is asked again before a write."""
    return ActualState(
        chip=facts.firmware.chip,
        mac=facts.mac,
        flash_size=facts.flash_size,
        firmware=facts.firmware,
        filesystem=filesystem,
    )


def seen_in_bootloader(facts: BootloaderFacts) -> ActualState:
    """What the boot ROM proves: who the board is, and that no MicroPython answered."""
    return ActualState(
        chip=facts.chip, mac=facts.mac, flash_size=facts.flash_size, secured=facts.secured
    )
