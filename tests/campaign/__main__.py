"""`python -m tests.campaign`: as many runs as fit the time, or as many as are asked for.

Each worker has boards of its own. The report, a table of kinds of fault, goes to standard output,
what a run broke at once to standard error; the exit code is 1 when any did.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

from provision.sim import client
from tests.campaign.faults import FAULTS
from tests.campaign.run import Result
from tests.campaign.scenario import SPOILT, STARTS
from tests.campaign.worker import begin, one


def table(results: list[Result]) -> str:
    """Markdown: runs by fault, two to a run, and by the state of the board before."""
    lines = [
        "| fault | runs | came about | first apply failed or ended early | survived |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind in [*FAULTS, "all"]:
        of = [result for result in results if kind in (*result.faults, "all")]
        if not of:
            continue
        came = sum(kind in result.happened or (kind == "all" and result.hit) for result in of)
        hit = sum(result.hit for result in of)
        well = sum(not result.broken for result in of)
        lines.append(f"| {kind} | {len(of)} | {came if kind != 'all' else '-'} | {hit} | {well} |")
    lines += [
        "",
        "| start | runs | first apply failed or ended early | survived |",
        "| --- | ---: | ---: | ---: |",
    ]
    for start in (*STARTS, *SPOILT):
        of = [result for result in results if result.start == start]
        if of:
            hit, well = sum(each.hit for each in of), sum(not each.broken for each in of)
            lines.append(f"| {start} | {len(of)} | {hit} | {well} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first run; each next is one more"
    )
    parser.add_argument("--runs", type=int, default=None, help="stop after so many")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fault", choices=FAULTS, default=None, help="this kind only")
    parser.add_argument(
        "--start", choices=(*STARTS, *SPOILT), default=None, help="this state of the board only"
    )
    parser.add_argument("--json", type=Path, default=None, help="write every result to this file")
    parser.add_argument("--keep", type=Path, default=None, help="keep every run's folder here")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="campaign-"))
    folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    try:
        results = campaign(options, folder)
    finally:
        stop_boards(folder)
        if options.keep is None and not any(result.broken for result in results):
            shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    print(table(results))
    print(f"\nslowest apply: {max((result.slowest for result in results), default=0):.1f} s")
    broken = [result for result in results if result.broken]
    if broken:
        print(f"\nbroken: seeds {', '.join(str(result.seed) for result in broken)}; see {folder}")
    return 1 if broken or not results else 0


def campaign(options: argparse.Namespace, folder: Path) -> list[Result]:
    deadline = time.monotonic() + options.minutes * 60
    seeds = itertools.count(options.seed)
    if options.runs is not None:
        seeds = itertools.islice(seeds, options.runs)  # type: ignore[assignment]
    results: list[Result] = []
    with ProcessPoolExecutor(
        options.jobs, multiprocessing.get_context("spawn"), begin, (str(folder),)
    ) as workers:
        pending: set[Future[Result]] = set()
        while True:
            while len(pending) < options.jobs and time.monotonic() < deadline:
                seed = next(seeds, None)
                if seed is None:
                    break
                keep = options.keep is not None
                pending.add(workers.submit(one, seed, options.fault, options.start, keep))
            if not pending:
                return results
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                result = future.result()
                results.append(result)
                kinds = "+".join(result.faults)
                of = f"{result.seed} ({result.chip}, {result.start}, {kinds}, {result.codes})"
                for what in result.broken:
                    print(
                        f"seed {of}: {what}",
                        file=sys.stderr,
                        flush=True,
                    )


def stop_boards(folder: Path) -> None:
    for home in folder.glob("w*/boards"):
        os.environ["PROVISION_SIM_HOME"] = str(home)
        for entry in home.iterdir():
            if entry.is_dir():
                client.stop(entry.name)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
