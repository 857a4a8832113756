"""Which board this may be, by what can be seen of it: chip, flash, and the USB bridge before it.

Several boards can look alike. What is guessed carries its reason, and the others that fit: a person
decides.
"""

from __future__ import annotations

from collections.abc import Iterable

from provision.core.wording import listed, memory_size
from provision.model.board import BoardProfile, ResetWiring
from provision.model.chip import Chip
from provision.model.language import record


@record
class BoardGuess:
    """A profile, and why it was chosen, for a person to check."""

    board: BoardProfile
    reason: str


def guess_board(
    chip: Chip,
    flash_size: int | None,
    usb_id: str | None,
    profiles: Iterable[BoardProfile],
    machine: str = "",
) -> BoardGuess | None:
    """The board that the banner of its firmware names (`machine`: "Raspberry Pi Pico W with
    RP2040"), or that alone is sold with this chip, flash and bridge (`10c4:ea60`; None where no USB
    tells), else the chip's generic one, the profile that has its name. None for a chip that no
    profile is of."""
    of_chip = [board for board in profiles if board.chip == chip]
    said = machine.partition(" with ")[0]
    for board in of_chip:
        if said and _letters(board.title) == _letters(said):
            return BoardGuess(board=board, reason=f"its firmware is for the {said}")
    generic = next((board for board in of_chip if board.name == chip.name), None)
    fitting = [board for board in of_chip if board is not generic and _fits(board, flash_size)]
    if usb_id is not None:
        fitting = [board for board in fitting if usb_id in board.usb]
        # Sold with this bridge alone says more than sold with this among others.
        fewest = min((len(board.usb) for board in fitting), default=0)
        best = [board for board in fitting if len(board.usb) == fewest]
    else:
        best = fitting
    # Wiring cannot be seen. Where the boards differ in it, most people have the comfortable one.
    best = [board for board in best if board.reset is not ResetWiring.NONE] or best
    seen = [chip.label, *([memory_size(flash_size)] if flash_size is not None else [])]
    if usb_id is not None:
        seen.append(f"USB {usb_id}")
    what = ", ".join(seen)
    if len(best) == 1:
        others = [board.name for board in fitting if board is not best[0]]
        also = f"; {listed(others)} would fit as well" if others else ""
        return BoardGuess(board=best[0], reason=f"guessed from {what}{also}")
    if generic is None:
        return None
    names = [board.name for board in fitting]
    also = f"; may be {listed(names, joined_by='or')}" if names else ""
    return BoardGuess(board=generic, reason=f"{what}{also}")


def _letters(name: str) -> str:
    return name.replace(" ", "").casefold()


def _fits(board: BoardProfile, flash_size: int | None) -> bool:
    return board.flash_size is not None and board.flash_size == flash_size
