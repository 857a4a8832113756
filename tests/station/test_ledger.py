"""The ledger: never a number twice, never one lost without a row that says why."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from provision.errors import LedgerError
from provision.station.ledger import Ledger, Visit
from provision.station.ledger_file import VERSION
from provision.station.merge import Merged, merge
from provision.station.numbers import Counter, Table
from provision.station.records import Evidence, UnitResult

ROOT = Path(__file__).parents[2]
COUNTER = Counter(start=1000, format="{:06d}")
RESULT = UnitResult(
    commit="abc",
    firmware_version="1.24.1",
    firmware_sha256="0" * 64,
    files={"/main.py": "1" * 64},
    evidence=Evidence(
        checks=({"name": "supply", "value": "3.3", "passed": True},),
        certificate={
            "fingerprint": "2" * 64,
            "cn": "pv-1",
            "serial": "1f",
            "expires": "2027-01-01",
        },
    ),
)
LOW = Evidence(checks=({"name": "supply", "value": "2.9", "passed": False},))


def visit(mac: str, *, station: str = "one") -> Visit:
    return Visit(mac=mac, station=station, socket="left", operator="ada")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "fleet.ledger", create=True)


def made(ledger: Ledger, mac: str) -> str:
    reserved = ledger.reserve(visit(mac), COUNTER)
    ledger.commit(reserved.attempt, RESULT, name=f"PV-{reserved.unit.number}", seconds=1.5)
    return reserved.unit.number


def outcomes(ledger: Ledger, number: str) -> list[tuple[str, str]]:
    return [(attempt.kind, attempt.outcome) for attempt in ledger.attempts(number)]


def test_a_board_that_passes_has_its_number_for_good(ledger: Ledger) -> None:
    assert ledger.next_number(COUNTER) == "001000"
    assert made(ledger, "aa") == "001000"
    assert made(ledger, "bb") == "001001"
    unit = ledger.unit("001000")
    assert (unit.state, unit.mac, unit.name, unit.counter) == ("done", "aa", "PV-001000", 1000)
    assert (unit.station, unit.socket, unit.operator, unit.seconds) == ("one", "left", "ada", 1.5)
    assert unit.result == RESULT
    assert ledger.unit("bb").number == "001001"
    assert ledger.known("cc") is None


def test_a_board_that_is_done_is_only_looked_at(ledger: Ledger) -> None:
    made(ledger, "aa")
    again = ledger.reserve(visit("aa"), COUNTER)
    assert (again.unit.number, again.unit.state, again.known) == ("001000", "done", True)
    ledger.looked(again.attempt, passed=False, reason="1 file differs", seconds=0.2)
    assert ledger.unit("001000").state == "done"
    assert outcomes(ledger, "001000") == [("make", "passed"), ("look", "failed")]


def test_a_rework_is_not_done_until_it_has_passed_again(ledger: Ledger) -> None:
    made(ledger, "aa")
    again = ledger.reserve(visit("aa"), COUNTER, rework=True)
    assert ledger.unit("001000").state == "reserved"
    ledger.fail(again.attempt, "the cable", seconds=1)
    assert ledger.unit("001000").state == "reserved"
    assert made(ledger, "aa") == "001000"
    assert ledger.unit("001000").state == "done"


def test_a_number_that_was_released_is_given_again_first(ledger: Ledger) -> None:
    first = ledger.reserve(visit("aa"), COUNTER)
    made(ledger, "bb")
    ledger.release(first.attempt, "it is another chip", seconds=0.1)
    assert ledger.unit("001000").state == "free"
    assert ledger.next_number(COUNTER) == "001000"
    assert made(ledger, "cc") == "001000"
    assert outcomes(ledger, "001000") == [("make", "released"), ("make", "passed")]
    assert made(ledger, "aa") == "001002"


def test_only_the_attempt_that_reserved_a_number_releases_it(ledger: Ledger) -> None:
    """One before may have written it to the board."""
    first = ledger.reserve(visit("aa"), COUNTER)
    ledger.fail(first.attempt, "the check failed", seconds=3)
    again = ledger.reserve(visit("aa"), COUNTER)
    ledger.release(again.attempt, "nothing answers", seconds=1)
    assert (ledger.unit("001000").state, ledger.unit("001000").mac) == ("reserved", "aa")
    assert made(ledger, "bb") == "001001"


def test_what_a_killed_station_left_is_told_and_stays_its_boards(ledger: Ledger) -> None:
    ledger.reserve(visit("aa"), COUNTER)
    ledger.reserve(visit("bb", station="two"), COUNTER)
    assert [unit.number for unit in ledger.close_attempts_of("one")] == ["001000"]
    assert ledger.close_attempts_of("one") == []
    assert outcomes(ledger, "001000") == [("make", "killed")]
    assert outcomes(ledger, "001001") == [("make", "working")]
    assert made(ledger, "aa") == "001000"


def test_an_attempt_ends_once(ledger: Ledger) -> None:
    reserved = ledger.reserve(visit("aa"), COUNTER)
    ledger.reserve(visit("aa"), COUNTER)  # another station of the same name, against all advice
    with pytest.raises(LedgerError, match="is killed in"):
        ledger.commit(reserved.attempt, RESULT, name="x", seconds=1)
    assert ledger.unit("001000").state == "reserved"


def test_a_scrapped_number_is_never_given_again(ledger: Ledger) -> None:
    made(ledger, "aa")
    assert ledger.scrap("001000", "the label\x1b[2J\ntore").reason == "the label tore"
    assert made(ledger, "aa") == "001001"
    with pytest.raises(LedgerError, match="scrapped already"):
        ledger.scrap("001000", "again")
    with pytest.raises(LedgerError, match=r"there is no '001007' in .*; did you mean"):
        ledger.scrap("001007", "no")


def test_what_the_check_gave_is_kept_of_boards_that_fail_too(ledger: Ledger) -> None:
    for end in (ledger.fail, ledger.release):
        reserved = ledger.reserve(visit("aa"), COUNTER)
        end(reserved.attempt, "supply: too low", seconds=1, evidence=LOW)
    made(ledger, "aa")
    seen = [attempt.evidence for attempt in ledger.attempts("001000")]
    assert seen == [LOW, LOW, RESULT.evidence]
    assert ledger.unit("001000").result.evidence == RESULT.evidence


@pytest.mark.parametrize("end", ["commit", "fail", "release"])
def test_a_number_that_is_scrapped_amid_the_work_stays_scrapped(ledger: Ledger, end: str) -> None:
    """Whatever the station that is at work on it comes to afterwards."""
    reserved = ledger.reserve(visit("aa"), COUNTER)
    ledger.scrap("001000", "printed twice")
    with pytest.raises(LedgerError, match="was scrapped while its board was at work: printed"):
        if end == "commit":
            ledger.commit(reserved.attempt, RESULT, name="x", seconds=1)
        elif end == "fail":
            ledger.fail(reserved.attempt, "no", seconds=1)
        else:
            ledger.release(reserved.attempt, "no", seconds=1)
    assert ledger.unit("001000").state == "scrapped"
    assert outcomes(ledger, "001000") == [("make", "failed")]
    assert ledger.next_number(COUNTER) == "001001"
    assert made(ledger, "aa") == "001001"


def test_a_range_ends(ledger: Ledger) -> None:
    two = Counter(start=1, end=2, format="{}")
    ledger.reserve(visit("aa"), two)
    ledger.reserve(visit("bb"), two)
    assert ledger.next_number(two) is None
    with pytest.raises(LedgerError, match="every number up to 2 is given"):
        ledger.reserve(visit("cc"), two)
    assert ledger.units()[-1].mac == "bb"
    apart = Counter(start=100)
    assert ledger.reserve(visit("cc"), apart).unit.number == "100"
    assert ledger.next_number(Counter(start=2)) == "101"


def test_another_format_passes_over_what_was_released_in_the_old_one(ledger: Ledger) -> None:
    first = ledger.reserve(visit("aa"), COUNTER)
    ledger.release(first.attempt, "no", seconds=0)
    assert ledger.next_number(Counter(start=1000)) == "1001"


def test_numbers_of_a_table_come_in_its_order(ledger: Ledger) -> None:
    table = Table(file="units.csv", rows={"B": {"key": "2"}, "A": {"key": "1"}})
    assert ledger.reserve(visit("aa"), table).unit.number == "B"
    second = ledger.reserve(visit("bb"), table)
    assert second.unit.number == "A"
    with pytest.raises(LedgerError, match=r"every number of units\.csv is given"):
        ledger.reserve(visit("cc"), table)
    ledger.release(second.attempt, "no", seconds=0)
    assert ledger.next_number(table) == "A"


# -- the file ------------------------------------------------------------------------------------


def test_power_cuts_and_readers_are_thought_of(ledger: Ledger) -> None:
    with ledger.using() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_ledger_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    Ledger.open(path, create=True).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=f"is a ledger of version {VERSION + 1}, and this"):
        Ledger.open(path, create=True)
    assert path.read_bytes() == before


def test_a_ledger_of_the_first_version_is_taken_further(tmp_path: Path) -> None:
    """It knew nothing of certificates, nor of what the check of a board that failed gave."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path, create=True) as ledger:
        made(ledger, "aa")
    connection = sqlite3.connect(path)
    for table, column in (("unit", "certificate"), ("attempt", "checks"),
                          ("attempt", "certificate")):  # fmt: skip
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with Ledger.open(path, check=True) as ledger:
        assert ledger.unit("aa").result == replace(
            RESULT, evidence=Evidence(checks=RESULT.evidence.checks)
        )
        assert ledger.attempts()[0].evidence == Evidence()
        made(ledger, "bb")
    with Ledger.open(path, check=True) as ledger:
        assert ledger.unit("bb").result == RESULT


