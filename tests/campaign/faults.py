"""What goes wrong during a run's first apply: two faults at a time, drawn with the run's dice.

Faults of the board and its line are ordered from the virtual board before the tool starts; those of
the computer limit the tool's process; the others happen while it runs, after something it said.
"""

from __future__ import annotations

import random
import signal

from provision.core.rehearsal.faults import BoardFault, draw_amounts
from provision.model.language import record

FAMILIES = {
    "none": "none",
    "unplug": "cable",
    "unplug-briefly": "cable",
    "port-renamed": "cable",
    "cut-erase": "power",
    "cut-write": "power",
    "drop": "noise",
    "flip": "noise",
    "exchange": "board",
    "sigkill": "end",
    "sigint": "end",
    "sigint-twice": "end",
    "sigterm": "end",
    "sighup": "end",
    "sigstop": "pause",
    "disk-full": "disk",
    "read-only": "disk",
    "state-gone": "disk",
    "rival": "rival",
    "lock-edited": "lock",
}
"""Each fault, and what it is a fault of: no run has two of the same."""
FAULTS = tuple(FAMILIES)
_WEIGHTS = (0, 4, 3, 3, 3, 5, 2, 2, 4, 6, 3, 2, 3, 2, 3, 1, 1, 4, 4, 3)
_UNDISTURBED = 0.05  # of all runs

SIGNALS = {
    "sigkill": (signal.SIGKILL,),
    "sigint": (signal.SIGINT,),
    "sigint-twice": (signal.SIGINT, signal.SIGINT),
    "sigterm": (signal.SIGTERM,),
    "sighup": (signal.SIGHUP,),
    "sigstop": (signal.SIGSTOP, signal.SIGCONT),
}
HARMLESS = ("none", "disk-full", "read-only", "state-gone", "rival", "lock-edited", "sigstop")
"""Faults that leave the board and its line alone, and let the tool go on."""
EVERY_DEVICE = ("disk-full", "read-only", "rival")
"""Faults that every device may meet."""


@record(slots=False)
class Fault(BoardFault):
    """`after`: also starts before the board is exchanged; `rate`: of bytes lost or changed; `event`
    and `delay`: after which line that the tool says, and how many seconds later, it happens;
    `pause`: for how long the tool stands still; `limit`: bytes that a file of the tool may have."""

    rate: float = 0.0
    event: int = 0
    delay: float = 0.0
    pause: float = 0.3
    limit: int = 0


def _drawn(dice: random.Random, kind: str) -> Fault:
    widest = {"cut-write": 8, "exchange": 2.5}.get(kind, 4)
    passed, work = draw_amounts(dice, widest)
    return Fault(
        kind=kind,
        bytes=passed,
        after=work,
        rate=10 ** dice.uniform(-5, -2.5),
        event=dice.randrange(26),
        delay=dice.uniform(0, 1) * dice.choice((0.0, 0.0, 0.05, 0.6)),
        pause=dice.choice((0.3, 1.0, 3.0)),
        limit=dice.choice((0, 1, 200, 1000, 4096)),
    )


def draw_faults(dice: random.Random, *, only: str | None) -> tuple[Fault, ...]:
    """None at all, or two of different families; `only`: this one alone."""
    undisturbed = dice.random() < _UNDISTURBED
    first, second = dice.choices(FAULTS, _WEIGHTS, k=2)
    while FAMILIES[second] == FAMILIES[first]:
        (second,) = dice.choices(FAULTS, _WEIGHTS)
    drawn = _drawn(dice, first), _drawn(dice, second)
    if only is not None:
        return () if only == "none" else (_drawn(dice, only),)
    return () if undisturbed else drawn
