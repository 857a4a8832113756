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
from dataclasses import dataclass
from pathlib import Path

from provision.model.chip import Chip
from provision.sim.firmware import build
from tests.bench import trees

RUNS = 5
SETTLE = 60  # boards that are filled at a time, so that two cores are not asked for 300 at once


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Medians of several runs: seconds, seconds, bytes."""

    boards: int
    wall: float
    processor: float
    memory: int


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boards", type=int, nargs="+", default=[1, 10, 100, 300])
    parser.add_argument("--svg", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = os.environ | dict.fromkeys(
            ("PROVISION_SIM_HOME", "PROVISION_STATE_DIR", "PROVISION_RUNTIME_DIR"), folder
        )
        _project(home, max(chosen.boards))
        try:
            for start in range(1, max(chosen.boards) + 1, SETTLE):
                last = min(start + SETTLE - 1, max(chosen.boards))
                _apply(home, environment, f"n-[{start:03}:{last:03}]")
            costs = [_cost(home, environment, count) for count in chosen.boards]
        finally:
            subprocess.run(
                [sys.executable, "-m", "provision", "sim", "rm", "--all"],
                env=environment, check=True,
            )  # fmt: skip
    print("| boards | wall (s) | CPU of the tool (s) | CPU a further board (ms) | memory (MB) |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for cost in costs:
        further = cost.boards - costs[0].boards
        share = (cost.processor - costs[0].processor) / further * 1000 if further else None
        print(
            f"| {cost.boards} | {cost.wall:.2f} | {cost.processor:.2f} | "
            f"{f'{share:.1f}' if share is not None else '–'} | {cost.memory / 1e6:.0f} |"
        )
    if chosen.svg:
        chosen.svg.write_text(draw(costs))


def _project(home: Path, boards: int) -> None:
    (home / "fw.bin").write_bytes(build(Chip.ESP32, "1.24.1"))
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


def _apply(home: Path, environment: dict[str, str], limit: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "provision", "apply", str(home / "fleet.yaml"), "-l", limit],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def _cost(home: Path, environment: dict[str, str], boards: int) -> Cost:
    runs: list[tuple[float, float, int]] = []
    for _ in range(RUNS):
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "provision", "apply", str(home / "fleet.yaml"),
             "-l", f"n-[001:{boards:03}]"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        with process.stdout:
            said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - started
        if process.returncode or f"changed=0 ok={boards} " not in said:
            sys.exit(f"not a no-op: {said}")
        runs.append((wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))
    return Cost(
        boards=boards,
        wall=statistics.median(run[0] for run in runs),
        processor=statistics.median(run[1] for run in runs),
        memory=int(statistics.median(run[2] for run in runs)),
    )


WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 320, 60, 30, 50


def draw(costs: list[Cost]) -> str:
    """Wall and CPU seconds over the number of boards, with the numbers at the points."""
    most_boards = max(cost.boards for cost in costs)
    most = max(max(cost.wall, cost.processor) for cost in costs) * 1.15

    def at(boards: float, seconds: float) -> tuple[float, float]:
        x = LEFT + boards / most_boards * (WIDTH - LEFT - 90)
        return x, HEIGHT - BOTTOM - seconds / most * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">A no-op apply: seconds over boards</text>',
    ]
    x0, y0 = at(0, 0)
    x1, y1 = at(most_boards, most)
    parts.append(f'<path d="M{x0} {y1}V{y0}H{x1}" fill="none" stroke="#888"/>')
    for cost in costs:
        x, _ = at(cost.boards, 0)
        parts.append(
            f'<text x="{x:.0f}" y="{y0 + 18:.0f}" text-anchor="middle">{cost.boards}</text>'
        )
    for name, colour, values, above in (
        ("wall", "#1f6feb", [cost.wall for cost in costs], True),
        ("CPU of the tool", "#d1242f", [cost.processor for cost in costs], False),
    ):
        points = [at(cost.boards, value) for cost, value in zip(costs, values, strict=True)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for (x, y), value in zip(points, values, strict=True):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
            offset = -8 if above else 18
            parts.append(
                f'<text x="{x:.1f}" y="{y + offset:.1f}" fill="{colour}" '
                f'text-anchor="middle">{value:.2f}</text>'
            )
        x, y = points[-1]
        parts.append(f'<text x="{x + 16:.1f}" y="{y + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    main()
