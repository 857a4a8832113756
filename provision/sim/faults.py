"""What can go wrong on purpose, by name.

Those that happen to the wire, the cable and the supply act in the board's process; those burned
into eFuses are kept in the board's directory, since nothing undoes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.errors import SimulatorError
from provision.sim.flash import Work
from provision.sim.registers import Security

if TYPE_CHECKING:
    from provision.sim.process import BoardProcess

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

    process.board.cut_power(work, int(arguments.get("after", 1)), cut)
    return {}


def _disturb(process: BoardProcess, arguments: dict[str, Any]) -> dict[str, Any]:
    """`drop` and `flip`: probability for each byte; `seed` makes it another run."""
    process.board.noise.disturb(
        drop=float(arguments.get("drop", 0)),
        flip=float(arguments.get("flip", 0)),
        seed=int(arguments.get("seed", 0)),
    )
    return {}


FAULTS: dict[str, Callable[[BoardProcess, dict[str, Any]], dict[str, Any]]] = {
    "unplug": _unplug,
    "replug": lambda process, arguments: process.control.obey({"do": "replug", **arguments}),
    "power-off": lambda process, _: process.control.obey({"do": "power", "on": False}),
    "power-on": lambda process, _: process.control.obey({"do": "power", "on": True}),
    "cut-erase": lambda process, arguments: _cut_power(process, arguments, Work.ERASE),
    "cut-write": lambda process, arguments: _cut_power(process, arguments, Work.PROGRAM),
    "noise": _disturb,
    "secure-boot": lambda process, _: _burn(process, secure_boot=True),
    "flash-encryption": lambda process, _: _burn(process, encryption=True),
    "secure-download": lambda process, _: _burn(process, download=True),
}


def inject(process: BoardProcess, fault: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """SimulatorError names the faults there are, or the argument that cannot be."""
    if fault not in FAULTS:
        return _in_flash(process, fault)
    try:
        return FAULTS[fault](process, arguments)
    except (ValueError, TypeError) as error:
        raise SimulatorError(
            f"{fault}: {error}", hint="arguments are numbers, as in `bytes=2000`"
        ) from error


def _in_flash(process: BoardProcess, fault: str) -> dict[str, Any]:
    """The board loses power, what its flash holds is changed, and it starts again."""
    # Builds filesystems: too heavy to be in every board's process from the start.
    from provision.sim.flash_faults import FLASH_FAULTS

    if fault not in FLASH_FAULTS:
        known = sorted({*FAULTS, *FLASH_FAULTS})
        raise SimulatorError(f"no fault {fault!r}", hint="known are " + ", ".join(known))
    board = process.board
    board.rework(lambda: FLASH_FAULTS[fault](board.setup, board.flash))
    return {}
