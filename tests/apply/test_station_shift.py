"""Whole shifts at a station of eight sockets, with faults, and killed again and again: what the
ledger says is what is in the flash of each board, unit by unit. The long ones: `pytest -m slow`.
"""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections import deque
from pathlib import Path

import pytest

from provision.sim import client
from provision.station.records import Unit
from tests.apply.plugged import LISTED, Sockets, units, write_station
from tests.apply.station import Event, Run, Station

pytest.importorskip("micropython_unix")

HAND = 0.6  # seconds that no hand is faster than between a board and the next
SOCKETS = [f"bay-{number}" for number in range(1, 9)]


class Shift:
    """Hands that serve eight sockets of one station: plug in, take away what is done."""

    def __init__(self, station: Station, boards: list[str]) -> None:
        self.station = station
        self.to_do = deque(boards)
        self.sockets = Sockets(station)
        self.at: dict[str, str] = {}
        self.left: dict[str, float] = {}  # when a socket was left empty
        self.read = 0
        places = json.dumps({name: f"1-{name}" for name in SOCKETS})
        write_station(station, sockets=places, app="# " + random.Random(1).randbytes(8_000).hex())

    def start(self, *words: str) -> Run:
        self.read = 0
        return self.station.start(
            "station", "--station", "bench", "--yes", "--json", *words, wrapper=LISTED
        )

    def news(self, run: Run) -> list[Event]:
        """What the station has said since the last time, of its sockets."""
        events = run.events
        new, self.read = events[self.read :], len(events)
        return [event for event in new if event["kind"] == "socket"]

    def fill(self) -> None:
        """A board into each socket that has none."""
        for socket in SOCKETS:
            free = time.monotonic() - self.left.get(socket, 0.0) > HAND
            if socket not in self.at and free and self.to_do:
                board = self.to_do.popleft()
                client.ensure(board, {"chip": "esp32"})
                self.at[socket] = board
                self.sockets.plug(f"1-{socket}", board)

    def take(self, socket: str) -> str:
        self.sockets.unplug(f"1-{socket}")
        self.left[socket] = time.monotonic()
        return self.at.pop(socket)

    def units(self) -> dict[str, Unit]:
        return {unit.mac or unit.number: unit for unit in units(self.station).values()}

    def agree(self, board: str, unit: Unit) -> None:
        """The flash of a board, read past our own code, holds what the ledger says."""
        files = self.station.files(board)
        told = f"PV-{unit.number} {unit.number} {unit.mac} bench"
        assert files["/id.txt"].decode() == told
        assert files["/main.py"] == (self.station.work / "main.py").read_bytes()
        assert set(unit.result.files) == {"/id.txt", "/main.py"}


def memory(run: Run) -> int:
    """Kilobytes that the station has in memory."""
    status = Path(f"/proc/{run.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


def a_shift(station: Station, count: int) -> None:
    """Some boards are unplugged in the middle, and come again."""
    rng = random.Random(18)
    names = [f"b{number:03d}" for number in range(count)]
    loose = set(rng.sample(names, count // 8))
    shift = Shift(station, names)
    macs: dict[str, str] = {}
    sizes: list[int] = []
    done = failed = 0
    started = time.monotonic()
    run = shift.start()
    while done < count:
        shift.fill()
        news = shift.news(run)
        if not news:
            assert run.process.poll() is None, run.err
            time.sleep(0.05)  # a hand looks again
        for event in news:
            socket, board = event["socket"], shift.at.get(event["socket"])
            if board is None:
                continue
            if event["phase"] == "proving" and board in loose:
                loose.discard(board)
                fault = {"bytes": rng.randrange(1_000, 60_000), "replug": 4}
                client.request(board, "fault", fault="unplug", arguments=fault)
            elif event["phase"] == "working":
                macs[board] = event["mac"]
            elif event["phase"] == "passed":
                done += 1
                sizes.append(memory(run))
                unit = shift.units()[event["mac"]]
                assert (unit.number, unit.state) == (event["number"], "done")
                shift.agree(shift.take(socket), unit)
                client.stop(board)
            elif event["phase"] == "failed":
                failed += 1
                shift.to_do.append(shift.take(socket))
    run.signal(signal.SIGINT)
    assert run.end().code == 0
    seconds = time.monotonic() - started
    units = shift.units()
    assert len(units) == count
    assert {units[mac].state for mac in macs.values()} == {"done"}
    numbers = sorted(unit.number for unit in units.values())
    assert numbers == [f"{1000 + n:06d}" for n in range(count)]
    quarters = [max(sizes[n * count // 4 : (n + 1) * count // 4]) for n in range(4)]
    print(f"{count} units, {failed} failed visits, {seconds:.0f} s; kB by quarters: {quarters}")
    if count >= 200:
        assert quarters[3] < 1.1 * quarters[1]


def killed(station: Station, kills: int, seed: int) -> None:
    """SIGKILL at random moments. No number is two boards', none is lost, and whatever a board was
    in the middle of, the next start finishes."""
    rng = random.Random(seed)
    names = [f"k{number:03d}" for number in range(4 * kills)]
    shift = Shift(station, names)
    numbers: dict[str, str] = {}  # mac -> number, as it was first told
    boards: dict[str, str] = {}  # mac -> board
    passed: set[str] = set()
    started = time.monotonic()

    def serve(run: Run, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            shift.fill()
            for event in shift.news(run):
                mac, board = event["mac"], shift.at.get(event["socket"])
                if board is None:
                    continue
                if event["phase"] == "working":
                    boards[mac] = board
                    assert numbers.setdefault(mac, event["number"]) == event["number"]
                elif event["phase"] == "passed":
                    passed.add(mac)
                    shift.take(event["socket"])
                    client.stop(board)
                elif event["phase"] == "failed":
                    numbers.pop(mac, None)  # given back, if nothing was written
                    shift.to_do.append(shift.take(event["socket"]))
            time.sleep(0.01)  # a hand looks again

    for _ in range(kills):
        run = shift.start()
        run.until(lambda run: "plug boards in" in run.out)
        serve(run, rng.uniform(0, 5))
        run.signal(signal.SIGKILL)
        run.end()
        shift.units()  # integrity
    shift.to_do.clear()
    run = shift.start()
    while shift.at:
        serve(run, 0.2)
        shift.to_do = deque(board for board in shift.to_do if board in boards.values())
    run.signal(signal.SIGINT)
    assert run.end().code == 0
    units = shift.units()
    assert sorted(unit.number for unit in units.values()) == [
        f"{1000 + n:06d}" for n in range(len(units))
    ]
    for mac in passed:
        assert units[mac].state == "done"
        shift.agree(boards[mac], units[mac])
    states = {unit.state for unit in units.values()}
    seconds = time.monotonic() - started
    print(f"{kills} kills, {len(passed)} units done, {seconds:.0f} s; states {states}")
    assert states <= {"done", "free"}


def test_a_short_shift_with_faults(station: Station) -> None:
    a_shift(station, 8)


@pytest.mark.slow
@pytest.mark.parametrize("count", [40, 200])
def test_a_long_shift(station: Station, count: int) -> None:
    a_shift(station, count)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_station_that_is_killed_at_any_of_fifty_moments(station: Station, seed: int) -> None:
    killed(station, 50, seed)
