"""`station:` in a manifest: what is read of it, and where its mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.errors import ManifestError, UsageError
from provision.model.state import PortSelector
from provision.model.station import CounterSettings, Hook, StationSettings, TableSettings
from provision.project.manifest_file import Loaded, load

DEVICES = "devices: {unit: {board: esp32}, desk: {board: esp32, port: /dev/ttyUSB9}}\n"


def loaded(tmp_path: Path, text: str) -> Loaded:
    path = tmp_path / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    return load(str(path))


def settings(tmp_path: Path, station: str) -> StationSettings:
    found = loaded(tmp_path, f"{DEVICES}station: {station}\n").manifest.station
    assert found is not None
    return found.settings


def test_the_least_that_a_station_says(tmp_path: Path) -> None:
    assert settings(tmp_path, "{template: unit}") == StationSettings(
        template="unit", name="{{ serial }}", serial=CounterSettings()
    )


def test_all_that_a_station_says(tmp_path: Path) -> None:
    text = """{template: unit, name: "PV-{{ serial }}", ledger: made.ledger,
      serial: {counter: {start: 1000, end: 1999, format: "A{:06d}"}},
      sockets: {left: 1-1.4, right: {path: /dev/serial/by-path/x}},
      before: {command: "python3 'make it.py'"}, after: {command: [lpr, -P, zebra], timeout: 5}}"""
    assert settings(tmp_path, text) == StationSettings(
        template="unit",
        name="PV-{{ serial }}",
        serial=CounterSettings(start=1000, end=1999, format="A{:06d}"),
        sockets={
            "left": PortSelector(kind="location", value="1-1.4"),
            "right": PortSelector(kind="path", value="/dev/serial/by-path/x"),
        },
        ledger="made.ledger",
        before=Hook(command=("python3", "make it.py")),
        after=Hook(command=("lpr", "-P", "zebra"), timeout=5.0),
    )
    counted = settings(tmp_path, "{template: unit, serial: {counter: {format: 'A{:03d}'}}}").serial
    assert counted == CounterSettings(end=999, format="A{:03d}")  # no number is of another width
    table = settings(tmp_path, "{template: unit, serial: {csv: units.csv}}").serial
    assert table == TableSettings(file="units.csv", key="serial")


def test_no_other_command_applies_the_template(tmp_path: Path) -> None:
    made = loaded(tmp_path, DEVICES + "station: {template: unit}\n")
    assert made.names() == ("desk",)
    with pytest.raises(UsageError) as caught:
        made.names(["unit"])
    assert "`provision station` makes boards of it" in caught.value.hint


@pytest.mark.parametrize(
    ("station", "told"),
    [
        ("{}", "3:10: station: the key 'template' is missing"),
        ("{template: unti}", "station.template: there is no device 'unti' to make units like; did "
         "you mean 'unit'?"),
        ("{template: unit, names: x}", "station.names: unknown key 'names'"),
        ("{template: unit, name: PV}", "station.name: 'PV' would be every unit's name; put "
         "{{ serial }} into it"),
        ("{template: unit, serial: {counter: {}, csv: x.csv}}", "station.serial: both `counter` "
         "and `csv` are given"),
        ("{template: unit, serial: {key: x}}", "`key` names a column of `csv`, which is not given"),
        ("{template: unit, serial: {counter: {start: 5, end: 4}}}", "station.serial.counter.end: "
         "the last number, 4, is below the first, 5"),
        ("{template: unit, serial: {counter: {start: 1, end: 100, format: '{:02d}'}}}",
         "station.serial.counter.end: 100 does not fit into '{:02d}', which ends at 99"),
        ("{template: unit, serial: {counter: {start: 256, format: 'A{:02x}'}}}",
         "station.serial.counter.start: 256 does not fit into 'A{:02x}', which ends at 255"),
        ("{template: unit, serial: {counter: {format: '{0.__class__}'}}}", "cannot write a number"),
        ("{template: unit, serial: {counter: {format: '{:99999999d}'}}}", "cannot write a number"),
        ("{template: unit, sockets: {a b: 1-1}}", "'a b' cannot name a socket"),
        ("{template: unit, sockets: {a: 1-1, b: 1-1}}", "station.sockets.b: '1-1' is the socket a "
         "already"),
        ("{template: unit, sockets: {a: {url: x}}}", "station.sockets.a.url: unknown key 'url'"),
        ("{template: unit, before: {command: \"a 'b\"}}", "station.before.command: "),
        ("{template: unit, before: {command: ' '}}", "names no program"),
        ("{template: unit, after: {}}", "the key 'command' is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_stands(tmp_path: Path, station: str, told: str) -> None:
    with pytest.raises(ManifestError) as caught:
        loaded(tmp_path, f"{DEVICES}\nstation: {station}\n")
    assert any(told in str(problem) for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("unit: {board: esp32, port: /dev/x}", "devices.unit.port: 'unit' is the station's "
         "template and has no port"),
        ('unit: {board: esp32, mac: "02:00:00:00:00:01"}', "devices.unit.mac: 'unit' is the "
         "station's template, and each unit has a MAC of its own"),
        ("unit: {}", "devices.unit: no board"),
        ("'unit-[1:3]': {board: esp32}", "is one of a range"),
    ],
)  # fmt: skip
def test_a_template_has_neither_port_nor_board(tmp_path: Path, device: str, told: str) -> None:
    name = "unit-1" if "[" in device else "unit"
    with pytest.raises(ManifestError) as caught:
        loaded(tmp_path, f"devices: {{{device}}}\nstation: {{template: {name}}}\n")
    assert any(told in str(problem) for problem in caught.value.problems), caught.value.problems
