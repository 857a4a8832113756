"""The ledger's pages and `/metrics`, of a ledger with units of every kind."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import api
from provision.station.ledger import Ledger, Visit
from provision.station.numbers import Counter
from provision.station.records import UnitResult
from provision.web.access import Access, HostNames
from provision.web.app import create_app
from provision.web.guard import Doorkeeper
from provision.web.pages.ledger import ON_A_PAGE
from provision.web.pages.metrics import metric
from provision.web.site import Site
from tests.fleets import write_tree
from tests.html_page import parsed, rows, texts
from tests.web.client import Client

TOKENS = {"operate": "o" * 32, "view": "v" * 32}
MANIFEST = """
    fleet: pv
    defaults: {board: esp32}
    devices:
      unit: {}
      kitchen: {port: /dev/none-1}
    station:
      template: unit
      name: "PV-{{ serial }}"
      serial: {counter: {start: 1}}
      sockets: {left: 1-1}
"""
NUMBERS = Counter(start=1, format="{:04d}")
EVIL = "=cmd|'/c calc'!A1<script>alert(1)</script>"


def mac(number: int) -> str:
    return f"24:6f:28:00:{number >> 8:02x}:{number & 255:02x}"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Three units: one that is done, one that failed, one that is scrapped."""
    write_tree(tmp_path, {"fleet.yaml": MANIFEST})
    with Ledger.open(tmp_path / "fleet.ledger", create=True) as made:
        for number in range(1, 4):
            visit = Visit(mac=mac(number), station="bench", socket="left", operator=EVIL)
            kept = made.reserve(visit, NUMBERS)
            if number == 2:
                made.fail(kept.attempt, EVIL, seconds=2.5)
            else:
                result = UnitResult(commit="abc", firmware_version="1.24.1")
                made.commit(kept.attempt, result, name=f"PV-{number}", seconds=4.0)
        made.scrap("0003", "it fell")
        yield made


@pytest.fixture
def client(tmp_path: Path, ledger: Ledger) -> Iterator[Client]:
    site = Site(
        lambda: api.load(tmp_path / "fleet.yaml"),
        load_station=lambda: api.open_station(tmp_path / "fleet.yaml"),
        backups=tmp_path / "backups",
    )
    access = Access({"operate": TOKENS["operate"], "view": TOKENS["view"]})
    names = HostNames(["127.0.0.1"], 8321, addresses=False)
    doorkeeper = Doorkeeper(access, names, cookie="provision-8321", secure=False)
    made = Client(create_app(site, doorkeeper), "http://127.0.0.1:8321")
    yield made
    made.close()
    site.close()


def get(client: Client, path: str, role: str = "view") -> str:
    answer = client.get(path, headers={"authorization": f"Bearer {TOKENS[role]}"})
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", ["0001", "0002", "0003"]),
        ("?search=pv-1", ["0001"]),
        (f"?search={mac(2)}", ["0002"]),
        ("?search=fell", ["0003"]),
        ("?state=reserved", ["0002"]),
        ("?state=done&search=0003", []),
        ("?page=99999999999999999999", ["0001", "0002", "0003"]),
        ("?state=nonsense", []),
    ],
)
def test_units_are_searched(client: Client, query: str, numbers: list[str]) -> None:
    root = parsed(get(client, f"/ledger{query}"))
    assert [row[0] for row in rows(root)] == numbers


def test_a_unit_has_its_attempts_and_what_others_wrote_is_text(client: Client) -> None:
    root = parsed(get(client, "/ledger/unit?number=0002"))
    assert texts(root, ".//h1") == ["0002"]
    assert [row[1:4] for row in rows(root)] == [["make", "failed", "2.5"]]
    assert rows(root)[0][5:] == [EVIL, EVIL]
    assert all(each.get("src", "").startswith("/static/") for each in root.iter("script"))
    answer = client.get(
        "/ledger/unit?number=<b>", headers={"authorization": f"Bearer {TOKENS['view']}"}
    )
    assert answer.status_code == 404
    assert "<b>" not in answer.text


def test_all_of_it_is_saved_and_no_cell_is_a_formula(client: Client) -> None:
    answer = client.get("/ledger/ledger.csv", headers={"authorization": f"Bearer {TOKENS['view']}"})
    assert answer.headers["content-disposition"] == 'attachment; filename="ledger.csv"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["number"] for row in table] == ["0001", "0002", "0003"]
    assert {row["operator"] for row in table} == {f"'{EVIL}"}
    data = json.loads(get(client, "/ledger/ledger.json"))
    assert [unit["number"] for unit in data["units"]] == ["0001", "0002", "0003"]
    assert [each["outcome"] for each in data["attempts"]] == ["passed", "failed", "passed"]


def test_a_long_ledger_has_pages(client: Client, ledger: Ledger) -> None:
    for number in range(4, ON_A_PAGE + 4):
        visit = Visit(mac=mac(number), station="bench", socket="left", operator="ada")
        ledger.reserve(visit, NUMBERS)
    first, second = (parsed(get(client, f"/ledger?search=0&page={page}")) for page in (1, 2))
    assert len(rows(first)) == ON_A_PAGE
    assert [row[0] for row in rows(second)] == ["0201", "0202", "0203"]
    assert texts(first, ".//a[@rel='next']") == ["Next page"]
    assert texts(second, ".//a[@rel='prev']") == ["Page before"]


SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?:\{(?P<labels>(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (?P<value>\S+)'
)  # as of Prometheus' exposition format 0.0.4


def test_metrics_are_prometheus_text(client: Client) -> None:
    assert client.get("/metrics").status_code == 401
    found: dict[str, float] = {}
    helped: list[str] = []
    text = get(client, "/metrics")
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2:] == [helped[-1], "gauge"]
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert sample["name"] == helped[-1]
            found[line.rpartition(" ")[0]] = float(sample["value"])
    assert len(helped) == len(set(helped))
    assert found['provision_devices{state="never applied"}'] == 1
    assert found['provision_units{state="done"}'] == 1
    assert found['provision_units{state="reserved"}'] == 1
    assert found['provision_attempts{kind="make",outcome="passed"}'] == 2
    assert found["provision_yield_ratio"] == pytest.approx(2 / 3)
    assert found["provision_units_made_seconds"] == 8
    assert found["provision_station_running"] == 0
    assert found['provision_jobs{state="waiting"}'] == 0


def test_no_label_adds_a_line() -> None:
    text = "".join(metric("x", "y", [({"device": 'a"} 1\n\\evil'}, 1)]))
    assert text.splitlines()[2:] == ['x{device="a\\"} 1\\n\\\\evil"} 1.0']


def test_without_a_station_or_a_ledger_there_is_nothing_of_them(tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": "devices: {kitchen: {board: esp32}}"})
    site = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path / "backups")
    doorkeeper = Doorkeeper(
        Access({"operate": TOKENS["operate"], "view": TOKENS["view"]}),
        HostNames(["127.0.0.1"], 8321, addresses=False), cookie="c", secure=False,
    )  # fmt: skip
    client = Client(create_app(site, doorkeeper), "http://127.0.0.1:8321")
    try:
        assert "provision_units" not in get(client, "/metrics")
        assert "/station" not in get(client, "/")
        headers = {"authorization": f"Bearer {TOKENS['view']}"}
        assert client.get("/station", headers=headers).status_code == 404
        assert rows(parsed(get(client, "/ledger"))) == []
        assert client.get("/ledger/unit?number=1", headers=headers).status_code == 404
    finally:
        client.close()
        site.close()
