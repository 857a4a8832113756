"""`provision ledger`: what it tells of a station's units, and what it corrects."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from provision.station.ledger import Ledger, Visit
from provision.station.numbers import Counter
from provision.station.records import Evidence, UnitResult
from tests.cli.conftest import Cli


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Three: done, failed and free."""
    path = tmp_path / "fleet.ledger"
    fill(path, 1000)
    return path


def fill(path: Path, start: int) -> None:
    counter = Counter(start=start, format="{:06d}")
    with Ledger.open(path, create=True) as ledger:
        visits = [
            Visit(mac=f"{start}:{n}", station="s", socket="left", operator="ada") for n in range(3)
        ]
        done, failed, free = (ledger.reserve(visit, counter) for visit in visits)
        ledger.commit(
            done.attempt,
            UnitResult(
                firmware_version="1.24.1",
                files={"/main.py": "1" * 64},
                evidence=Evidence(
                    checks=[{"name": "supply", "value": "=1+1"}],
                    certificate={"fingerprint": "ab" * 32, "cn": "pv-1"},
                ),
            ),
            name="=PV",
            seconds=4.25,
        )
        low = Evidence(checks=[{"name": "supply", "value": "2.9"}])
        ledger.fail(failed.attempt, "the check failed", seconds=3, evidence=low)
        ledger.release(free.attempt, "it is another chip", seconds=1)


def test_units_are_listed(cli: Cli, units: Path) -> None:
    ended = cli("ledger", "list")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["001000", "done"], ["001001", "reserved"], ["001002", "free"],
    ]  # fmt: skip
    assert lines[0].endswith("1000:0  =PV  MicroPython 1.24.1")
    assert ended.err == "3 units: 1 done, 1 reserved, 1 free\n"
    assert cli("ledger", "list", "--state", "free").out.split()[0] == "001002"
    data = cli("ledger", "list", "--json").json
    assert [unit["state"] for unit in data["units"]] == ["done", "reserved", "free"]


def test_a_unit_is_told_with_its_attempts(cli: Cli, units: Path) -> None:
    told = cli("ledger", "show", "001001").out
    assert "make  failed in 3.0 s  s/left  ada: the check failed" in told
    assert 'check {"name": "supply", "value": "2.9"}' in told
    assert f"certificate fingerprint {'ab' * 32}, cn pv-1" in cli("ledger", "show", "001000").out
    by_mac = cli("ledger", "show", "1000:0", "--json").json
    assert by_mac["certificate"]["cn"] == "pv-1"
    assert (by_mac["number"], by_mac["files"]) == ("001000", {"/main.py": "1" * 64})
    assert [attempt["outcome"] for attempt in by_mac["attempts"]] == ["passed"]
    assert "it is another chip" in cli("ledger", "show", "001002").out


def test_a_spreadsheet_calculates_nothing_of_an_export(cli: Cli, units: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("ledger", "export").out)))
    assert [row["number"] for row in rows] == ["001000", "001001", "001002"]
    assert rows[0]["name"] == "'=PV"
    assert json.loads(rows[0]["checks"]) == [{"name": "supply", "value": "=1+1"}]
    assert json.loads(rows[0]["certificate"])["cn"] == "pv-1"
    ended = cli("ledger", "export", "--format", "json", "-o", "units.json")
    assert ended.err == "wrote units.json: 3 units\n"
    data = json.loads((units.parent / "units.json").read_text())
    assert (len(data["units"]), len(data["attempts"])) == (3, 3)


def test_ledgers_are_merged(cli: Cli, units: Path, tmp_path: Path) -> None:
    fill(tmp_path / "other.ledger", 2000)
    ended = cli("ledger", "merge", "other.ledger")
    assert ended.out == "3 units added, 0 updated, 3 attempts taken over\n"
    assert cli("ledger", "merge", "other.ledger").out.startswith("0 units added")
    ended = cli("ledger", "merge", "fleet.ledger")
    assert (ended.code, "is this very ledger" in ended.err) == (2, True)


def test_a_number_is_scrapped_for_a_reason(cli: Cli, units: Path) -> None:
    ended = cli("ledger", "scrap", "001001", "--reason", "its antenna broke")
    assert ended.code == 0
    assert "001001  scrapped" in ended.out
    assert "(its antenna broke)" in ended.out
    assert cli("ledger", "scrap", "001000", "--reason", " ").code == 2
    assert cli("ledger", "scrap", "001000").code == 2
    ended = cli("ledger", "scrap", "001010", "--reason", "x")
    assert ended.code == 2
    assert "there is no '001010'" in ended.err


def test_there_is_no_ledger(cli: Cli, tmp_path: Path) -> None:
    ended = cli("ledger", "list", "--json")
    assert (ended.code, ended.json["code"]) == (2, "ledger")
    assert "there is no ledger fleet.ledger" in ended.err
    assert "`provision station` makes it" in ended.err
    assert not (tmp_path / "fleet.ledger").exists()


def test_a_number_that_is_no_text_is_not_there(cli: Cli, units: Path) -> None:
    for words in (("show", "caf\udce9"), ("scrap", "caf\udce9", "--reason", "no")):
        ended = cli("ledger", *words)
        assert ended.code == 2
        assert "there is no 'caf\\udce9' in fleet.ledger" in ended.err