def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    text = tmp_path / "text"
    text.write_text("no database at all\n" * 100)
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    outside = tmp_path / "project"
    outside.mkdir()
    (outside / "link.ledger").symlink_to(other)
    for path, message, root in (
        (other, "a database of another program", None),
        (text, "not a database", None),
        (fifo, r"a pipe \(FIFO\)", None),
        (tmp_path, "a folder", None),
        (outside / "link.ledger", "leads outside of the project", outside),
        (tmp_path / "nowhere" / "x", "there is no folder", None),
    ):
        with pytest.raises(LedgerError, match=message):
            Ledger.open(path, root=root, create=True)
    with pytest.raises(LedgerError, match="there is no ledger"):
        Ledger.open(tmp_path / "none")
    assert text.read_text() == "no database at all\n" * 100


def test_a_link_beside_a_ledger_is_not_written_through(tmp_path: Path) -> None:
    path = tmp_path / "project" / "x.ledger"
    path.parent.mkdir()
    mine = tmp_path / "mine"
    mine.write_text("mine")
    path.with_name("x.ledger-wal").symlink_to(mine)
    with pytest.raises(LedgerError, match="leads outside"):
        Ledger.open(path, create=True)
    assert mine.read_text() == "mine"


def test_a_program_that_never_lets_go_is_told(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.station.ledger_file.PATIENCE", 0.05)
    other = Ledger.open(ledger.path)
    browser = sqlite3.connect(ledger.path, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="held by another program") as caught:
        other.reserve(visit("aa"), COUNTER)
    assert "database browser" in caught.value.hint
    assert other.units() == []  # who only looks waits for nobody
    browser.close()
    other.reserve(visit("aa"), COUNTER)


@pytest.mark.parametrize(
    ("trouble", "told", "hint"),
    [
        ("PRAGMA max_page_count = 1", "the disk is full", "it keeps its number"),
        ("PRAGMA query_only = ON", "cannot be written, or its folder cannot", "copy it to another"),
    ],
)
def test_a_ledger_that_cannot_be_written_goes_on_when_it_can(
    ledger: Ledger, trouble: str, told: str, hint: str
) -> None:
    """Amid the work: the board keeps its number, and is done when it comes back."""
    began = ledger.reserve(visit("aa"), COUNTER)
    long = replace(RESULT, files={"/" + "x" * 100_000: "0" * 64})
    with ledger.using() as connection:
        connection.execute(trouble)
    with pytest.raises(LedgerError) as caught:
        ledger.commit(began.attempt, long, name="x", seconds=1)
    assert told in caught.value.message
    assert hint in caught.value.hint
    assert ledger.unit("001000").state == "reserved"
    with ledger.using() as connection:
        connection.execute("PRAGMA query_only = OFF")
        connection.execute("PRAGMA max_page_count = 1000000")
    assert made(ledger, "aa") == "001000"
    assert outcomes(ledger, "001000") == [("make", "killed"), ("make", "passed")]


def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, create=True) as ledger:
        for number in range(200):
            made(ledger, str(number))
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 4] = bytes(4096)
    path.write_bytes(data)
    with pytest.raises(LedgerError, match=r"damaged|malformed"):
        Ledger.open(path, check=True)


