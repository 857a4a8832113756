"""How cost grows with the fleet: a no-op apply over 1, 10, 100 … virtual boards, and a first sync.

    python -m tests.bench.growth [--boards 1 10 100] [--first 1 32] [--json FILE] [--svg FILE]

`wall` is what the user waits, `cpu` and `memory` are the tool's own process; what the boards
take is left out, and on a few cores it is most of the machine. The plot is an SVG of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from math import log10
from pathlib import Path

import serial

from provision.device.repl import RawRepl
from provision.sim import link, places
from tests.bench import trees
from tests.bench.unit import PROVISION, Line, image, spawn


@dataclass(frozen=True, kw_only=True)
class Point:
    """One apply. Seconds; bytes; `busy` is the time the slowest board's line was in use."""

    job: str
    boards: int
    wall: float
    cpu: float
    memory: int
    busy: float
    to_board: int


def bring_up(name: str, settings: dict[str, str]) -> None:
    link.ensure(name, settings)
    with serial.serial_for_url(f"sim://{name}", baudrate=115200, timeout=1) as port:
        port.dtr = False
        port.rts = True
        port.reset_input_buffer()
        port.rts = False
        if not RawRepl(port).await_prompt(60):
            raise SystemExit(f"{name} does not come up")


def apply(work: Path, job: str, names: Sequence[str]) -> Point:
    for name in names:
        link.order(name, "measure")
    wall, usage, _ = spawn([*PROVISION, "apply", "--yes", "--json"], work)
    wires = [link.order(name, "measure") for name in names]
    return Point(
        job=job,
        boards=len(names),
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        busy=max(wire["seconds"] for wire in wires),
        to_board=max(wire["to_chip"] for wire in wires),
    )


def fleet(work: Path, names: Sequence[str]) -> None:
    lines = ["fleet: growth", "groups: {all: {files: [{src: tree/, dest: /}]}}", "devices:"]
    lines += [f"  {name}: {{port: 'sim://{name}', board: esp32, groups: [all]}}" for name in names]
    (work / "fleet.yaml").write_text("\n".join(lines) + "\n")


def campaign(work: Path, counts: Sequence[int], first: Sequence[int]) -> list[Point]:
    settings = {
        "chip": "esp32",
        "wire": "on",
        "latency": "1ms",
        "firmware": str(image(work, Line().chip)),
    }
    points: list[Point] = []
    names: list[str] = []

    def have(count: int) -> None:
        fresh = [f"unit-{number:03}" for number in range(len(names), count)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: bring_up(name, settings), fresh))
        names.extend(fresh)

    def stop_all() -> None:
        for name in names:
            link.stop(name)
            shutil.rmtree(places.directory(name), ignore_errors=True)
        names.clear()

    try:
        trees.write(trees.app(), work / "tree")
        for count in first:
            have(count)
            fleet(work, names)
            for job in ("first", "nothing changed"):
                points.append(apply(work, job + ", app tree", names))
                show(points[-1])
            stop_all()
        for path in sorted((work / "tree").rglob("*.py"))[4:]:
            path.unlink()
        for path in (work / "tree").rglob("*.bin"):
            path.unlink()
        for count in counts:
            have(count)
            fleet(work, names)
            apply(work, "", names)
            points.append(apply(work, "nothing changed", names))
            show(points[-1])
    finally:
        stop_all()
    return points


def show(point: Point) -> None:
    print(
        f"{point.job:26} {point.boards:4} boards  wall {point.wall:6.2f} s  "
        f"cpu {point.cpu:6.2f} s  memory {point.memory / 1e6:6.1f} MB  "
        f"slowest line {point.busy:6.2f} s, {point.to_board:,} bytes",
        flush=True,
    )


WIDTH, HEIGHT, LEFT, BELOW = 640, 360, 60, 40
COLOURS = {"wall": "#1f77b4", "cpu": "#d62728", "memory": "#2ca02c"}


def plot(points: Sequence[Point]) -> str:
    """Wall and CPU seconds and memory (in 100 MB) over the number of boards, both axes by tens."""
    drawn = [point for point in points if point.job == "nothing changed"]
    series = {
        "wall": [(p.boards, p.wall) for p in drawn],
        "cpu": [(p.boards, p.cpu) for p in drawn],
        "memory": [(p.boards, p.memory / 1e8) for p in drawn],
    }
    right = max(2.0, log10(max(p.boards for p in drawn)) * 1.05)
    low, high = -1.0, 2.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = (WIDTH - LEFT - 20) * log10(x) / right
        up = (HEIGHT - BELOW - 20) * (max(low, log10(y)) - low) / (high - low)
        return LEFT + across, HEIGHT - BELOW - up

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for tens in (0.1, 1, 10, 100):
        x, y = place(1, tens)
        out.append(f'<path d="M{x:.0f} {y:.0f}H{WIDTH - 20}" stroke="#ddd"/>')
        out.append(f'<text x="{x - 8:.0f}" y="{y + 4:.0f}" text-anchor="end">{tens:g}</text>')
    for boards in sorted({p.boards for p in drawn}):
        x, _ = place(boards, 1)
        out.append(f'<text x="{x:.0f}" y="{HEIGHT - 20}" text-anchor="middle">{boards}</text>')
    for number, (name, values) in enumerate(series.items()):
        path = " ".join(
            f"{'ML'[index > 0]}{x:.1f} {y:.1f}"
            for index, (x, y) in enumerate(place(*value) for value in values)
        )
        unit = {"wall": "wall, s", "cpu": "CPU of the tool, s", "memory": "memory, 100 MB"}[name]
        colour = COLOURS[name]
        out.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
            for x, y in (place(*value) for value in values)
        ]
        out.append(f'<text x="{LEFT + 12}" y="{34 + 16 * number}" fill="{colour}">{unit}</text>')
    out.append(
        f'<text x="{(WIDTH + LEFT) / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle">'
        "boards in a no-op apply</text></svg>"
    )
    return "\n".join(out) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--boards", type=int, nargs="+", default=[1, 10, 100], metavar="N")
    parser.add_argument("--first", type=int, nargs="*", default=[1, 32], metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE")
    options = parser.parse_args()
    serial.protocol_handler_packages.append("provision.sim")
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        work = Path(name)
        for variable in ("SIM_HOME", "STATE_DIR", "RUNTIME_DIR"):
            os.environ[f"PROVISION_{variable}"] = str(work / variable.lower())
        points = campaign(work, sorted(options.boards), options.first)
    if options.json:
        options.json.write_text(json.dumps([asdict(point) for point in points], indent=1) + "\n")
    if options.svg:
        options.svg.write_text(plot(points))
    return 0


if __name__ == "__main__":
    sys.exit(main())
