"""Faults, by name: what `provision sim fault` can inject.

Faults of the line, the cable and the power supply happen in the board's process; burned eFuses are
kept in the board's directory, as they cannot be undone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from provision.core.chips.esp.chips import CHIPS as ESP_CHIPS
from provision.errors import SimulatorError
from provision.model.language import record
from provision.sim.chip.board import Board
from provision.sim.chip.flash import Work
from provision.sim.esp.efuses import burn_efuses
from provision.sim.event_loop import EventLoop
from provision.sim.setup import BoardSetup


@record
class FaultTarget:
    """What a fault acts on. `replug` plugs the cable in again, under another name if one is given,
    and returns what the request `replug` answers."""

    board: Board
    loop: EventLoop
    replug: Callable[[str | None], dict[str, Any]]


def _burn(target: FaultTarget, **fuses: bool) -> dict[str, Any]:
    chip = target.board.setup.chip
    if chip not in ESP_CHIPS:
        raise SimulatorError(
            f"the {chip.label} has no such eFuse", hint="use a board with one of Espressif's chips"
        )
    return {"efuses": asdict(burn_efuses(target.board.setup.directory, **fuses))}


def _unplug(target: FaultTarget, arguments: dict[str, Any]) -> dict[str, Any]:
    """`bytes`: only after that many have passed; `replug`: seconds until it is plugged in again,
    under `name` if that is given."""

    def later() -> None:
        target.loop.after(0, pull)  # once the last byte has been passed on

    def pull() -> None:
        target.board.noise.restore()
        target.board.unplug()
        if "replug" in arguments:
            target.loop.after(float(arguments["replug"]), push)

    def push() -> None:
        try:
            target.replug(arguments.get("name"))
        except SimulatorError:  # another board got that name meanwhile
            target.replug(None)

    if "bytes" in arguments:
        target.board.noise.cut_after(int(arguments["bytes"]), later)
    else:
        pull()
    return {}


def _cut_power(target: FaultTarget, arguments: dict[str, Any], work: Work) -> dict[str, Any]:
    """In the middle of the `after`th erase or program from now; `again`: seconds until the
    supply is back."""

    def cut() -> None:
        if "again" in arguments:
            target.loop.after(float(arguments["again"]), target.board.power_on)

    after = int(arguments.get("after", 1))
    if not 0 < after < 1 << 32:
        raise ValueError(f"after={after} is no number of a flash's work")
    target.board.cut_power(work, after, cut)
    return {}


def _disturb(target: FaultTarget, arguments: dict[str, Any]) -> dict[str, Any]:
    """`drop` and `flip`: probability for each byte; `seed` makes it another run; `above`: only
    while the host's rate is above this one."""
    if target.board.native_usb:
        raise SimulatorError(
            "a board with a USB of its own has no line that loses bytes: USB sends them again",
            hint="pull the cable: `unplug`, with bytes=N in the middle of something",
        )
    target.board.noise.disturb(
        drop=float(arguments.get("drop", 0)),
        flip=float(arguments.get("flip", 0)),
        seed=int(arguments.get("seed", 0)),
        above=int(arguments.get("above", 0)),
    )
    return {}


def _exchange(target: FaultTarget, arguments: dict[str, Any]) -> dict[str, Any]:
    """For as long as the board's process lives: another chip is no setting of this board."""
    setup = target.board.setup
    own = {key: str(arguments.get(key, "")) for key in ("mac", "serial")}
    wanted = {**json.loads(setup.to_json()), **own}
    other = BoardSetup.from_query(setup.name, wanted, setup.directory)
    target.board.exchange(other, int(arguments.get("after", 0)))
    return {}


def _replug(target: FaultTarget, arguments: dict[str, Any]) -> dict[str, Any]:
    return target.replug(arguments.get("name"))


def _power(target: FaultTarget, on: bool) -> dict[str, Any]:
    if on:
        target.board.power_on()
    else:
        target.board.power_off()
    return {}


@record(kw_only=False)
class Fault:
    """What it is, for `--list`; the arguments it takes; what it does."""

    help: str
    takes: frozenset[str]
    run: Callable[[FaultTarget, dict[str, Any]], dict[str, Any]]


_AGAIN = frozenset({"after", "again"})