# -- merging -------------------------------------------------------------------------------------


def test_ledgers_of_stations_apart_become_one(tmp_path: Path) -> None:
    one = Ledger.open(tmp_path / "one", create=True)
    two = Ledger.open(tmp_path / "two", create=True)
    made(one, "aa")
    apart = Counter(start=2000, format="{:06d}")
    for mac in ("bb", "cc"):
        reserved = two.reserve(visit(mac, station="two"), apart)
    two.fail(reserved.attempt, "supply: too low", seconds=1, evidence=LOW)
    reserved = two.reserve(visit("cc", station="two"), apart)
    assert merge(one, two) == Merged(added=2, updated=0, attempts=3)
    assert merge(one, two) == Merged(added=0, updated=0, attempts=0)
    two.commit(reserved.attempt, RESULT, name="x", seconds=1)
    two.scrap("002000", "fell")
    assert merge(one, two) == Merged(added=0, updated=2, attempts=2)
    assert {unit.number: unit.state for unit in one.units()} == {
        "001000": "done", "002000": "scrapped", "002001": "done",
    }  # fmt: skip
    assert one.unit("002001").result == RESULT
    assert merge(two, one) == Merged(added=1, updated=0, attempts=1)
    assert one.units() == two.units()
    assert one.attempts() == two.attempts()


