"""When a board must not be touched: safety rules 1 and 2, as far as the states alone can tell.

Every refusal is made here, but for those of an image by its chip family. A refusal is a value with
a kind that scripts can rely on, and a message that names what was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from provision.core.chips.family import image_for_another_chip
from provision.core.chips.registry import family_of
from provision.core.planning.flash_plan import UNMOUNTABLE, lost_filesystem, unmountable
from provision.core.wording import file_size, listed, memory_size, printable
from provision.model.plan import (
    Action,
    EraseFlash,
    Plan,
    Refusal,
    RewriteFilesystem,
    WriteFile,
    phase_of,
)
from provision.model.state import ActualState, DesiredState, FirmwareIdentity


def refusals(
    desired: DesiredState,
    actual: ActualState,
    actions: Sequence[Action],
    in_the_way: Iterable[tuple[str, str, str]],
) -> Iterator[Refusal]:
    """Every reason not to carry out `actions`. Another board than the one that is meant is
    refused even when nothing is to be done."""
    yield from another_board(desired, actual)
    if actions:
        yield from _unproved(desired, actual)
    if any(phase_of(action) == "flash" for action in actions):
        yield from _too_small(desired, actual)
    needs_firmware = bool(desired.files or desired.nvs) or desired.check is not None
    if needs_firmware and desired.firmware is None and actual.firmware is None:
        why = f" as it must: {actual.repl_error}," if actual.repl_error else ","
        yield Refusal(
            kind="no-firmware",
            message=f"no MicroPython answers{why} and the manifest names no firmware for it",
            hint="give the device a `firmware:`, for example `firmware: 1.24.1`",
        )
        return
    renewed = any(isinstance(action, (EraseFlash, RewriteFilesystem)) for action in actions)
    if unmountable(desired, actual) and not renewed:
        yield Refusal(
            kind="no-filesystem",
            message=UNMOUNTABLE,
            hint="give the device a `firmware:` without `erase: never`: the filesystem is then "
            "written anew, with its files where they can be read",
        )
    lost = lost_filesystem(desired, actual)
    if lost is not None:
        yield Refusal(
            kind="filesystem-lost",
            message=f"its filesystem would be lost, and the manifest says erase: never: {lost}",
            hint="choose another firmware, or leave `erase: never` out: "
            "`provision plan` then lists what is lost",
        )
    for kind, path, dest in in_the_way:
        # One manifest cannot say both: that it is absent, and that something is there.
        once = f"run `provision apply` once with `{{dest: {path}, state: absent}}`"
        if kind == "directory":
            yield Refusal(
                kind="directory-in-the-way",
                message=f"{path} is a directory on the board and is to be a file",
                hint=f"write `dest: {path}/` to put the file into it; to have the directory and "
                f"all in it deleted, {once} in place of this file",
            )
        else:
            yield Refusal(
                kind="file-in-the-way",
                message=f"{path} is a file on the board, and {dest} is to be a file",
                hint=f"to have it deleted, {once} in place of what goes below it",
            )


def needs_consent(
    plan: Plan, actual: ActualState, *, known: bool, interrupted: bool, unproved: bool = False
) -> Refusal | None:
    """Rule 2: why a plan may not be carried out unless somebody says yes, or None.

    A yes is needed for whatever is lost; where nobody could look at the flash; and to erase a
    board of which no run before has learned whose it is (`known`). So it is to delete files by a
    run's own order (`unproved`) on a board that neither manifest nor lock knows. A board on which a
    run that erased it for this very device was `interrupted`, and which has not answered since, has
    had its yes.
    """
    if interrupted:
        return None
    lost = plan.losses
    if lost:
        what = f"{listed(lost)} would be lost"
    elif plan.erases and not known:
        what = "its board would be erased, and is not in fleet.lock yet"
    elif plan.erases and actual.flash is None:
        what = "its board would be erased, and nobody could look at what is on it"
    elif unproved and plan.deleted:
        gone = listed([printable(path) for path in plan.deleted])
        what = f"{gone} would be deleted, and its board is not in fleet.lock yet"
    else:
        return None
    return Refusal(
        kind="needs-consent",
        message=what,
        hint="check `provision plan`, then run `provision apply --yes`",
    )


def older_view(firmware: FirmwareIdentity, disk_version: int) -> Refusal:
    """What a firmware shows of the files is not all that there is."""
    version = f"{disk_version >> 16}.{disk_version & 0xFFFF}"
    return Refusal(
        kind="older-view",
        message=f"the files on this board were last written in LittleFS {version}; MicroPython "
        f"{firmware.version} cannot read that, shows an older state of them, and would write over "
        "the newer",
        hint="another tool flashed the older version: apply MicroPython 1.22 or newer first, which "
        "shows the newer files and keeps them; from there `provision apply` goes back to any "
        "version with all files",
    )


def unflashable(address: str) -> Refusal:
    """Firmware cannot be written over every link."""
    return Refusal(
        kind="unflashable-link",
        message=f"firmware cannot be written over {address}",
        hint="reach the board by its serial port or an rfc2217:// URL; one that takes its firmware "
        "as a USB drive, by a port of this computer",
    )


def declined(what: str = "erasing its board") -> Refusal:
    """Somebody was asked, and said no."""
    return Refusal(kind="declined", message=f"{what} was declined", hint="nothing was written")


# More entries than this are no advice that anybody follows by hand.
MOST_IN_A_HINT = 5


def no_room(
    missing: int,
    free: int | None,
    largest: WriteFile | None = None,
    in_the_way: Sequence[str] = (),
) -> Refusal:
    """The files do not fit beside what is on the board; without the old content of those that are
    in the way, they would."""
    entries = ", ".join(f"`{{dest: {path}, state: absent}}`" for path in in_the_way)
    room = "" if free is None else f" than the {free:,} that are free on the board"
    named = f" (the largest: {file_size(largest.path, largest.size)})" if largest else ""
    return Refusal(
        kind="no-room",
        message=f"the files need {missing:,} bytes more{room}{named}",
        hint="a file on the board stays until its new content is there and checked, which takes "
        f"room for both; to have it deleted first, run `provision apply` once with {entries} "
        "in place of what goes there"
        if 0 < len(in_the_way) <= MOST_IN_A_HINT
        else "let the manifest bring fewer or smaller files, or delete some that are on the board "
        "with `state: absent`",
    )


def too_many_files(message: str) -> Refusal:
    """The files do not fit even an empty filesystem."""
    return Refusal(
        kind="no-room",
        message=message,
        hint="let the manifest bring fewer or smaller files",
    )


def flash_size_unknown() -> Refusal:
    """Neither the chip nor the board profile says how large the flash is."""
    return Refusal(
        kind="flash-size-unknown",
        message="the board does not report the size of its flash",
        hint="give the board a `flash_size:`",
    )


def board_taken(mac: str, owner: str) -> Refusal:
    """Two devices of one run met the same board."""
    return Refusal(
        kind="board-taken",
        message=f"the board with the MAC {mac} answers on its port and on that of {owner}",
        hint="one board must be reached by one port only; check the ports of both",
    )


def board_exchanged(before: ActualState, now: ActualState) -> Refusal | None:
    """Why the board that answers `now` is another than the one that answered `before`, or None.
    What one of the two does not tell speaks neither for nor against it."""
    if before.mac and now.mac and _plain(before.mac) != _plain(now.mac):
        found = f"{now.mac} answers now, {before.mac} did before"
    elif before.chip and now.chip and before.chip != now.chip:
        found = f"an {now.chip.label} answers now, an {before.chip.label} did before"
    else:
        return None
    return Refusal(
        kind="board-exchanged",
        message=f"the board was exchanged during the run: {found}",
        hint="leave the board on its port until the run has ended; check with `provision plan` "
        "what both boards are now",
    )


def plan_outdated(why: str) -> Refusal:
    """A saved plan is for a board as it was then."""
    return Refusal(
        kind="plan-outdated",
        message=f"the board is no longer as it was when the plan was made: {why}",
        hint="nothing was written; make a new plan with `provision plan --out FILE`",
    )


def another_board(desired: DesiredState, actual: ActualState) -> Iterator[Refusal]:
    """Why the board is not the one that is meant, whatever is to be done with it."""
    board = desired.board
    if actual.chip is not None and actual.chip != board.chip:
        yield Refusal(
            kind="wrong-chip",
            message=f"the chip on this port is an {actual.chip.label}, "
            f"the board {board.name} has an {board.chip.label}",
            hint="check that the right board is on this port, and its board in the manifest",
        )
    identity = desired.firmware.identity if desired.firmware is not None else None
    if identity is not None and identity.chip != board.chip:
        yield image_for_another_chip("the firmware", identity.chip, board)
    if actual.mac:
        yield from _another_mac(desired, actual.mac)


def _another_mac(desired: DesiredState, mac: str) -> Iterator[Refusal]:
    """The board on the port is not the device's own, or is another device's."""
    device = desired.device
    owner = desired.owners.get(_plain(mac))
    another = owner if owner is not None and owner.device != device else None
    own = desired.owners.get(_plain(desired.mac)) if desired.mac else None
    if another is not None and another.declared:
        accept = f"change `mac:` of {another.device} in the manifest"
    elif own is not None and own.declared and own.device == device:
        accept = f"change `mac:` of {device} in the manifest"
    else:
        accept = f"accept it as {device}'s by `provision apply --accept-new-board {device}`"
    hint = f"plug the right board into this port, or {accept}"
    if another is not None and desired.mac:
        follow = "let `provision apply --match-by-mac` find each board"
        hint = f"plug the right board into this port, {follow}, or {accept}"
    if desired.mac and _plain(desired.mac) != _plain(mac):
        whose = f", that of {another.device}; " if another is not None else ", "
        yield Refusal(
            kind="wrong-mac",
            message=f"the board on this port is {mac}{whose}{device} is {desired.mac}",
            hint=hint,
        )
    elif another is not None:
        by = "the manifest declares" if another.declared else "fleet.lock knows"
        yield Refusal(
            kind="board-of-another",
            message=f"the board on this port is {mac}, which {by} as that of {another.device}",
            hint=hint,
        )


def _unproved(desired: DesiredState, actual: ActualState) -> Iterator[Refusal]:
    board = desired.board
    if actual.chip is None:
        yield Refusal(
            kind="chip-unknown",
            message=f"the board does not report its chip; {board.name} has an {board.chip.label}",
            hint="put the board in download mode and run again: its boot ROM reports the chip",
        )
    if desired.mac and not actual.mac:
        yield Refusal(
            kind="identity-unproved",
            message=f"the board does not report its MAC; {desired.device} is {desired.mac}",
            hint="put the board in download mode and run again: its boot ROM reports the MAC"
            if family_of(board.chip).rom_tells_identity(board.chip)
            else "its boot ROM does not say which board it is, and nothing else runs: plug it in "
            "anew, so that its MicroPython tells; one that has none any more is taken for this "
            f"device's by `provision apply --accept-new-board {desired.device}`",
        )
    if actual.secured is not None:
        yield Refusal(
            kind="secured",
            message=f"{actual.secured} is on: writing could leave the board dead",
            hint="such a board can only be updated by whoever holds its keys",
        )


def _too_small(desired: DesiredState, actual: ActualState) -> Iterator[Refusal]:
    """The flash is smaller than the board's, or than what its header shall claim (a D1 mini Pro
    says 4 MB on purpose)."""
    board = desired.board
    wanted = family_of(board.chip).flash_claimed(board) or board.flash_size
    if wanted is not None and actual.flash_size is not None and actual.flash_size < wanted:
        yield Refusal(
            kind="flash-too-small",
            message=f"the flash holds {memory_size(actual.flash_size)}, "
            f"the board {board.name} has {memory_size(wanted)}",
            hint="check the board in the manifest, or extend it with the flash_size it really has",
        )


def _plain(mac: str) -> str:
    return mac.lower().replace("-", ":")