FAULTS: dict[str, Fault] = {
    "unplug": Fault(
        "pull the cable; bytes=N: after N more bytes; replug=SECONDS, name=NAME: plug it in again",
        frozenset({"bytes", "replug", "name"}),
        _unplug,
    ),
    "replug": Fault(
        "plug the cable in again; name=NAME: the port has another name then",
        frozenset({"name"}),
        _replug,
    ),
    "power-off": Fault("cut the power", frozenset(), lambda target, _: _power(target, False)),
    "power-on": Fault("restore the power", frozenset(), lambda target, _: _power(target, True)),
    "cut-erase": Fault(
        "cut the power in the middle of an erase; after=N: the Nth; again=SECONDS: restore it",
        _AGAIN,
        lambda target, arguments: _cut_power(target, arguments, Work.ERASE),
    ),
    "cut-write": Fault(
        "cut the power in the middle of a write; after=N: the Nth; again=SECONDS: restore it",
        _AGAIN,
        lambda target, arguments: _cut_power(target, arguments, Work.PROGRAM),
    ),
    "exchange": Fault(
        "put another board with the same flash in its place; mac=MAC, serial=ID: its own; after=N: "
        "at the Nth start from now",
        frozenset({"mac", "serial", "after"}),
        _exchange,
    ),
    "noise": Fault(
        "lose bytes with probability drop=P, corrupt them with flip=P; seed=N: another sequence; "
        "above=BAUD: only while the host's rate is above it",
        frozenset({"drop", "flip", "seed", "above"}),
        _disturb,
    ),
    "secure-boot": Fault(
        "burn the secure boot eFuse (irreversible)",
        frozenset(),
        lambda target, _: _burn(target, secure_boot=True),
    ),
    "flash-encryption": Fault(
        "burn the flash encryption eFuse (irreversible)",
        frozenset(),
        lambda target, _: _burn(target, encryption=True),
    ),
    "secure-download": Fault(
        "burn the secure download mode eFuse, which disables most loader commands (irreversible)",
        frozenset(),
        lambda target, _: _burn(target, download=True),
    ),
}

IN_FLASH: dict[str, str] = {
    "broken-firmware": "clear one bit of the app: the chip boot-loops, or hangs",
    "foreign-firmware": "install a valid image that is not MicroPython",
    "corrupt-filesystem": "overwrite both superblocks of the filesystem",
    "full-filesystem": "fill nearly all of the filesystem with one file",
    "main-hog": "a main.py in an endless loop",
    "main-chatter": "a main.py that prints without end",
    "main-stubborn": "a main.py that catches KeyboardInterrupt",
    "main-deaf": "a main.py in an endless loop, with the interrupt character (Ctrl-C) disabled",
    "main-deepsleep": "a main.py that enters deep sleep and never wakes",
    "main-reset-loop": "a main.py that resets the chip",
    "main-soft-reset-loop": "a main.py that ends in a soft reset",
    "main-watchdog": "a main.py that does not feed its watchdog",
    "main-crash": "a main.py that raises an exception",
}
"""What `flash_faults` does, by name. It builds filesystems, too heavy a thing to be in
every board's process from the start: hence the list here."""


def inject(target: FaultTarget, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """SimulatorError names the faults there are, or the argument that cannot be."""
    fault = FAULTS.get(name)
    known = fault.takes if fault else frozenset()
    if fault is None and name not in IN_FLASH:
        raise SimulatorError(
            f"unknown fault {name!r}",
            hint="valid faults are " + ", ".join(sorted({*FAULTS, *IN_FLASH})),
        )
    unknown = sorted(set(arguments) - known)
    if unknown:
        taken = ", ".join(sorted(known)) or "nothing"
        raise SimulatorError(
            f"the fault {name} has no argument {unknown[0]!r}", hint=f"it takes {taken}"
        )
    if fault is None:
        return _in_flash(target, name)
    try:
        return fault.run(target, arguments)
    except (ValueError, TypeError) as error:
        raise SimulatorError(
            f"the fault {name}: {error}", hint="arguments are numbers, as in `bytes=2000`"
        ) from error


def _in_flash(target: FaultTarget, name: str) -> dict[str, Any]:
    """The board loses power, what its flash holds is changed, and it starts again."""
    from provision.sim.process.flash_faults import FLASH_FAULTS

    board = target.board
    board.change_while_off(lambda: FLASH_FAULTS[name](board.setup, board.flash))
    return {}
