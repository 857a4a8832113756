"""Hosts that are network namespaces, with the real sshd and virtual boards, by the real Ansible.

    python -m tests.bench.rooms [--hosts 5] [--boards 5] [--forks 5] [--set KEY=VALUE …]

Needs root on Linux, as tests/collection does. Boards begin blank, `--set` as of `provision sim up`.
Runs: the first; one with nothing changed; one with a new main.py, a host killed when it has begun
to write it; again; and once more. CPU of Ansible has its ssh and sshd in it; what ran on a host
that was killed is not counted.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import yaml

from provision.core.chips.esp.chips import ESP32
from tests.collection.rooms import ROOT, Ended, Host, Rooms, inside, missing
from tests.sim.bench import release

WRAPPER = f"""#!/bin/sh
PYTHONPATH={ROOT} {sys.executable} -m provision "$@"
code=$?
times >> "$PROVISION_STATE_DIR.times"
exit $code
"""
OPTIONS = {"project": "{{ provision_manifest }}", "erase_new_boards": True}
PLAY = {"hosts": "provision", "gather_facts": False, "tasks": [{"provision.boards.apply": OPTIONS}]}
LARGE = 20_000  # bytes of the new main.py: enough to be killed in the midst of


def spent(pids: Iterable[int]) -> float:
    """CPU seconds of processes and of their children that have ended."""
    total = 0.0
    for pid in pids:
        with suppress(psutil.Error):
            total += sum(psutil.Process(pid).cpu_times()[:4])
    return total


def noted(folder: Path) -> float:
    """CPU seconds of `provision`, by the shell around it."""
    path = folder / "state.times"
    lines = path.read_text().splitlines()[1::2] if path.exists() else ()
    times = [word.rstrip("s").split("m") for line in lines for word in line.split()]
    return sum(60 * int(minutes) + float(seconds) for minutes, seconds in times)


def memory(pids: Iterable[int]) -> int:
    """Megabytes; what processes share counts once."""
    total = 0
    for pid in pids:
        with suppress(psutil.Error):
            total += int(psutil.Process(pid).memory_full_info().pss)
    return total >> 20


def family(pids: Iterable[int]) -> list[int]:
    """With their children: a board's MicroPython is one."""
    tasks = [path for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [*pids, *(int(child) for path in tasks for child in path.read_text().split())]


def written(host: Host) -> int:
    return max(flash.stat().st_mtime_ns for flash in host.folder.glob("boards/*/flash.bin"))


def run(
    rooms: Rooms, boards: list[int], what: str, *words: str, doomed: Host | None = None
) -> Ended:
    def clocks() -> dict[str, tuple[float, float]]:
        hosts = rooms.hosts.values()
        return {host.name: (spent(inside(host.namespace)), noted(host.folder)) for host in hosts}

    def children() -> float:
        return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])

    before, was, merged = clocks(), spent(family(boards)), noted(rooms.folder)
    masters = {pid: spent([pid]) for pid in inside(rooms.controller)}  # ssh's connections, kept
    began, cpu, peak, last = time.monotonic(), children(), 0, written(doomed) if doomed else 0
    playing = rooms.begin("site.yml", "-i", "rooms.provision.yml", *words)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(playing.communicate()[0]))
    reader.start()
    while reader.is_alive():
        reader.join(0.02 if doomed else 0.25)
        if not doomed:
            peak = max(peak, memory(inside(rooms.controller)))
        elif written(doomed) > last:
            doomed.kill()
            doomed = None
    wall, cpu, took = time.monotonic() - began, children() - cpu, spent(family(boards)) - was
    cpu += sum(spent([pid]) - masters.get(pid, 0) for pid in inside(rooms.controller))
    merged, after = noted(rooms.folder) - merged, clocks()
    lived = [name for name in after if after[name][0] >= before[name][0]]
    both, ours = (sum(after[name][i] - before[name][i] for name in lived) for i in (0, 1))
    ended = Ended(playing.returncode, said[0])
    counts = {key: sum(map(bool, ended.of(key).values())) for key in ended.stats["room-01"]}
    print(
        f"{what}: {wall:.0f} s; CPU on the controller: Ansible {cpu - merged:.1f} s, provision "
        f"{merged:.1f} s; on hosts: Ansible {both - ours:.1f} s, provision {ours:.1f} s; boards "
        f"{took:.1f} s; controller at most {peak} MB; hosts "
        f"{ {key: count for key, count in counts.items() if count} }; "
        f"{len(set(rooms.lock.values()))} MACs in the lock",
        flush=True,
    )
    if counts["failed"]:
        print(ended.out[-4000:], file=sys.stderr)
    return ended


