"""`python3 examples/factory`: heat meters with data of their own, with nothing but Python.

Six virtual boards go through three sockets. Each gets a row of units.csv, entries in NVS, a
certificate of the factory's CA, is checked in three steps, and gets a label in
examples/factory/labels; one has a bad regulator, and fails its second step. Then the ledger says
what is known of each. Run it again: every good board is recognised, and only looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent.parent)

from examples.environment import enter  # noqa: E402 - found through the line above

enter("sim")

from examples.factory.make_ca import make_ca  # noqa: E402
from examples.hands import forget, run_shift  # noqa: E402
from examples.virtual import firmware_image, run  # noqa: E402
from provision import api  # noqa: E402
from provision.sim import client, paths  # noqa: E402
from provision.station.ledger import Ledger  # noqa: E402
from provision.station.numbers import Table  # noqa: E402
from provision.station.records import Unit  # noqa: E402

FLEET = HERE / "fleet.yaml"
LEDGER = HERE / "fleet.ledger"
BOARDS = {f"meter-{number}": f"24:6f:28:fa:c0:{number:02x}" for number in range(1, 7)}


def prepare() -> None:
    """Firmware, CA, and the boards as they come out of their boxes."""
    firmware_image(HERE / "firmware" / "esp32-1.24.1.bin", "esp32", "1.24.1")
    make_ca(HERE / "ca")
    if not paths.directory(next(iter(BOARDS))).exists():
        forget(LEDGER)
    for board, mac in BOARDS.items():
        client.ensure(board, {"chip": "esp32", "mac": mac})


def said_of(unit: Unit) -> str:
    """What the ledger has of a unit: what its checks gave, and until when its certificate is."""
    evidence = unit.result.evidence
    said = [f"{step['name']} {step['value']}" for step in evidence.checks]
    if evidence.certificate is not None:
        said.append(f"certificate until {evidence.certificate['expires']}")
    return ", ".join(said) or "`provision ledger show` has its attempts"


def main() -> int:
    """A shift, then what the ledger has; the exit code is that of `provision station`."""
    prepare()
    own = HERE / "secrets.yaml"
    opened = api.open_station(
        FLEET, secrets=own if own.exists() else HERE / "secrets.example.yaml"
    )
    code = run_shift(
        opened,
        list(BOARDS),
        ledger=LEDGER,
        numbers=Table(file=opened.settings.serial.file, rows=opened.table),
        station="factory",
    )
    print()
    with Ledger.open(LEDGER) as ledger:
        for unit in ledger.units():
            print(f"{unit.number}  {unit.state:<8}  {unit.mac}  {said_of(unit)}")
    return code


if __name__ == "__main__":
    run(main)
