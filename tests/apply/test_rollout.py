"""The command line, on virtual boards: a change goes to a few boards first, and a bad one stops
there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Ended, Station
from tests.apply.test_outputs import validate

GOOD = "print('app: up')\n"
BAD = "print('app: down')\n"


def manifest(
    station: Station, *, devices: str, rollout: str = "", on_failure: str = "keep"
) -> None:
    station.write(
        "fleet.yaml",
        f"""
        {rollout}
        defaults:
          board: esp32
          port: "sim://{{{{ name }}}}"
          files: [main.py]
          check: {{console: "^app: up$", timeout: 2, on_failure: {on_failure}}}
        groups: {{left: {{}}, right: {{}}}}
        devices: {devices}
        """,
    )


def plug_in(station: Station, boards: Sequence[str]) -> None:
    image = station.firmware(ESP32)
    for board in boards:
        station.board(board, firmware=image)


def changed(run: Ended) -> list[str]:
    """The devices on whose boards anything was written."""
    return sorted(
        {
            event["device"]
            for event in run.of("action-done")
            if event["action"]["kind"] == "write-file"
        }
    )


def test_a_bad_change_touches_one_board_and_the_rest_goes_on_later(station: Station) -> None:
    boards = ("desk-1", "desk-2", "desk-3")
    plug_in(station, boards)
    station.write("main.py", GOOD)
    manifest(
        station,
        devices="{'desk-[1:3]': }",
        rollout="rollout: {batches: [1, 100%], max_failures: 1}",
        on_failure="rollback",
    )
    run = station.apply()
    assert [event["devices"] for event in run.of("batch-started")] == [
        ["desk-1"],
        ["desk-2", "desk-3"],
    ]
    before = {board: station.files(board) for board in boards}

    station.write("main.py", BAD)
    run = station.apply("--junit", "report.xml", code=4)
    assert run.outcomes == {"desk-1": "rolled-back", "desk-2": "skipped", "desk-3": "skipped"}
    assert changed(run) == ["desk-1"]
    assert {board: station.files(board) for board in boards} == before
    (stopped,) = run.of("rollout-stopped")
    assert stopped["not_started"] == ["desk-2", "desk-3"]
    validate(run.events)
    cases = ElementTree.parse(station.work / "report.xml").iter("testcase")
    skipped = [case.get("name") for case in cases if case.find("skipped") is not None]
    assert skipped == ["desk-2", "desk-3"]

    told = station.provision("apply")
    assert told.code == 4
    assert "Rollout stopped in batch 1 of 2: 1 device failed in the first batch" in told.out
    assert "  not started: desk-2, desk-3 (2 devices)" in told.out


def test_batches_of_the_command_line_draw_from_each_group(station: Station) -> None:
    boards = ("a", "b", "c")
    plug_in(station, boards)
    station.write("main.py", GOOD)
    manifest(station, devices="{a: {groups: [left]}, b: {groups: [left]}, c: {groups: [right]}}")
    run = station.apply("--batches", "2,100%")
    assert [event["devices"] for event in run.of("batch-started")] == [["a", "c"], ["b"]]
    assert run.of("run-started")[0]["rollout"] == {
        "devices": [["a", "c"], ["b"]], "max_failures": 0, "proving": True,
    }  # fmt: skip
    assert station.apply().of("batch-started") == []


def test_a_run_that_stopped_goes_on_with_what_is_left(station: Station) -> None:
    boards = ("desk-1", "desk-2", "desk-3", "desk-4")
    plug_in(station, boards)
    station.write("main.py", GOOD)
    manifest(
        station,
        devices="{'desk-[1:4]': }",
        rollout="rollout: {batches: [1, 1, 100%]}",
    )
    assert "there is no record of an apply of" in station.provision("apply", "--resume", "last").err
    none = station.provision("plan", "--limit", "@failed")
    assert none.code == 2
    assert "--limit @failed selects no device: none failed in the last apply" in none.err

    station.order("desk-2", "unplug")
    run = station.apply(code=4)
    assert run.outcomes == {
        "desk-1": "changed", "desk-2": "unreachable", "desk-3": "skipped", "desk-4": "skipped",
    }  # fmt: skip
    assert station.plan("--limit", "@failed", code=5).outcomes == {"desk-2": "unreachable"}

    station.order("desk-2", "replug")
    run = station.apply("--resume", "last")
    assert [event["devices"] for event in run.of("batch-started")] == [
        ["desk-2"],
        ["desk-3", "desk-4"],
    ]
    assert set(run.outcomes.values()) == {"changed"}
    over = station.provision("apply", "--resume", "last")
    assert over.code == 2
    assert "nothing is left of the run" in over.err

    station.write("main.py", GOOD + "# next\n")
    run = station.apply("--resume", run.of("run-started")[0]["resumes"])
    assert changed(run) == sorted(boards)  # all have to be something else since


@pytest.mark.slow
def test_fifty_rollouts_change_no_more_boards_than_the_rule_allows(station: Station) -> None:
    """Boards whose check fails, for a file that lies on them, and boards that are unplugged."""
    boards = [f"d{number}" for number in range(6)]
    plug_in(station, boards)
    for seed in range(50):
        chance = random.Random(seed)
        bad = {name for name in boards if chance.random() < 0.25}
        gone = {name for name in boards if chance.random() < 0.1}
        sizes = [chance.randint(1, 3) for _ in range(chance.randint(1, 3))]
        most = chance.randint(0, 2)
        station.write("main.py", f"# {seed}\nprint('app: ' + '{{{{ says }}}}')\n")
        devices = ", ".join(
            f"{name}: {{vars: {{says: {'down' if name in bad else 'up'}}}}}" for name in boards
        )
        station.write(
            "fleet.yaml",
            f"""
            rollout: {{batches: {sizes}, max_failures: {most}}}
            defaults:
              board: esp32
              port: "sim://{{{{ name }}}}"
              files: [{{src: main.py, template: true}}]
              check: {{console: "^app: up$", timeout: 1, on_failure: rollback}}
            devices: {{{devices}}}
            """,
        )
        for name in gone:
            station.order(name, "unplug")
        run = station.provision("apply", "--json")
        for name in gone:
            station.order(name, "replug")
        begun: set[str] = set()
        (started,) = run.of("run-started")
        for number, batch in enumerate(started["rollout"]["devices"]):
            if len((bad | gone) & begun) > (0 if number == 1 else most if number else 0):
                break
            begun |= {*batch}
        assert {event["device"] for event in run.of("stage-started")} <= begun, (seed, run.said)
        assert {*changed(run)} == begun - gone, (seed, run.said)
        assert {name for name, how in run.outcomes.items() if how == "skipped"} == {*boards} - begun
        kept = {
            name for name in boards if f"# {seed}\n".encode() in station.files(name)["/main.py"]
        }
        assert kept == begun - gone - bad, (seed, run.said)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--batches", "1,,2"), "--batches '1,,2': expected a number of devices, as 5"),
        (("--batches", "0"), "--batches '0': the least is 1"),
        (("--batches", ""), "--batches '': expected a number of devices, as 5"),
        (("--max-failures", ""), "--max-failures '': expected a number of devices, as 5"),
        (("--max-failures", "many"), "--max-failures 'many': expected a number of devices"),
        (("--max-failures", "101%"), "--max-failures '101%': more than 100%"),
    ],
)
def test_sizes_that_are_none(station: Station, words: Sequence[str], told: str) -> None:
    station.write("main.py", GOOD)
    manifest(station, devices="{a: }")
    run = station.provision("apply", *words)
    assert run.code == 2
    assert told in run.err
    assert "hint: write `--" in run.err
