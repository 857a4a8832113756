"""How the cost of a no-op apply grows with the fleet: `python -m tests.bench.growth`.

Brings up virtual boards that are converged already, then times whole `provision apply` processes:
wall time, CPU and memory of the tool alone, the boards being processes of their own. Prints a
table and, with `--svg FILE`, draws it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provision.core.chips.esp.chips import ESP32
from provision.sim.esp.firmware import build
from tests.bench import machine, trees

RUNS = 5
SETTLE = 60  # boards that are filled at a time, so that two cores are not asked for 300 at once


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Medians of several runs: seconds, bytes."""

    boards: int
    wall: float
    processor: float
    machine: float  # seconds of all processes, the boards' included
    memory: int


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.growth", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--boards",
        type=int,
        nargs="+",
        default=[1, 10, 100, 300],
        metavar="N",
        help="sizes of the fleet; the first is what a further board is counted from",
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the curves into this file")
    chosen = parser.parse_args()
    with fleet(max(chosen.boards)) as (home, environment):
        costs = [_cost(home, environment, count) for count in chosen.boards]
    print(
        "| boards | wall (s) | CPU of the tool (s) | CPU a further board (ms) "
        "| the tool's share of all CPU | memory (MB) |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for cost in costs:
        further = cost.boards - costs[0].boards
        share = (cost.processor - costs[0].processor) / further * 1000 if further else None
        print(
            f"| {cost.boards} | {cost.wall:.2f} | {cost.processor:.2f} | "
            f"{f'{share:.1f}' if share is not None else '–'} | "
            f"{cost.processor / cost.machine:.0%} | {cost.memory / 1e6:.0f} |"
        )
    if chosen.svg:
        chosen.svg.write_text(draw(costs))


@contextmanager
def fleet(boards: int) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder of a manifest whose virtual boards are converged, and an environment for it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = os.environ | dict.fromkeys(
            ("PROVISION_SIM_HOME", "PROVISION_STATE_DIR", "PROVISION_RUNTIME_DIR"), folder
        )
        _project(home, boards)
        try:
            for start in range(1, boards + 1, SETTLE):
                last = min(start + SETTLE - 1, boards)
                apply(home, environment, "-l", f"n-[{start:03}:{last:03}]")
            yield home, environment
        finally:
            subprocess.run(
                [sys.executable, "-m", "provision", "sim", "rm", "--all"],
                env=environment, check=True,
            )  # fmt: skip


def _project(home: Path, boards: int) -> None:
    (home / "fw.bin").write_bytes(build(ESP32, "1.24.1"))
    for path, data in trees.app().items():
        place = home / "app" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (home / "fleet.yaml").write_text(
        "firmware: {fw: {file: fw.bin}}\n"
        "defaults: {board: esp32, firmware: fw, files: [{src: app/, dest: /}]}\n"
        "devices:\n"
        f"  n-[001:{boards:03}]:\n"
        f'    port: "sim://n{{{{ index }}}}?chip=esp32&firmware={home / "fw.bin"}"\n'
    )


def apply(home: Path, environment: dict[str, str], *words: str) -> tuple[str, float, int]:
    """A `provision apply`, its progress not shown: what it printed, and what that process used, in
    seconds of processor and bytes of memory."""
    process = subprocess.Popen(
        [sys.executable, "-m", "provision", "apply", str(home / "fleet.yaml"), *words],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(said)
    return said, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def _cost(home: Path, environment: dict[str, str], boards: int) -> Cost:
    runs: list[tuple[float, float, float, int]] = []
    for _ in range(RUNS):
        before = machine.busy()
        started = time.monotonic()
        said, processor, memory = apply(home, environment, "-l", f"n-[001:{boards:03}]")
        wall = time.monotonic() - started
        if f"changed=0 ok={boards} " not in said:
            sys.exit(f"not a no-op: {said}")
        everyone = machine.busy() - before
        runs.append((wall, processor, everyone, memory))
    return Cost(
        boards=boards,
        wall=statistics.median(run[0] for run in runs),
        processor=statistics.median(run[1] for run in runs),
        machine=statistics.median(run[2] for run in runs),
        memory=int(statistics.median(run[3] for run in runs)),
    )


WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 420, 300, 50, 40, 40
BLUE, RED, GREEN = "#1f6feb", "#d1242f", "#1a7f37"


def draw(costs: list[Cost]) -> str:
    """Seconds and megabytes over the number of boards, with the numbers at the points."""
    boards = [cost.boards for cost in costs]
    seconds = [
        ("wall", BLUE, [cost.wall for cost in costs]),
        ("CPU of the tool", RED, [cost.processor for cost in costs]),
    ]
    memory = [("memory of the tool", GREEN, [cost.memory / 1e6 for cost in costs])]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{2 * WIDTH}" height="{HEIGHT}" fill="white"/>',
            *_panel(0, "A no-op apply: seconds over boards", boards, seconds, ".2f"),
            *_panel(WIDTH, "MB over boards", boards, memory, ".0f"),
            "</svg>",
            "",
        ]
    )


def _panel(
    left: int, title: str, boards: list[int], curves: list[tuple[str, str, list[float]]], form: str
) -> Iterator[str]:
    """One chart: both axes linear, from zero."""
    most = max(max(values) for _, _, values in curves) * 1.15
    right, bottom = left + WIDTH - 30, HEIGHT - BOTTOM
    x = [left + LEFT + count / max(boards) * (right - left - LEFT) for count in boards]
    yield f'<text x="{left + LEFT}" y="18" font-size="14">{title}</text>'
    yield f'<path d="M{left + LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#888"/>'
    shown = [(at, count) for at, count in zip(x, boards, strict=True) if count >= max(boards) / 20]
    for at, count in shown:
        yield f'<text x="{at:.0f}" y="{bottom + 18}" text-anchor="middle">{count}</text>'
    for number, (name, colour, values) in enumerate(curves):
        y = [bottom - value / most * (bottom - TOP) for value in values]
        line = " ".join(f"{at:.1f},{height:.1f}" for at, height in zip(x, y, strict=True))
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for at, height, value, count in zip(x, y, values, boards, strict=True):
            yield f'<circle cx="{at:.1f}" cy="{height:.1f}" r="3" fill="{colour}"/>'
            if (at, count) in shown:
                yield (
                    f'<text x="{at:.1f}" y="{height - 8:.1f}" fill="{colour}" '
                    f'text-anchor="end">{value:{form}}</text>'
                )
        yield (
            f'<text x="{left + LEFT + 10}" y="{TOP + 16 * (number + 1)}" fill="{colour}">'
            f"{name}</text>"
        )


if __name__ == "__main__":
    main()
