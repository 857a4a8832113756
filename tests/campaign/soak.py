"""`python -m tests.campaign.soak`: one process, many boards, for hours of the boards' own time.

Boards are plugged in and pulled out between, and in the middle of, applies by the Python API, all
in this one process. After every round its threads, file descriptors, children and memory are
counted, and those of the boards' processes: whatever grows is a leak.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from provision import apply, load
from provision.core.chips.esp.chips import ESP32
from provision.sim import client
from tests.campaign import flash as flashes

SCALE = 10  # seconds of a board in one of ours
WARM_UP = 3  # rounds after which caches and pools have what they will ever have


@dataclass
class Sample:
    """Counts after one round; memory in KiB, of the boards' processes the mean. Descriptors of
    boards are the most that one has, for those with and without a cable: the two differ by what a
    running MicroPython needs, so that a mean would follow how many are plugged in."""

    second: float
    outcomes: dict[str, int]
    threads: int
    descriptors: int
    children: int
    memory: int
    plugged_descriptors: int
    unplugged_descriptors: int
    boards_memory: float
    boards_children: int  # a MicroPython for each board that is plugged in, no more
    plugged: int


@dataclass
class Soak:
    boards: int
    folder: Path
    dice: random.Random
    pids: dict[str, int] = field(default_factory=dict)
    plugged: set[str] = field(default_factory=set)

    def prepare(self) -> None:
        image = flashes.start_flash(
            ESP32,
            "old",
            base=flashes.image(ESP32, "1.24.1"),
            wanted=None,
            files={"/main.py": b"print('old')\n"},
            cut=0,
        )
        project = self.folder / "project"
        project.mkdir()
        devices = ""
        for number in range(self.boards):
            name = f"soak-{number}"
            query = {"chip": "esp32", "flash": "4MB", "scale": str(SCALE)}
            self.pids[name] = client.ensure(name, query)["pid"]
            client.request(name, "unplug")
            place = Path(client.request(name, "status")["directory"]) / "flash.bin"
            with place.open("r+b") as file:
                file.write(image)
            devices += f"  n{number}: {{port: 'sim://{name}', board: esp32}}\n"
        (project / "fleet.yaml").write_text(
            "defaults: {files: [main.py, data.bin]}\ndevices:\n" + devices, encoding="utf-8"
        )

    def plug(self) -> None:
        """Half of the boards change hands; some of those that are in will lose their cable in
        the middle of the next apply."""
        for name in self.pids:
            if name in self.plugged and self.dice.random() < 0.3:
                client.request(name, "unplug")
                self.plugged.discard(name)
            elif name not in self.plugged and self.dice.random() < 0.6:
                client.request(name, "replug")
                self.plugged.add(name)
        for name in sorted(self.plugged):
            if self.dice.random() < 0.1:
                arguments = {"bytes": self.dice.randrange(1, 4000)}
                client.request(name, "fault", fault="unplug", arguments=arguments)

    def round(self, number: int) -> dict[str, int]:
        project = self.folder / "project"
        (project / "main.py").write_text(f"print({number})\n", encoding="utf-8")
        (project / "data.bin").write_bytes(self.dice.randbytes(2000))
        report = apply(load(project / "fleet.yaml"), yes=True, forks=32)
        for name in list(self.plugged):
            if not client.request(name, "status")["plugged"]:
                self.plugged.discard(name)
        return dict(Counter(device.outcome for device in report.devices))

    def sample(self, began: float, outcomes: dict[str, int]) -> Sample:
        gc.collect()
        return Sample(
            second=round(time.monotonic() - began, 1),
            outcomes=outcomes,
            threads=threading.active_count(),
            descriptors=_descriptors(os.getpid()),
            children=len(_children(os.getpid())),
            memory=_memory(os.getpid()),
            plugged_descriptors=self.most_descriptors(plugged=True),
            unplugged_descriptors=self.most_descriptors(plugged=False),
            boards_memory=statistics.fmean(_memory(pid) for pid in self.pids.values()),
            boards_children=sum(len(_children(pid)) for pid in self.pids.values()),
            plugged=len(self.plugged),
        )

    def most_descriptors(self, *, plugged: bool) -> int:
        chosen = (pid for name, pid in self.pids.items() if (name in self.plugged) is plugged)
        return max(map(_descriptors, chosen), default=0)

    def close(self) -> None:
        for name in self.pids:
            client.stop(name)


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _memory(pid: int) -> int:
    """What belongs to a process alone, in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()


def soak(boards: int, minutes: float, seed: int, folder: Path) -> list[Sample]:
    """Rounds until the boards have lived through that many minutes of their own time."""
    os.environ["PROVISION_SIM_HOME"] = str(folder / "boards")
    for variable in ("STATE", "RUNTIME", "CACHE"):
        os.environ[f"PROVISION_{variable}_DIR"] = str(folder / variable.lower())
    run = Soak(boards, folder, random.Random(seed))
    samples = []
    try:
        run.prepare()
        began = time.monotonic()
        number = 0
        while time.monotonic() - began < minutes * 60 / SCALE or number < WARM_UP + 5:
            number += 1
            run.plug()
            samples.append(run.sample(began, run.round(number)))
            print(samples[-1], file=sys.stderr, flush=True)
    finally:
        run.close()
    return samples


def leaks(samples: list[Sample]) -> list[str]:
    """What grew from the end of the warm-up to the end; none when all is flat."""
    early, rest = samples[: WARM_UP + 1], samples[WARM_UP:]
    found = [
        f"{sample.boards_children} interpreters for {sample.plugged} boards"
        for sample in samples
        if sample.boards_children != sample.plugged
    ]
    for name, slack in (
        ("threads", 0),
        ("descriptors", 0),
        ("children", 0),
        ("plugged_descriptors", 2),  # a link to it may just be open
        ("unplugged_descriptors", 2),
    ):
        first = max(getattr(sample, name) for sample in early)
        worst = max(getattr(sample, name) for sample in rest)
        if worst > first + slack:
            found.append(f"{name}: {first} became {worst}")
    half = len(rest) // 2
    for name, slack in (("memory", 8192), ("boards_memory", 1024)):
        before = statistics.median(getattr(sample, name) for sample in rest[:half])
        after = statistics.median(getattr(sample, name) for sample in rest[half:])
        if after > before + slack:
            found.append(f"{name}: {before:.0f} KiB became {after:.0f} KiB")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.soak", description=__doc__)
    parser.add_argument("--boards", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30.0, help="of the boards' own time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        samples = soak(options.boards, options.minutes, options.seed, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps([asdict(sample) for sample in samples]))
    found = leaks(samples)
    print("\n".join(found) or "nothing leaks", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
