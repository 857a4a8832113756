"""`python -m tests.campaign.raised`: what befalls a transfer at a raised line rate, at any moment.

Each run changes files of a board and disturbs the apply that sends them: the tool is killed, the
cable pulled or the power cut at a random moment from the exchange of rates on, or the line changes
bytes above 230400 baud. Then one apply must converge, the next one find nothing to do, and the
flash hold what the manifest says. A board whose host died is found without being restarted. The
exit code is 1 when a run broke one of these.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from provision.core.chips.esp.chips import ESP32, ESP32C6, ESP8266
from tests.campaign import flash as flashes
from tests.campaign.bench import ROOT, Bench, Ended, Happening, send, tool
from tests.campaign.run import boards_home
from tests.filesystems import read_filesystem

BOARDS = {
    "esp32": (ESP32, {"wiring": "auto"}),
    "esp32-bare": (ESP32, {"wiring": "none"}),
    "esp32-slow": (ESP32, {"wiring": "none", "bridge": "460800"}),
    "esp32c6-bare": (ESP32C6, {"wiring": "none"}),
    "esp8266": (ESP8266, {"wiring": "auto"}),
    "esp8266-bare": (ESP8266, {"wiring": "none"}),
}
LINE = {"wire": "on", "latency": "1ms", "scale": "2"}
PROFILES = {ESP32: "esp32", ESP32C6: "esp32c6", ESP8266: "esp8266"}
FAULTS = ("kill", "unplug", "power", "noise")
_WEIGHTS = (4, 3, 3, 1)
RAISED = "the line is at "
RESET = '"stage": "reset"'
FILES = b'"stage": "files"'  # in the event that a transfer begins with


@dataclass
class Result:
    seed: int
    board: str
    fault: str
    early: bool = False  # whether the first apply failed, or ended early
    raised: bool = False  # whether that was at a raised rate
    broken: list[str] = field(default_factory=list)
    slowest: float = 0.0


class Room:
    """One process's boards, and a project for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Bench(boards_home(folder))
        for name, (chip, settings) in BOARDS.items():
            self.bench.board(name, chip, **LINE, **settings)
            base = flashes.image(chip, "1.24.1")
            flash = flashes.start_flash(chip, "old", base=base, wanted=None, files={}, cut=0)
            self.bench.put(name, flash)
            project = folder / name
            (project / "app").mkdir(parents=True)
            (project / "fleet.yaml").write_text(
                f"fleet: raised\ndevices:\n  {name}:\n    board: {PROFILES[chip]}\n"
                f"    port: sim://{name}\n    files: [{{src: app/, dest: /}}]\n"
            )
            self.change(name, random.Random(name))
            first = self.apply(name)
            if first.code != 0:
                raise RuntimeError(f"{name} was not set up: {first.said[-600:]}")

    def change(self, name: str, dice: random.Random) -> int:
        """Give the manifest other files; how many bytes."""
        app = self.folder / name / "app"
        shutil.rmtree(app)
        app.mkdir()
        (app / "main.py").write_text(f"print({dice.random()})\n")
        sizes = [int(2 ** dice.uniform(8, 15)) for _ in range(dice.randint(2, 6))]
        for index, size in enumerate(sizes):
            (app / f"m{index}.bin").write_bytes(dice.randbytes(size))
        return sum(sizes)

    def wanted(self, name: str) -> dict[str, bytes]:
        app = self.folder / name / "app"
        return {f"/{path.name}": path.read_bytes() for path in app.iterdir()}

    def held(self, name: str) -> dict[str, bytes]:
        start, size = flashes.files_at(BOARDS[name][0])
        return read_filesystem(self.bench.flash(name)[start : start + size])

    def apply(self, name: str, *words: str, disturb: Sequence[Happening] = ()) -> Ended:
        environment = {
            "PYTHONPATH": str(ROOT),
            **{f"PROVISION_{kind}_DIR": str(self.folder / kind.lower()) for kind in KINDS},
            "NO_COLOR": "1",
        }
        return tool(
            *("apply", "--yes", "--json", "-v", *words),
            folder=self.folder / name,
            environment=environment,
            disturb=disturb,
        )

    def run(self, seed: int) -> Result:
        dice = random.Random(seed)
        name = dice.choice(list(BOARDS))
        (fault,) = dice.choices(FAULTS, _WEIGHTS)
        result = Result(seed, name, fault)
        before = self.held(name)
        size = self.change(name, dice)
        first = self._disturbed(seed, name, fault, size, dice)
        result.early = first.code != 0
        result.raised = RAISED in first.out
        if fault == "noise" and first.code != 0:
            result.broken.append(f"noise ended it: {first.said[-600:]}")
        wanted = self.wanted(name)
        for path, data in self.held(name).items():
            if path.startswith("/m") and data not in (before.get(path), wanted.get(path)):
                result.broken.append(f"{path} is a mixture")
        boots = self.bench.status(name)["boots"]
        self._mend(name, fault)
        if fault == "kill" and seed % 2 and RESET not in first.out:
            found = self.apply(name, "--check")
            if found.code != 0 or self.bench.status(name)["boots"] != boots:
                result.broken.append(f"not found without a reset: {found.said[-600:]}")
        second = self.apply(name)
        if second.code != 0:
            result.broken.append(f"does not converge: {second.code} {second.said[-600:]}")
        third = self.apply(name)
        if third.code != 0 or RAISED in third.out or outcome(third) != "ok":
            result.broken.append(f"is not idle: {third.code} {third.said[-600:]}")
        held = self.held(name)
        if any(held.get(path) != data for path, data in wanted.items()):
            result.broken.append("the flash holds something else")
        result.slowest = max(one.seconds for one in (first, second, third))
        return result

    def _mend(self, name: str, fault: str) -> None:
        """As little as undoes it: what a host that died left behind stays so."""
        if fault == "unplug":
            self.bench.fault(name, "unplug", bytes=10**9)
            if not self.bench.status(name)["plugged"]:
                self.bench.order(name, "replug")
        if fault == "power":
            self.bench.power(name, True)
        if fault == "noise":
            self.bench.fault(name, "noise")

    def _disturbed(self, seed: int, name: str, fault: str, size: int, dice: random.Random) -> Ended:
        delay = dice.uniform(0.0, 0.4 + size / 80_000)  # seconds; most of it is a raised transfer

        def cut(_process: int) -> None:
            self.bench.power(name, False)

        acts = {"kill": send(signal.SIGKILL), "power": cut}
        disturb = [Happening(fault, (acts[fault],), 0, delay, words=FILES)] if fault in acts else []
        if fault == "unplug":
            self.bench.fault(name, "unplug", bytes=dice.randint(1500, 5000 + size))
        if fault == "noise":
            noise = {"flip": 10 ** dice.uniform(-4, -2.3), "above": 230_400, "seed": seed}
            self.bench.fault(name, "noise", **noise)
        return self.apply(name, disturb=disturb)