def bring_up(rooms: Rooms, hosts: int, boards: int, settings: list[str]) -> list[int]:
    """Returns the processes of boards."""
    names = [f"room-{number:02}" for number in range(1, hosts + 1)]
    rooms.open(names)
    (rooms.bin / "provision").write_text(WRAPPER)
    rooms.write("fw.bin", release(ESP32, "1.24.1"))
    rooms.write("main.py", "print('ready')\n")
    common = {"board": "esp32", "firmware": "fw", "port": "sim://{{ name }}", "files": ["main.py"]}
    manifest = {
        "fleet": "school",
        "firmware": {"fw": {"file": "fw.bin", "version": "1.24.1"}},
        "defaults": {**common, "check": {"console": "ready", "timeout": 300}},
        "groups": {name: {"host": name} for name in names},
        "devices": {f"{name}-[01:{boards:02}]": {"groups": [name]} for name in names},
    }
    addresses = {name: host.address for name, host in rooms.hosts.items()}
    inventory = {"plugin": "provision.boards.fleet", "manifest": "fleet.yaml"}
    compose = {"ansible_host": f"{addresses!r}[provision_host]"}
    rooms.write("fleet.yaml", yaml.safe_dump(manifest))
    rooms.write("rooms.provision.yml", yaml.safe_dump({**inventory, "compose": compose}))
    rooms.write("site.yml", yaml.safe_dump([PLAY]))
    words = ["--chip", "esp32", "--json", *(f"--set={each}" for each in ("flash=4MB", *settings))]
    pids = []
    for name, host in rooms.hosts.items():
        seats = [f"{name}-{number:02}" for number in range(1, boards + 1)]
        pids += [board["pid"] for board in json.loads(host.provision("sim", "up", *seats, *words))]
    return pids


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rooms", description=__doc__)
    for name in ("hosts", "boards", "forks"):
        parser.add_argument(f"--{name}", type=int, default=5)
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[])
    options = parser.parse_args()
    if (lacking := missing()) is not None:
        parser.error(lacking)
    forks = f"--forks={options.forks}"
    with tempfile.TemporaryDirectory(prefix="rooms-") as name:
        rooms = Rooms(Path(name) / "rooms")
        try:
            boards = bring_up(rooms, options.hosts, options.boards, options.set)
            run(rooms, boards, "first", forks)
            run(rooms, boards, "unchanged", forks)
            noise = random.Random(1).randbytes(LARGE // 2).hex()
            rooms.write("main.py", f"# {noise}\nprint('ready again')\n")
            doomed = rooms.hosts[f"room-{options.hosts // 2 + 1:02}"]
            run(rooms, boards, f"{doomed.name} killed", forks, doomed=doomed)
            doomed.start()
            run(rooms, boards, "again", forks)
            last = run(rooms, boards, "once more", forks)
            print(f"{len(boards)} boards, {memory(family(boards))} MB")
            one_lock = len(set(rooms.lock.values())) == len(boards)
        finally:
            rooms.close()
    return 0 if one_lock and last.code == 0 and not any(last.of("changed").values()) else 1


if __name__ == "__main__":
    sys.exit(main())
