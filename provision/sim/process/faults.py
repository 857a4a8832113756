"""What can go wrong on purpose, by name.

Those that happen to the wire, the cable and the supply act in the board's process; those burned
into eFuses are kept in the board's directory, since nothing undoes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.errors import SimulatorError
from provision.sim.chip.chips import Security
from provision.sim.chip.flash import Work

if TYPE_CHECKING:
    from provision.sim.process.process import BoardProcess

_EFUSES = "efuses.json"


def burned(directory: Path) -> Security:
    """What the eFuses of the board in this directory say."""
    path = directory / _EFUSES
    return Security(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Security()


def _burn(process: BoardProcess, **fuses: bool) -> dict[str, Any]:
    board = process.board
    held = board.security
    now = {
        "secure_boot": held.secure_boot or fuses.get("secure_boot", False),
        "encryption": held.encryption or fuses.get("encryption", False),
        "download": held.download or fuses.get("download", False),
    }
    path = process.setup.directory / _EFUSES
    path.write_text(json.dumps(now), encoding="utf-8")
    board.security = Security(**now)
    return {"efuses": now}


def _unplug(process: BoardProcess, arguments: dict[str, Any]) -> dict[str, Any]:
    """`bytes`: only after that many have passed; `replug`: seconds until it is plugged in again,
    under `name` if that is given."""

    def later() -> None:
        process.loop.after(0, pull)  # once the last byte has been passed on

    def pull() -> None:
        process.board.noise.mend()
        process.board.unplug()
        if "replug" in arguments:
            process.loop.after(float(arguments["replug"]), push)

    def push() -> None:
        process.control.obey({"do": "replug", "name": arguments.get("name")})

    if "bytes" in arguments:
        process.board.noise.cut_after(int(arguments["bytes"]), later)
    else:
        pull()
    return {}


def _cut_power(process: BoardProcess, arguments: dict[str, Any], work: Work) -> dict[str, Any]:
    """In the middle of the `after`th erase or program from now; `again`: seconds until the
    supply is back."""

    def cut() -> None:
        if "again" in arguments:
            process.loop.after(float(arguments["again"]), process.board.power_on)

    after = int(arguments.get("after", 1))
    if not 0 < after < 1 << 32:
        raise ValueError(f"after={after} is no number of a flash's work")
    process.board.cut_power(work, after, cut)
    return {}


def _disturb(process: BoardProcess, arguments: dict[str, Any]) -> dict[str, Any]:
    """`drop` and `flip`: probability for each byte; `seed` makes it another run."""
    process.board.noise.disturb(
        drop=float(arguments.get("drop", 0)),
        flip=float(arguments.get("flip", 0)),
        seed=int(arguments.get("seed", 0)),
    )
    return {}


def _replug(process: BoardProcess, arguments: dict[str, Any]) -> dict[str, Any]:
    return process.control.obey({"do": "replug", **arguments})


def _power(process: BoardProcess, on: bool) -> dict[str, Any]:
    return process.control.obey({"do": "power", "on": on})


@dataclass(frozen=True, slots=True)
class Fault:
    """What it is, for `--list`; the arguments it takes; what it does."""

    help: str
    takes: frozenset[str]
    run: Callable[[BoardProcess, dict[str, Any]], dict[str, Any]]


_AGAIN = frozenset({"after", "again"})

FAULTS: dict[str, Fault] = {
    "unplug": Fault(
        "pull the cable; bytes=N: once N more passed; replug=SECONDS, name=NAME: it comes back",
        frozenset({"bytes", "replug", "name"}),
        _unplug,
    ),
    "replug": Fault(
        "plug it in again; name=NAME: the system calls its port another name now",
        frozenset({"name"}),
        _replug,
    ),
    "power-off": Fault(
        "take its power away", frozenset(), lambda process, _: _power(process, False)
    ),
    "power-on": Fault("give it power", frozenset(), lambda process, _: _power(process, True)),
    "cut-erase": Fault(
        "power fails in the Nth erase from now, half done; after=N, again=SECONDS: it comes back",
        _AGAIN,
        lambda process, arguments: _cut_power(process, arguments, Work.ERASE),
    ),
    "cut-write": Fault(
        "power fails in the Nth write from now, half done; after=N, again=SECONDS: it comes back",
        _AGAIN,
        lambda process, arguments: _cut_power(process, arguments, Work.PROGRAM),
    ),
    "noise": Fault(
        "each byte is lost with probability drop=P and changed with flip=P; seed=N: another run",
        frozenset({"drop", "flip", "seed"}),
        _disturb,
    ),
    "secure-boot": Fault(
        "burn the eFuse of secure boot, for good",
        frozenset(),
        lambda process, _: _burn(process, secure_boot=True),
    ),
    "flash-encryption": Fault(
        "burn the eFuse of flash encryption, for good",
        frozenset(),
        lambda process, _: _burn(process, encryption=True),
    ),
    "secure-download": Fault(
        "burn the eFuse of secure download mode, which shuts most of the loader, for good",
        frozenset(),
        lambda process, _: _burn(process, download=True),
    ),
}

IN_FLASH: dict[str, str] = {
    "broken-firmware": "one bit of the app is wrong: the chip boot-loops",
    "foreign-firmware": "a sound image that is not MicroPython",
    "corrupt-filesystem": "both superblocks hold neither LittleFS nor blank flash",
    "full-filesystem": "a file takes nearly all the room",
    "main-hog": "a main.py that never yields",
    "main-chatter": "a main.py that prints for ever",
    "main-stubborn": "a main.py that catches KeyboardInterrupt",
    "main-deaf": "a main.py that has switched the interrupt character off and never yields",
    "main-deepsleep": "a main.py that goes to deep sleep for good",
    "main-reset-loop": "a main.py that resets the chip",
    "main-soft-reset-loop": "a main.py that ends in a soft reset",
    "main-watchdog": "a main.py that starves its watchdog",
    "main-crash": "a main.py that raises",
}
"""What `sim.chip.flash_faults` does, by name. It builds filesystems, too heavy a thing to be in
every board's process from the start: hence the list here."""


def inject(process: BoardProcess, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """SimulatorError names the faults there are, or the argument that cannot be."""
    fault = FAULTS.get(name)
    known = fault.takes if fault else frozenset()
    if fault is None and name not in IN_FLASH:
        raise SimulatorError(
            f"no fault {name!r}", hint="known are " + ", ".join(sorted({*FAULTS, *IN_FLASH}))
        )
    unknown = sorted(set(arguments) - known)
    if unknown:
        taken = ", ".join(sorted(known)) or "nothing"
        raise SimulatorError(f"{name} takes no {unknown[0]!r}", hint=f"it takes {taken}")
    if fault is None:
        return _in_flash(process, name)
    try:
        return fault.run(process, arguments)
    except (ValueError, TypeError) as error:
        raise SimulatorError(
            f"{name}: {error}", hint="arguments are numbers, as in `bytes=2000`"
        ) from error


def _in_flash(process: BoardProcess, name: str) -> dict[str, Any]:
    """The board loses power, what its flash holds is changed, and it starts again."""
    from provision.sim.chip.flash_faults import FLASH_FAULTS

    board = process.board
    board.rework(lambda: FLASH_FAULTS[name](board.setup, board.flash))
    return {}