def test_ledgers_that_contradict_each_other_are_not_merged(tmp_path: Path) -> None:
    one = Ledger.open(tmp_path / "one", create=True)
    two = Ledger.open(tmp_path / "two", create=True)
    made(one, "aa")
    made(one, "bb")
    made(two, "cc")
    made(two, "dd")
    made(two, "bb")
    before = one.units()
    with pytest.raises(LedgerError) as caught:
        merge(one, two)
    assert "001000 is aa here and cc there" in caught.value.message
    assert "bb is 001001 here and 001002 there" in caught.value.message
    assert one.units() == before


def test_a_board_that_got_a_new_number_elsewhere_is_merged(tmp_path: Path) -> None:
    one = Ledger.open(tmp_path / "one", create=True)
    two = Ledger.open(tmp_path / "two", create=True)
    made(one, "aa")
    merge(two, one)
    two.scrap("001000", "the label tore")
    made(two, "aa")
    assert merge(one, two) == Merged(added=1, updated=1, attempts=1)
    assert one.unit("aa").number == "001001"


def test_a_number_scrapped_here_may_still_be_its_boards_there(tmp_path: Path) -> None:
    """The other station has not heard of it, and is merged again every evening."""
    one = Ledger.open(tmp_path / "one", create=True)
    two = Ledger.open(tmp_path / "two", create=True)
    made(two, "aa")
    merge(one, two)
    one.scrap("001000", "the label tore")
    made(one, "aa")
    assert merge(one, two) == Merged(added=0, updated=0, attempts=0)
    assert one.unit("001000").state == "scrapped"
    assert one.unit("aa").number == "001001"


def test_a_rework_that_failed_elsewhere_is_the_later_word(tmp_path: Path) -> None:
    one = Ledger.open(tmp_path / "one", create=True)
    two = Ledger.open(tmp_path / "two", create=True)
    made(one, "aa")
    merge(two, one)
    again = two.reserve(visit("aa", station="two"), COUNTER, rework=True)
    two.fail(again.attempt, "supply: too low", seconds=1, evidence=LOW)
    assert merge(one, two) == Merged(added=0, updated=1, attempts=1)
    unit = one.unit("001000")
    assert (unit.state, unit.result) == ("reserved", RESULT)  # and what it was is not lost
    assert outcomes(one, "001000") == [("make", "passed"), ("make", "failed")]
    made(one, "aa")
    assert merge(two, one) == Merged(added=0, updated=1, attempts=1)
    assert two.unit("001000").state == "done"
    assert one.attempts() == two.attempts()


def test_what_was_given_back_after_a_merge_is_free_and_may_be_anothers(tmp_path: Path) -> None:
    one = Ledger.open(tmp_path / "one", create=True)
    two = Ledger.open(tmp_path / "two", create=True)
    begun = two.reserve(visit("aa"), COUNTER)
    merge(one, two)
    assert one.unit("001000").state == "reserved"
    two.release(begun.attempt, "nothing answers", seconds=1)
    made(two, "bb")
    made(two, "aa")
    assert merge(one, two) == Merged(added=1, updated=1, attempts=3)
    assert [(unit.number, unit.mac) for unit in one.units()] == [("001000", "bb"), ("001001", "aa")]


