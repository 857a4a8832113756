"""`python -m tests.campaign.load`: applies on a host that is kept busy, and what is said of boards.

A board does not go wrong because this computer has something else to do. Every apply must end with
each board changed or found as it must be, over each carrier; whatever else is said of one is a
wrong conclusion. The exit code is 1 when there was any.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.sim import client
from tests.campaign import flash as flashes
from tests.campaign.bench import ROOT, Bench, Ended, tool
from tests.campaign.run import boards_home

WELL = {"ok", "changed"}
WAYS = ("first", "files", "nothing", "firmware")
"""What an apply finds to do, in turn: all of it, some files, nothing, another version."""


def _burn() -> None:
    os.setsid()  # where the scheduler shares by session, each has a share of its own
    while True:
        pass


@contextlib.contextmanager
def kept_busy(processes: int) -> Iterator[None]:
    """That many processes that want a whole processor each."""
    burners = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(processes)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


class Room:
    """Three boards, each behind another carrier, and the project that provisions them."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        (self.project / "app").mkdir(parents=True)
        self.environment = {
            "PYTHONPATH": str(ROOT),
            "PROVISION_STATE_DIR": str(folder / "state"),
            "PROVISION_RUNTIME_DIR": str(folder / "run"),
            "PROVISION_CACHE_DIR": str(folder / "cache"),
            "NO_COLOR": "1",
        }
        self.bench = Bench(boards_home(folder))
        line = {"wire": "on", "latency": "1ms", "scale": "1"}
        for name, chip in (("direct", ESP32), ("served", ESP8266), ("terminal", ESP32)):
            self.bench.board(name, chip, **line)
            base = flashes.image(chip, "1.22.2")
            self.bench.put(
                name,
                flashes.start_flash(
                    chip, "old", base=base, wanted=None, files={"/old.py": b"# old\n"}, cut=0
                ),
            )
        self.ports = {
            "direct": "sim://direct",
            "served": client.request("served", "rfc2217")["rfc2217"],
            "terminal": client.request("terminal", "pty")["pty"],
        }
        self.version = "1.22.2"

    def next(self, number: int) -> str:
        """Change what the manifest asks for; in which way."""
        dice = random.Random(number)
        way = "first" if number == 0 else WAYS[1 + number % 3] if number % 10 else "firmware"
        if way == "firmware":
            self.version = "1.24.1" if self.version == "1.22.2" else "1.22.2"
        if way == "first":
            for index in range(12):
                (self.project / f"app/m{index}.py").write_bytes(dice.randbytes(2000))
            (self.project / "app/main.py").write_text("print('ready')\n")
        if way == "files":
            (self.project / f"app/m{dice.randrange(12)}.py").write_bytes(dice.randbytes(3000))
        devices = ""
        for name, board in (("direct", "esp32"), ("served", "esp8266"), ("terminal", "esp32")):
            chip = ESP8266 if board == "esp8266" else ESP32
            image = f"{board}-{self.version}.bin"
            (self.project / image).write_bytes(flashes.image(chip, self.version))
            devices += f"  {name}:\n    board: {board}\n    port: '{self.ports[name]}'\n"
            devices += "    files: [{src: app/, dest: /}]\n"
            if name != "terminal":  # which has no lines to reset a board by
                devices += f"    firmware: {{file: {image}}}\n"
        (self.project / "fleet.yaml").write_text(f"fleet: load\ndevices:\n{devices}")
        return way

    def apply(self, number: int) -> Ended:
        """To all three in every fifth, else to one of them."""
        one = () if number % 5 == 0 else ("-l", list(self.ports)[number % 3])
        return tool(
            *("apply", "--yes", "--json", "--log-file", "log.txt", *one),
            folder=self.project,
            environment=self.environment,
            anew=True,
        )

    def close(self) -> None:
        self.bench.close()


def wrong_conclusions(ended: Ended) -> list[str]:
    """What was said of boards that are well."""
    said = []
    for line in ended.out.splitlines():
        event = json.loads(line)
        if event["kind"] == "device-finished" and event["outcome"] not in WELL:
            said.append(f"{event['device']}: {event['outcome']}: {event['error']}")
    if not said and ended.code != 0:
        said.append(f"exit code {ended.code}: {ended.err[-300:]}")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.load", description=__doc__)
    parser.add_argument("--applies", type=int, default=50)
    parser.add_argument("--load", type=int, default=20, help="processes that keep the host busy")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="load-"))
    room = Room(folder)
    wrong = 0
    seconds: dict[str, list[float]] = {}
    try:
        with kept_busy(options.load):
            for number in range(options.applies):
                way = room.next(number)
                ended = room.apply(number)
                seconds.setdefault(way, []).append(ended.seconds)
                for text in wrong_conclusions(ended):
                    wrong += 1
                    print(f"apply {number} ({way}): {text}", file=sys.stderr)
    finally:
        room.close()
        if not wrong:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{options.applies} applies, {options.load} busy processes on "
          f"{os.cpu_count()} processors: {wrong} wrong conclusions")  # fmt: skip
    for way, took in seconds.items():
        print(f"{way}: {len(took)}, {statistics.median(took):.1f} s, at most {max(took):.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
