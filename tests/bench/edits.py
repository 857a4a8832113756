"""The loop of an edit: from a save to the first line of the app that was saved.

    python -m tests.bench.edits [--edits 20] [--scale 1] [--latency 1ms] [--json]

An app of 2 kB is saved again and again, and is to be heard from a virtual ESP32 behind a modelled
line at 115200 baud, the rate never raised: by `provision watch`, which runs all along; by an
`apply`; and by `mpremote cp` and `reset`. The last two are begun by each save and leave the port,
so that somebody has to listen: the app says its number every 20 ms. With `--scale 0.25` each of the
line's seconds lasts four; what is measured is in the line's own, and what the machine's other work
and the interpreters cost counts for a quarter.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import serial

from tests.bench.unit import PROVISION, ROOT, Line, Unit, unit

SIZE = 2000  # bytes of the app
PATIENCE = 60.0  # seconds
TICK = 0.02
HEAD = """\
import time
number = {number}
"""
TAIL = """\
while True:
    print('edit', number, end=';\\n')
    time.sleep({tick})
"""


def app(number: int, tick: float) -> str:
    """One of `SIZE` bytes, about as hard to deflate as a program is."""
    head, tail = HEAD.format(number=number), TAIL.format(tick=tick)
    body, line = "", 0
    while len(head) + len(body) + len(tail) < SIZE:
        line += 1
        value = line * 7919 % 10007 + number
        body += f"def step_{line}(value, limit={value}):\n    return min(value * {line}, limit)\n"
    return (head + body)[: SIZE - len(tail) - 1].rpartition("\ndef ")[0] + "\n" + tail


class Heard:
    """Lines of a process, or of a port, and when they came."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._changed = threading.Condition()

    def line(self, text: str) -> None:
        with self._changed:
            self._times.setdefault(text.strip(), time.monotonic())
            self._changed.notify_all()

    def when(self, text: str) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: text in self._times, PATIENCE):
                raise SystemExit(f"{text!r} did not come")
            return self._times[text]


def saves(board: Unit, edits: int, heard: Callable[[int], float]) -> list[float]:
    """Seconds of each save, in the line's own."""
    path = board.work / "main.py"
    took = []
    for number in range(1, edits + 1):
        time.sleep(0.5)  # the app of the save before runs
        text = app(number, TICK / board.line.scale)
        began = time.monotonic()
        path.write_text(text, encoding="utf-8")
        took.append((heard(number) - began) * board.line.scale)
    return took


@contextmanager
def watching(board: Unit) -> Iterator[Heard]:
    process = subprocess.Popen(
        [*PROVISION, "watch"],
        cwd=board.work,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    heard = Heard()
    stdout = process.stdout
    assert stdout is not None
    reader = threading.Thread(target=lambda: [heard.line(line) for line in stdout], daemon=True)
    reader.start()
    try:
        yield heard
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        stdout.close()


def by_watch(board: Unit, edits: int) -> list[float]:
    with watching(board) as heard:
        heard.when(f"{board.name} | edit 0;")
        return saves(board, edits, lambda number: heard.when(f"{board.name} | edit {number};"))


def by_command(board: Unit, edits: int, run: Callable[[], object]) -> list[float]:
    def heard(number: int) -> float:
        run()
        with serial.serial_for_url(board.address, baudrate=board.line.baud, timeout=0.5) as port:
            mark, said = f"edit {number};".encode(), b""
            began = time.monotonic()
            while mark not in said:
                if time.monotonic() - began > PATIENCE:
                    raise SystemExit(f"{mark!r} did not come: {said[-200:]!r}")
                said = said[-200:] + port.read(max(1, port.in_waiting))
            return time.monotonic()

    return saves(board, edits, heard)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=20)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--latency", default="1ms")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="provision-edits-"))
    for variable, folder in (("SIM_HOME", "boards"), ("STATE_DIR", "state"),
                             ("RUNTIME_DIR", "run"), ("CACHE_DIR", "cache")):  # fmt: skip
        os.environ[f"PROVISION_{variable}"] = str(work / folder)
    serial.protocol_handler_packages.append("provision.sim")
    line = Line(scale=options.scale, latency=options.latency)
    results = {}
    with unit(work, "kitchen", line) as board:
        (work / "main.py").write_text(app(0, TICK / line.scale), encoding="utf-8")
        (work / "fleet.yaml").write_text(
            f"devices: {{kitchen: {{port: '{board.address}', board: esp32, transfer_baud: off, "
            "files: [main.py]}}\n",
            encoding="utf-8",
        )
        results["provision watch"] = by_watch(board, options.edits)
        results["provision apply"] = by_command(board, options.edits, lambda: board.run("apply"))
        words = ("mpremote", "connect", board.address, "cp", "main.py", ":main.py", "+", "reset")
        results["mpremote cp + reset"] = by_command(
            board, options.edits, lambda: board.tool(*words)
        )
    if options.json:
        print(json.dumps(results))
        return
    size = len(app(0, TICK / line.scale))
    print(
        f"{line}: an app of {size} bytes, {options.edits} saves each, load {os.getloadavg()[0]:.1f}"
    )
    for name, took in results.items():
        print(f"{name:<20} median {statistics.median(took):.2f} s, worst {max(took):.2f} s")


if __name__ == "__main__":
    sys.exit(main())
