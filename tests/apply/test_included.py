"""The command line, on virtual boards: what a manifest is made of counts like the manifest."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Run, Station

LIST = "seat;pupil\n1;Anna\n2;Bo\n"


@pytest.fixture
def school(station: Station) -> Station:
    """Two desks of a class list, with their board at the first one's port."""
    station.board("desk-1", firmware=station.firmware(ESP32))
    station.write("fleet.yaml", "include: [rooms/101.yaml]\ndefaults: {board: esp32}\n")
    station.write(
        "rooms/101.yaml",
        """
        devices:
          desk-{{ seat }}:
            csv: class.csv
            port: sim://desk-{{ seat }}
            files: [{src: main.py.j2, dest: /main.py, template: true}]
        """,
    )
    station.write("rooms/class.csv", LIST)
    station.write("rooms/main.py.j2", "print('{{ pupil }} is here')\n")
    return station


def no_such_row(station: Station) -> None:
    station.write("rooms/class.csv", LIST.replace("1;Anna\n", ""))


def no_table(station: Station) -> None:
    (station.work / "rooms/class.csv").unlink()


def the_room(station: Station) -> None:
    path = station.work / "rooms/101.yaml"
    path.write_text(path.read_text() + "# edited\n")


CHANGES: dict[Callable[[Station], None], str] = {
    no_such_row: "changed: rooms/class.csv",
    no_table: "changed: rooms/class.csv",
    the_room: "changed: rooms/101.yaml",
}


def test_a_saved_plan_is_of_all_that_the_manifest_is_made_of(school: Station) -> None:
    assert school.provision("plan", "-l", "desk-1", "--out", "fleet.plan").code == 0
    for change, told in CHANGES.items():
        before = {
            name: (school.work / name).read_text() for name in ("rooms/class.csv", "rooms/101.yaml")
        }
        change(school)
        run = school.provision("apply", "fleet.plan")
        assert run.code == 4, run.said
        assert f"not what fleet.plan was made of any more: {told}\n" in run.err
        for name, text in before.items():
            school.write(name, text)
    assert school.apply("fleet.plan").outcomes == {"desk-1": "changed"}
    assert school.files("desk-1")["/main.py"] == b"print('Anna is here')\n"


def heard(run: Run, text: str) -> bool:
    said = [event["text"] for event in run.events if event["kind"] == "console-line"]
    return text in "".join(said)


def test_a_table_and_an_included_file_that_are_saved_are_read_again(school: Station) -> None:
    run = school.start("watch", "-l", "desk-1", "--json")
    run.until(lambda run: heard(run, "Anna is here"))
    school.write("rooms/class.csv", LIST.replace("Anna", "Ann"))
    run.until(lambda run: heard(run, "Ann is here"))
    room = school.work / "rooms/101.yaml"
    room.write_text(room.read_text().replace("main.py.j2", "gone.j2"))
    run.until(lambda run: any("rooms/gone.j2" in str(event) for event in run.events))
    school.write("rooms/gone.j2", "print('{{ pupil }} is back')\n")
    run.until(lambda run: heard(run, "Ann is back"))
    run.signal(signal.SIGINT)
    run.end()


def test_what_is_imported_goes_to_the_file_that_says_the_device(school: Station) -> None:
    school.board("extra", firmware=school.firmware(ESP32))
    school.put("extra", {"/extra.py": "extra = 1\n"})
    room = school.work / "rooms/101.yaml"
    room.write_text(room.read_text() + "  extra:\n    port: sim://extra\n")
    before = (school.work / "fleet.yaml").read_text()
    run = school.provision("import", "extra", "--to", "boards/extra")
    assert run.code == 0, run.said
    assert (school.work / "fleet.yaml").read_text() == before
    assert '    files: [{src: "../boards/extra/", dest: /}]\n' in room.read_text()
    assert (school.work / "boards/extra/extra.py").read_text() == "extra = 1\n"
    assert school.plan("-l", "extra").outcomes == {"extra": "ok"}
    run = school.provision("import", "desk-1")
    assert run.code == 2
    assert "it has them, is one of a range or of a table, or is written in braces" in run.err