def test_what_another_station_may_have_written_is_not_free(tmp_path: Path) -> None:
    one = Ledger.open(tmp_path / "one", create=True)
    two = Ledger.open(tmp_path / "two", create=True)
    begun = two.reserve(visit("aa"), COUNTER)
    merge(one, two)
    elsewhere = one.reserve(visit("aa"), COUNTER)
    one.fail(elsewhere.attempt, "the cable", seconds=1)
    two.release(begun.attempt, "it was gone", seconds=1)
    assert two.unit("001000").state == "free"
    for here, there in ((one, two), (two, one)):
        merge(here, there)
        assert (here.unit("001000").state, here.unit("001000").mac) == ("reserved", "aa")


def test_merged_ledgers_tell_attempts_of_one_moment_in_one_order(tmp_path: Path) -> None:
    ranges = {"one": Counter(start=1000), "two": Counter(start=2000)}
    ledgers = [Ledger.open(tmp_path / name, create=True) for name in ranges]
    for ledger, numbers, mac in zip(ledgers, ranges.values(), ("aa", "bb"), strict=True):
        for why in ("first", "second"):
            ledger.release(ledger.reserve(visit(mac), numbers).attempt, why, seconds=0)
        with sqlite3.connect(ledger.path) as at:
            at.execute("UPDATE attempt SET started = '2026-11-29T23:57:59.579+00:00'")
    merge(*ledgers)
    merge(*ledgers[::-1])
    for ledger in ledgers:
        assert [(one.number, one.reason) for one in ledger.attempts()] == [
            ("1000", "first"), ("1000", "second"), ("2000", "first"), ("2000", "second"),
        ]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_whatever_two_stations_did_both_ledgers_say_the_same_in_the_end(
    tmp_path: Path, seed: int
) -> None:
    """Boards go from one to the other where both have been merged, and nowhere else."""
    rng = random.Random(seed)
    ledgers = [Ledger.open(tmp_path / name, create=True) for name in ("one", "two")]
    ranges = [Counter(start=1000, end=1999), Counter(start=2000, end=2999)]
    at = {f"b{number}": number % 2 for number in range(6)}

    def both_ways() -> None:
        merge(*ledgers)
        merge(*ledgers[::-1])
        assert ledgers[0].units() == ledgers[1].units()
        assert ledgers[0].attempts() == ledgers[1].attempts()
        assert merge(*ledgers) == Merged(added=0, updated=0, attempts=0)

    for _ in range(40):
        board = rng.choice(list(at))
        here = ledgers[at[board]]
        reserved = here.reserve(visit(board), ranges[at[board]], rework=rng.random() < 0.5)
        if rng.random() < 0.2:
            merge(ledgers[1 - at[board]], here)  # amid the work
        if reserved.unit.state == "done":
            here.looked(reserved.attempt, passed=True, reason=None, seconds=0)
        elif rng.random() < 0.4:
            here.commit(reserved.attempt, RESULT, name="x", seconds=0)
        elif rng.random() < 0.5:
            here.fail(reserved.attempt, "the check", seconds=0)
        elif rng.random() < 0.9:
            here.release(reserved.attempt, "nothing", seconds=0)
        else:
            here.scrap(reserved.unit.number, "fell")
        if rng.random() < 0.2:
            both_ways()
            at = {name: rng.randrange(2) for name in at}
    both_ways()
    for unit in ledgers[0].units():
        own = [one.outcome for one in ledgers[0].attempts(unit.number) if one.mac == unit.mac]
        if unit.state == "done":
            assert [one for one in own if one != "released"][-1] == "passed"
        elif unit.state == "reserved":
            assert set(own) & {"failed", "passed", "killed"}


# -- many processes, and killed ones ---------------------------------------------------------------

WORKER = """
import sys
from pathlib import Path
from tests.station.test_ledger import COUNTER, RESULT, visit
from provision.station.ledger import Ledger
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with Ledger.open(path, create=True) as ledger:
    for number in range(count):
        reserved = ledger.reserve(visit(f"{name}-{number}", station=name), COUNTER)
        print(reserved.unit.number, flush=True)
"""

