"""Many boards at once: `python -m tests.bench.together [--boards 1 32] [--scale X] [--json FILE]`.

The first sync of the app tree and a no-op after it, each one `provision apply` over boards behind
modelled lines of 115200 baud, left at that. `wall` is what the user waits, `cpu` the tool's own
process and `share` its part of what all processes took: on few cores the boards are most of the
machine. `--scale` as in the bench.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import serial

from provision.sim import client
from tests.bench import machine, trees
from tests.bench.unit import PROVISION, Line, image, spawn, unit


@dataclass(frozen=True, kw_only=True)
class Point:
    """One apply. Seconds; bytes; `busy` is how long the slowest board's line was in use, in the
    line's own seconds."""

    job: str
    boards: int
    wall: float
    cpu: float
    memory: int
    machine: float  # CPU of all processes, the boards' included
    busy: float
    to_board: int


def measured(work: Path, job: str, names: Sequence[str], scale: float) -> Point:
    for name in names:
        client.request(name, "measure")
    before = machine.busy()
    wall, usage, _ = spawn([*PROVISION, "apply", "--yes"], work)
    everyone = machine.busy() - before
    wires = [client.request(name, "measure") for name in names]
    return Point(
        job=job,
        boards=len(names),
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        machine=everyone,
        busy=max(wire["seconds"] for wire in wires) * scale,
        to_board=max(wire["to_chip"] for wire in wires),
    )


def points(work: Path, boards: int, scale: float) -> Iterator[Point]:
    line = Line(scale=scale)
    names = [f"unit-{number:03}" for number in range(1, boards + 1)]
    trees.write(trees.app(), work / "tree")
    (work / "fleet.yaml").write_text(
        "defaults: {board: esp32, transfer_baud: off, files: [{src: tree/, dest: /}]}\n"
        f"devices:\n  unit-[001:{boards:03}]: {{port: 'sim://unit-{{{{ index }}}}'}}\n"
    )
    image(work, line.chip)  # before the threads want it
    with ExitStack() as up, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: up.enter_context(unit(work, name, line)), names))
        yield measured(work, "first", names, scale)
        yield measured(work, "nothing changed", names, scale)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.together", description=__doc__)
    parser.add_argument(
        "--boards",
        type=int,
        nargs="+",
        default=[1, 32],
        metavar="N",
        help="how many at once, one run after the other",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="modelled seconds in one of ours"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement here")
    options = parser.parse_args()
    serial.protocol_handler_packages.append("provision.sim")
    seen: list[Point] = []
    with tempfile.TemporaryDirectory(prefix="together-") as name:
        work = Path(name)
        for variable in ("SIM_HOME", "STATE_DIR", "RUNTIME_DIR"):
            os.environ[f"PROVISION_{variable}"] = str(work / variable.lower())
        for boards in options.boards:
            for point in points(work, boards, options.scale):
                seen.append(point)
                print(
                    f"{point.job:16} {boards:4} boards  wall {point.wall:6.2f} s  "
                    f"cpu {point.cpu:5.2f} s, share {point.cpu / point.machine:4.0%}  "
                    f"memory {point.memory / 1e6:4.0f} MB  "
                    f"slowest line {point.busy:5.2f} s, {point.to_board:,} bytes",
                    flush=True,
                )
            shutil.rmtree(work / "sim_home", ignore_errors=True)
            (work / "fleet.lock").unlink(missing_ok=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(point) for point in seen], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
