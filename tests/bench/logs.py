"""`provision logs` of many boards: what is lost, and how much of a core it takes.

    python -m tests.bench.logs [--boards 32] [--seconds 60] [--lines N] [--json]

The boards are pseudo terminals that one feeder writes numbered lines of 40 bytes to: `--lines` a
second each, or as many as 115200 baud carry where it is left out. With `--secrets N` the manifest
has so many secrets to look for. CPU is that of the `provision` process, user and system: all of it,
and while lines come.
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
BEGUN = re.compile(rb"board-\d+(?=.*begins)")


def cpu_of(process: int) -> float:
    """Seconds of user and system time that a process has used; 0.0 where there is no /proc."""
    try:
        line = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    fields = line.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def line(number: int) -> bytes:
    return f"{number:08d} ".encode().ljust(LENGTH - 2, b"x") + b"\r\n"


def heard(out: Path) -> int:
    """How many of the numbered lines have come out."""
    return len(re.findall(rb"\d{8} xx", out.read_bytes()))


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
    parser.add_argument("--secrets", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="provision-logs-"))
    masters, devices = [], []
    for number in range(options.boards):
        master, slave = pty.openpty()
        tty.setraw(slave)
        masters.append(master)
        devices.append(f"  board-{number:02d}: {{port: {os.ttyname(slave)}, board: esp32}}\n")
    names = [f"secret_{number}" for number in range(options.secrets)]
    given = "".join(f"  {name}: !secret {name}\n" for name in names)
    defaults = f"defaults:\n vars:\n{given}" if names else ""
    (work / "fleet.yaml").write_text(f"{defaults}devices:\n{''.join(devices)}", encoding="utf-8")
    values = "".join(f"{name}: correct horse {name[::-1]} staple\n" for name in names)
    (work / "secrets.yaml").write_text(values, encoding="utf-8")
    (work / "secrets.yaml").chmod(0o600)
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
        while len(set(BEGUN.findall((work / "out").read_bytes()))) < options.boards:
            for master in masters:
                os.write(master, marker)
            time.sleep(0.5)
        begun = cpu_of(process.pid)
        sent = feed(masters, options.seconds, options.lines, process)
        total = sent * options.boards
        given_up = time.monotonic() + 10.0
        while heard(work / "out") < total and time.monotonic() < given_up:
            time.sleep(0.5)
        fed = cpu_of(process.pid) - begun
        process.terminate()
        process.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    print(
        f"{options.boards} boards, {options.lines:.0f} lines a second each, "
        f"{options.seconds:.0f} s: {total} lines sent, {total - heard(work / 'out')} lost; "
        f"CPU {cpu:.1f} s, {100 * cpu / options.seconds:.1f} % of a core; while lines came "
        f"{fed:.1f} s, {100 * fed / options.seconds:.1f} %, of {os.getloadavg()[0]:.1f} load"
    )


if __name__ == "__main__":
    main()