STATION = """
import sys
from pathlib import Path
from tests.station.test_ledger import COUNTER, RESULT, visit
from provision.station.ledger import Ledger
path, name, start = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ledger = Ledger.open(path, create=True)
ledger.close_attempts_of(name)
for number in range(start, start + 100000):
    reserved = ledger.reserve(visit(f"{name}-{number}", station=name), COUNTER)
    if number % 3 == 0:
        ledger.release(reserved.attempt, "nothing was written", seconds=0)
    elif number % 3 == 1:
        ledger.fail(reserved.attempt, "it failed", seconds=0)
    else:
        print("told", number, reserved.unit.number, flush=True)  # as a board is told its number
        ledger.commit(reserved.attempt, RESULT, name="x", seconds=0)
        print("done", number, reserved.unit.number, flush=True)
"""


def process(program: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def reserve_at_once(path: Path, processes: int, each: int) -> None:
    running = [process(WORKER, str(path), f"p{n}", str(each)) for n in range(processes)]
    said = [one.communicate() for one in running]
    assert [error for _, error in said] == [""] * processes
    numbers = [number for out, _ in said for number in out.split()]
    assert len(numbers) == processes * each
    assert sorted(numbers) == [COUNTER.written(1000 + n) for n in range(processes * each)]
    with Ledger.open(path, check=True) as ledger:
        assert [unit.number for unit in ledger.units()] == sorted(numbers)


def test_no_number_twice_whoever_asks_at_once(tmp_path: Path) -> None:
    reserve_at_once(tmp_path / "x.ledger", 4, 50)


@pytest.mark.slow
def test_ten_thousand_reservations_of_eight_processes(tmp_path: Path) -> None:
    started = time.monotonic()
    reserve_at_once(tmp_path / "x.ledger", 8, 1250)
    print(f"{time.monotonic() - started:.0f} s")


def kill_stations(path: Path, kills: int, seed: int) -> None:
    """Two stations at work, one of them killed at a random moment, again and again."""
    rng = random.Random(seed)
    told: dict[str, str] = {}
    done: set[str] = set()
    begun = {"a": 0, "b": 0}
    running: dict[str, subprocess.Popen[str]] = {}
    for turn in range(kills):
        for name in "ab":
            if name not in running:
                running[name] = process(STATION, str(path), name, str(begun[name]))
        victim = rng.choice("ab")
        one = running.pop(victim)
        assert one.stdout is not None
        heard = [one.stdout.readline() for _ in range(rng.randrange(1, 30))]
        one.send_signal(signal.SIGKILL)
        collect(one, victim, told, done, heard)
        begun[victim] = (turn + 1) * 100000
    for name, one in running.items():
        one.send_signal(signal.SIGKILL)
        collect(one, name, told, done)
    with Ledger.open(path, check=True) as ledger:
        units = ledger.units()
        # Nothing is missing between the first and the last number.
        assert [unit.number for unit in units] == [
            COUNTER.written(1000 + n) for n in range(len(units))
        ]
        by_number = {unit.number: unit for unit in units}
        for number, board in told.items():
            assert by_number[number].mac == board, "a number that a board was told is another's"
        assert done <= {unit.number for unit in units if unit.state == "done"}
        for unit in units:
            assert ledger.attempts(unit.number), "a number without a row that says why"
        for name in "ab":
            ledger.close_attempts_of(name)
        assert {attempt.outcome for attempt in ledger.attempts()} <= {
            "passed", "failed", "released", "killed",
        }  # fmt: skip
        assert len(told) > kills


def collect(
    one: subprocess.Popen[str],
    name: str,
    told: dict[str, str],
    done: set[str],
    heard: Sequence[str] = (),
) -> None:
    """What it has said; a number is told to one board only, by whichever process."""
    out, error = one.communicate()
    assert error == ""
    for line in [*heard, *out.splitlines()]:
        words = line.split()
        if len(words) == 3 and words[0] == "told":
            board = f"{name}-{words[1]}"
            assert told.setdefault(words[2], board) == board
        elif len(words) == 3 and words[0] == "done" and len(words[2]) == 6:
            done.add(words[2])


def test_stations_that_are_killed_lose_no_number(tmp_path: Path) -> None:
    kill_stations(tmp_path / "x.ledger", 5, seed=17)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_stations_that_are_killed(tmp_path: Path, seed: int) -> None:
    kill_stations(tmp_path / "x.ledger", 100, seed)
