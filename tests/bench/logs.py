"""`provision logs` of many boards: what is lost, and how much of a core it takes.

    python -m tests.bench.logs [--boards 32] [--seconds 60] [--lines N] [--json]

The boards are pseudo terminals that one feeder writes numbered lines of 40 bytes to: `--lines` a
second each, or as many as 115200 baud carry where it is left out. CPU is that of the `provision`
process, user and system, start included.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import resource
import subprocess
import sys
import tempfile
import time
import tty
from pathlib import Path

LENGTH = 40  # bytes of a line, its end included
FULL = 115200 / 10 / LENGTH  # lines a second of a line that never rests
TICK = 0.02


def line(number: int) -> bytes:
    return f"{number:08d} ".encode().ljust(LENGTH - 2, b"x") + b"\r\n"


def feed(masters: list[int], seconds: float, rate: float, process: subprocess.Popen[bytes]) -> int:
    """Write lines to all for so long; how many each has got."""
    sent = 0
    began = time.monotonic()
    while time.monotonic() - began < seconds and process.poll() is None:
        due = int((time.monotonic() - began) * rate)
        data = b"".join(map(line, range(sent, due)))
        for master in masters:
            os.write(master, data)
        sent = due
        time.sleep(TICK)
    return sent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--lines", type=float, default=FULL)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="provision-logs-"))
    masters, devices = [], []
    for number in range(options.boards):
        master, slave = pty.openpty()
        tty.setraw(slave)
        masters.append(master)
        devices.append(f"  board-{number:02d}: {{port: {os.ttyname(slave)}, board: esp32}}\n")
    (work / "fleet.yaml").write_text("devices:\n" + "".join(devices), encoding="utf-8")
    words = ["logs", *(["--json"] if options.json else [])]
    environment = {**os.environ, "PROVISION_STATE_DIR": str(work / "state")}
    with (work / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "provision", *words],
            cwd=work,
            env=environment,
            stdout=out,
        )
        marker = b"00000000 begins\r\n"
        # Listened to when each board's mark has come out.
        while (work / "out").read_bytes().count(b"begins") < options.boards:
            for master in masters:
                os.write(master, marker)
            time.sleep(0.5)
        sent = feed(masters, options.seconds, options.lines, process)
        time.sleep(1.0)
        process.terminate()
        process.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    heard = len(re.findall(rb"\d{8} xx", (work / "out").read_bytes()))
    cpu = used.ru_utime + used.ru_stime
    total = sent * options.boards
    print(
        f"{options.boards} boards, {options.lines:.0f} lines a second each, "
        f"{options.seconds:.0f} s: {total} lines sent, {total - heard} lost; "
        f"CPU {cpu:.1f} s, {100 * cpu / options.seconds:.1f} % of a core"
    )


if __name__ == "__main__":
    main()