KINDS = ("STATE", "RUNTIME", "CACHE")


def outcome(ended: Ended) -> str:
    events = [json.loads(line) for line in ended.out.splitlines()]
    return next((each["outcome"] for each in events if each["kind"] == "device-finished"), "")


def table(results: Sequence[Result]) -> str:
    """Markdown: runs by fault and by board."""
    lines = []
    for what, keys in (("fault", FAULTS), ("board", tuple(BOARDS))):
        lines += [
            f"| {what} | runs | first apply ended early | of these at a raised rate | survived |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for key in (*keys, "all"):
            of = [one for one in results if key in (getattr(one, what), "all")]
            early = [one for one in of if one.early]
            raised, well = sum(one.raised for one in early), sum(not one.broken for one in of)
            lines.append(f"| {key} | {len(of)} | {len(early)} | {raised} | {well} |")
        lines.append("")
    return "\n".join(lines)


def work(folder: Path, seeds: Sequence[int], record: Path) -> None:
    """Those runs, one after the other, each written down when it is over."""
    import provision.app
    import provision.cli.apply
    import provision.device.connection
    import provision.device.micropython.transfer.stream_transfer  # noqa: F401

    room = Room(folder)
    try:
        for seed in seeds:
            result = room.run(seed)
            with record.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
            for text in result.broken:
                print(f"run {seed}: {result.board}: {result.fault}: {text}", file=sys.stderr)
    finally:
        room.bench.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.raised", description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="raised-"))
    jobs = []
    for number in range(options.jobs):
        place = folder / str(number)
        place.mkdir()
        seeds = range(options.seed + number, options.seed + options.runs, options.jobs)
        record = folder / f"{number}.jsonl"
        jobs.append(multiprocessing.Process(target=work, args=(place, seeds, record)))
        jobs[-1].start()
    with contextlib.suppress(KeyboardInterrupt):  # which ends the jobs as well
        for job in jobs:
            job.join()
    for job in jobs:
        job.join()
    records = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    results = [Result(**json.loads(line)) for line in records]
    print(table(results), flush=True)
    slowest = max((each.slowest for each in results), default=0.0)
    print(f"slowest apply {slowest:.0f} s; {time.monotonic() - began:.0f} s in all")
    whole = len(results) == options.runs and not any(each.broken for each in results)
    if whole:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
