"""The units of a station: the template resolved with a number, a MAC and a row of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.manifest.resolve.units import UnitValues
from provision.errors import ManifestError
from provision.model.state import PortSelector
from provision.project.manifest_file import Loaded, load

MANIFEST = """\
fleet: pv
groups:
  sensors:
    files: [{src: "certs/{{ serial }}.der", dest: /cert.der}, main.py]
devices:
  unit:
    board: esp32
    groups: [sensors]
    vars: {serial: mine, topic: garden}
    files: [{src: config.j2, dest: "/{{ station }}.txt", template: true}]
  desk: {board: esp32, port: /dev/ttyUSB9, mac: "02:00:00:00:00:09"}
station: {template: unit, name: "PV-{{ serial }}", serial: {csv: units.csv}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "fleet.yaml").write_text(MANIFEST)
    (tmp_path / "units.csv").write_text("serial,ssid\n1001,attic\n1002,cellar\n")
    (tmp_path / "main.py").write_text("pass\n")
    (tmp_path / "config.j2").write_text(
        "{{ name }} {{ serial }} {{ mac }} {{ station }} {{ ssid }} {{ topic }} {{ fleet }}"
    )
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "1002.der").write_bytes(b"cert of 1002")
    return tmp_path


def opened(project: Path) -> Loaded:
    return load(str(project / "fleet.yaml"))


def values(serial: str, loaded: Loaded) -> UnitValues:
    return UnitValues(
        serial=serial,
        mac="02:00:00:00:00:01",
        station="bench",
        port=PortSelector(kind="path", value="/dev/ttyUSB0"),
        columns=loaded.station_table()[serial],
    )


def test_a_unit_is_the_template_with_its_own_variables(project: Path) -> None:
    loaded = opened(project)
    made, state = loaded.unit(values("1002", loaded))
    assert state.device == "PV-1002"
    assert state.mac == "02:00:00:00:00:01"
    assert {file.dest: file.content.data for file in state.files} == {
        "/bench.txt": b"PV-1002 1002 02:00:00:00:00:01 bench cellar garden pv",
        "/cert.der": b"cert of 1002",
        "/main.py": b"pass\n",
    }
    assert made.names() == ("desk", "PV-1002")
    assert made.declared_macs() == {
        "desk": "02:00:00:00:00:09", "PV-1002": "02:00:00:00:00:01",
    }  # fmt: skip
    assert loaded.names() == ("desk",)


def test_what_a_unit_lacks_is_told_for_it_alone(project: Path) -> None:
    loaded = opened(project)
    with pytest.raises(ManifestError) as caught:
        loaded.unit(values("1001", loaded))
    assert "no such file or folder: 'certs/1001.der'" in str(caught.value.problems[0])
    (project / "certs" / "1001.der").write_bytes(b"made meanwhile, by a hook")
    _, state = loaded.unit(values("1001", loaded))
    assert state.files_by_dest["/cert.der"].content.data == b"made meanwhile, by a hook"


def test_what_is_known_before_there_is_a_unit(project: Path) -> None:
    """Firmware, packages and files that all have, but not those that only a real unit has."""
    (state,) = opened(project).sample_unit()
    assert sorted(state.files_by_dest) == ["/main.py", "/station.txt"]
    assert [state.device for state in opened(project).required_states()] == ["desk", "PV-1001"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("{{ serial }}/{{ mac }}", "cannot name a unit"),
        ("{{ serial }}{{ nothing }}", "station.name: "),
        ("{% if serial %}desk{% endif %}", "'desk' is a device of the manifest"),
    ],
)
def test_a_name_that_cannot_be(project: Path, name: str, told: str) -> None:
    (project / "fleet.yaml").write_text(MANIFEST.replace("PV-{{ serial }}", name))
    with pytest.raises(ManifestError) as caught:
        opened(project).sample_unit()
    assert told in str(caught.value.problems[0])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "station.serial.csv: units.csv: no such file"),
        (b"\xff\xfe", "units.csv: it is not UTF-8"),
        (b"serial,name\n1,x\n", "units.csv: the column 'name' has the name of a built-in variable"),
    ],
)
def test_a_table_that_cannot_be_used(project: Path, content: bytes | None, told: str) -> None:
    (project / "units.csv").unlink()
    if content is not None:
        (project / "units.csv").write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        opened(project).station_table()
    assert told in str(caught.value.problems[0])
