"""A device for each row of a table: what it is, and what is said of rows that cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleets import fleet, problems

LIST = "seat,pupil,mac,port\n01,Anna,5c:cf:7f:00:00:01,/dev/ttyUSB0\n02,Bo,,/dev/ttyUSB1\n"
ENTRY = """\
defaults: {board: wemos-d1-mini, vars: {topic: class, pupil: nobody}}
groups: {desks: {files: [{src: who.j2, dest: /who, template: true}]}}
devices:
  desk-{{ seat }}: {csv: class.csv, groups: [desks], port: "{{ port }}", mac: "{{ mac }}"}
  teacher: {groups: [desks], port: /dev/ttyUSB9}
"""
FILES = {"who.j2": "{{ name }} {{ pupil }} {{ topic }}", "class.csv": LIST}


def test_each_row_is_a_device(tmp_path: Path) -> None:
    loaded = fleet(tmp_path, ENTRY, FILES)
    first, second, teacher = loaded.states()
    assert [one.device for one in (first, second, teacher)] == ["desk-01", "desk-02", "teacher"]
    assert first.mac == "5c:cf:7f:00:00:01"
    assert second.mac is None  # an empty cell: it is learned
    assert [one.port.value for one in (first, second) if one.port] == [
        "/dev/ttyUSB0",
        "/dev/ttyUSB1",
    ]
    assert first.variables["seat"] == "01"
    told = [state.files[0].content.data for state in (first, second, teacher)]
    assert told == [b"desk-01 Anna class", b"desk-02 Bo class", b"teacher nobody class"]
    assert loaded.names(["desk-[01:02]"]) == ("desk-01", "desk-02")


def test_values_are_text_whatever_they_look_like(tmp_path: Path) -> None:
    text = "seat,n,yes,template,secret\n1,007,true,{{ seat }},!secret x\n"
    loaded = fleet(
        tmp_path,
        'devices: {"d{{ seat }}": {csv: class.csv, board: esp32}}\n',
        {"class.csv": text},
    )
    (state,) = loaded.states()
    values = {name: state.variables[name] for name in ("n", "yes", "template", "secret")}
    assert values == {"n": "007", "yes": "true", "template": "{{ seat }}", "secret": "!secret x"}


def test_a_column_may_name_the_devices(tmp_path: Path) -> None:
    manifest = 'devices: {"{{ name }}": {csv: class.csv, board: esp32}}\n'
    loaded = fleet(tmp_path, manifest, {"class.csv": "name,E-Mail\nanna,a@example.org\n"})
    assert loaded.names() == ("anna",)


# What stands behind `desk-{{ seat }}: {csv: class.csv, board: esp32, …}`, the table, what is said.
MISTAKES = [
    (
        "",
        "seat,x\na b,1\n",
        "class.csv:2:1: devices.\"desk-{{ seat }}\": 'desk-a b' cannot name a device; use letters, "
        "digits, _, . and - (read by fleet.yaml:2)",
    ),
    (
        "",
        "x,seat\n1,01\n2,02\n3,01\n",
        "class.csv:4:3: devices.\"desk-{{ seat }}\": 'desk-01' is a device already ('desk-01' on "
        "line 2 of class.csv) (read by fleet.yaml:2)",
    ),
    (
        "",
        "Platz,mac\n1,2\n",
        "fleet.yaml:2:3: devices.\"desk-{{ seat }}\": 'seat' is undefined; class.csv has the "
        "columns Platz and mac",
    ),
    (
        "",
        "Platz-Nr,E-Mail\n1,2\n",
        "fleet.yaml:2:3: devices.\"desk-{{ seat }}\": 'seat' is undefined; no column of class.csv "
        "has the name of a variable: letters, digits and _",
    ),
    (
        'mac: "{{ MAC }}"',
        "seat,mac\n1,2\n",
        "fleet.yaml:2:56: devices.\"desk-{{ seat }}\".mac: 'MAC' is undefined; did you mean 'mac'?"
        "; class.csv has the columns seat and mac",
    ),
    (
        'mac: "{{ mac }}"',
        "seat,mac\n1,5c:cf:7f:00:00:0\n",
        'class.csv:2:3: devices.desk-1.mac: expected a MAC address such as "5c:cf:7f:01:02:03", '
        "got '5c:cf:7f:00:00:0' (read by fleet.yaml:2)",
    ),
    (
        'mac: "{{ mac }}"',
        "seat,mac\n1,5c:cf:7f:00:00:01\n2,5C-CF-7F-00-00-01\n",
        "class.csv:3:3: devices.desk-2.mac: 5c:cf:7f:00:00:01 is the MAC of desk-1 already; every "
        "board has its own (read by fleet.yaml:2)",
    ),
    (
        'port: {mac: "{{ mac }}"}',
        "seat,mac\n1,5c:cf:7f:00:00:01\n2,\n3,\n",
        'fleet.yaml:2:63: devices."desk-{{ seat }}".port.mac: renders to an empty text (for desk-2 '
        "and 1 more)",
    ),
    (
        "port: /dev/ttyUSB0",
        "seat\n1\n2\n",
        "fleet.yaml:2:57: devices.\"desk-{{ seat }}\".port: '/dev/ttyUSB0' would be the port of "
        "desk-1 and of desk-2; tell them apart with {{ name }} or a column",
    ),
    (
        "vars: {seat: 1}",
        "seat\n1\n",
        "fleet.yaml:2:58: devices.\"desk-{{ seat }}\".vars.seat: 'seat' is a column of class.csv "
        "too; keep one of them",
    ),
    (
        "",
        "seat,board\n1,esp32\n",
        "class.csv:1:6: devices.\"desk-{{ seat }}\": the column 'board' has the name of a variable "
        "that every device has; rename it (read by fleet.yaml:2)",
    ),
    ("", "seat,x\n1\n", "class.csv:2:1: only 1 cell for the 2 columns of line 1 (read by"),
    ("", "seat\n", "class.csv:1:1: there is no row below the names of the columns (read by"),
]


@pytest.mark.parametrize(("setting", "table", "said"), MISTAKES)
def test_mistakes(tmp_path: Path, setting: str, table: str, said: str) -> None:
    more = f", {setting}" if setting else ""
    manifest = f"devices:\n  desk-{{{{ seat }}}}: {{csv: class.csv, board: esp32{more}}}\n"
    (told,) = problems(tmp_path, manifest, {"class.csv": table})
    assert told.startswith(said)


# Manifests, and what is said of them beside a table with the column `seat`.
ENTRIES = [
    (
        "devices: {desk: {csv: class.csv, board: esp32}}",
        "1:11: devices.desk: a device for each row needs a name for each, as `desk-{{ seat }}`; "
        "class.csv has the columns seat",
    ),
    (
        'devices: {"d{{ seat }}": {board: esp32}}',
        "1:11: devices.\"d{{ seat }}\": 'd{{ seat }}' cannot name a device; use letters",
    ),
    (
        'devices: {d: {mac: "{{ seat }}", board: esp32}}',
        "1:20: devices.d.mac: a MAC is a template only beside `csv`, where each row has its own",
    ),
    (
        'devices: {"d{{ seat }}": {csv: [class.csv], board: esp32}}',
        '1:32: devices."d{{ seat }}".csv: expected text, got a list',
    ),
    (
        "devices: {desk-01: {board: esp32}, 'desk-{{ seat }}': {csv: class.csv, board: esp32}}",
        "class.csv:2:1: devices.\"desk-{{ seat }}\": 'desk-01' is a device already ('desk-01' on "
        "line 1) (read by fleet.yaml:1)",
    ),
    (
        "devices: {'d{{ seat }}': {csv: class.csv, board: esp32}}\nstation: {template: d01}",
        "2:21: station.template: 'd01' is one of a table; name a device of its own",
    ),
    (
        "devices: {'desk-{{ seat }}': {csv: class.csv}}",
        "1:11: devices.desk-{{ seat }}: no board; name one with `board:` here",
    ),
]


@pytest.mark.parametrize(("manifest", "said"), ENTRIES)
def test_entries(tmp_path: Path, manifest: str, said: str) -> None:
    (told,) = problems(tmp_path, f"{manifest}\n", {"class.csv": "seat\n01\n"})
    assert said in told


def test_the_rows_of_two_tables_are_told_apart(tmp_path: Path) -> None:
    manifest = """\
    defaults: {board: esp32}
    devices:
      a-{{ n }}: {csv: a.csv}
      b-{{ n }}: {csv: b.csv}
      c-{{ n }}: {csv: a.csv}
    """
    loaded = fleet(tmp_path, manifest, {"a.csv": "n\n1\n2\n", "b.csv": "n\n3\n"})
    assert loaded.names() == ("a-1", "a-2", "b-3", "c-1", "c-2")
