"""What goes wrong with a board while it is applied to: its cable is pulled, its power is cut.

Drawn from dice, so that the same seed has the same faults. `provision rehearse` draws them for the
twins of a user's boards, the campaign of the tests (`tests/campaign`) for its own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from provision.model.language import record

CABLE = 0.3  # seconds for which a cable is out that is only briefly unplugged
SUPPLY = 0.2  # seconds for which the power is gone that comes back by itself

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "cable": ("unplug", "unplug-briefly"),
    "power": ("cut-erase", "cut-write"),
}
"""The faults, by what they are faults of: no twin has two of the same."""
_WEIGHTS = {"unplug": 4, "unplug-briefly": 3, "cut-erase": 3, "cut-write": 5}
_UNDISTURBED = 0.05  # of all twins
_WIDEST = {"cut-write": 8.0}  # as powers of 2
_MOST_BYTES = 17.5


@record(slots=False)
class BoardFault:
    """`bytes`: over the wire before the cable is pulled; `after`: erases or writes of the flash
    before the power goes; `stays`: whether the power is gone until somebody brings it back."""

    kind: str
    bytes: int = 0
    after: int = 1
    stays: bool = False

    def __str__(self) -> str:
        match self.kind:
            case "unplug":
                return f"cable pulled after {self.bytes:,} bytes"
            case "unplug-briefly":
                return f"cable pulled for {CABLE:g} s after {self.bytes:,} bytes"
            case "cut-erase" | "cut-write":
                work = "erase" if self.kind == "cut-erase" else "write"
                lost = "" if self.stays else f" for {SUPPLY:g} s"
                return f"power cut{lost} in flash {work} {self.after}"
            case _:
                return self.kind

    @property
    def order(self) -> tuple[str, dict[str, float]]:
        """What a virtual board is asked for: the name of its fault, and the arguments."""
        match self.kind:
            case "unplug":
                return "unplug", {"bytes": self.bytes}
            case "unplug-briefly":
                return "unplug", {"bytes": self.bytes, "replug": CABLE}
            case _:
                again = {} if self.stays else {"again": SUPPLY}
                return self.kind, {"after": self.after, **again}


def draw_amounts(dice: random.Random, widest: float = 4.0) -> tuple[int, int]:
    """After how many bytes, and in which piece of work of the flash (2 to the power of `widest` at
    most); small numbers as often as large ones."""
    return int(2 ** dice.uniform(0, _MOST_BYTES)), int(2 ** dice.uniform(0, widest))


def draw_board_faults(seed: int, device: str) -> tuple[BoardFault, ...]:
    """Of one twin in the run of a seed, whichever other devices are in it: none, one, or one of
    each family."""
    dice = random.Random(f"{seed} {device}")  # a text is hashed by SHA-512: the same everywhere
    if dice.random() < _UNDISTURBED:
        return ()
    drawn = []
    for kinds in FAMILIES.values():
        (kind,) = dice.choices(kinds, [_WEIGHTS[each] for each in kinds])
        passed, work = draw_amounts(dice, _WIDEST.get(kind, 4.0))
        stays = dice.random() < 0.5
        drawn.append(BoardFault(kind=kind, bytes=passed, after=work, stays=stays))
    both = dice.random() < 0.5
    first = dice.randrange(len(drawn))
    return tuple(drawn) if both else (drawn[first],)
