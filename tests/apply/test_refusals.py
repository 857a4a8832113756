"""DESIGN's safety rules 1 and 2: what must not be touched keeps every byte of its flash, and the
user reads why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.core.chips.esp.partition_table import Partition
from provision.model.chip import Chip
from provision.sim.esp.firmware import build
from tests.apply.station import Station

OTHER = "24:6f:28:00:00:01"  # no board's MAC here


@dataclass(frozen=True)
class Case:
    """A board that must be refused: what it is, what the manifest says, what the user reads."""

    chip: Chip
    message: str
    hint: str
    board: str = "esp32"
    image: dict[str, Any] = field(default_factory=dict)  # what `Station.firmware` makes
    settings: dict[str, str] = field(default_factory=dict)
    running: bool = False  # met with an older MicroPython instead of blank
    fault: str = ""
    declared: str = ""
    learned: str = ""


CASES = {
    "chip": Case(
        chip=ESP32,
        board="wemos-d1-mini",
        image={"chip": ESP8266},
        message="the chip on this port is an ESP32, the board wemos-d1-mini has an ESP8266",
        hint="check that the right board is on this port",
    ),
    "chip-running": Case(
        chip=ESP8266,
        running=True,
        message="the chip on this port is an ESP8266, the board esp32 has an ESP32",
        hint="check that the right board is on this port",
    ),
    "declared": Case(
        chip=ESP32,
        declared=OTHER,
        message=f"the board on this port is 24:6f:28:f8:33:22, declared is {OTHER}",
        hint="change `mac:` of declared in the manifest",
    ),
    "learned": Case(
        chip=ESP32,
        running=True,
        learned=OTHER,
        message=f"the board on this port is 24:6f:28:d7:8e:3c, learned is {OTHER}",
        hint="--accept-new-board learned",
    ),
    "image": Case(
        chip=ESP32,
        image={"chip": ESP8266},
        message="the firmware is for the ESP8266, the board esp32 has an ESP32",
        hint="ESP32_GENERIC",
    ),
    "large": Case(
        chip=ESP8266,
        board="esp8266",
        settings={"flash": "2MB"},
        image={"chip": ESP8266, "size": 3 << 20},
        message="bytes of flash, the flash has 2 MB",
        hint="choose a build for a smaller flash",
    ),
    "table": Case(
        chip=ESP32,
        settings={"flash": "2MB"},
        message="places vfs up to 4 MB, the flash has 2 MB",
        hint="choose the variant D2WD",
    ),
    "small": Case(
        chip=ESP8266,
        board="wemos-d1-mini",
        settings={"flash": "2MB"},
        image={"chip": ESP8266},
        message="the flash holds 2 MB, the board wemos-d1-mini has 4 MB",
        hint="check the board in the manifest",
    ),
    "signed": Case(
        chip=ESP32,
        running=True,
        fault="secure-boot",
        message="secure boot is on",
        hint="whoever holds its keys",
    ),
    "encrypted": Case(
        chip=ESP32C3,
        board="esp32c3",
        image={"chip": ESP32C3},
        fault="flash-encryption",
        message="flash encryption is on",
        hint="whoever holds its keys",
    ),
    "locked-up": Case(
        chip=ESP32C3,
        board="esp32c3",
        image={"chip": ESP32C3},
        fault="secure-download",
        message="secure download mode is on",
        hint="whoever holds its keys",
    ),
}


def test_rule_1_a_board_that_is_not_proved_keeps_its_flash(station: Station) -> None:
    station.write("main.py", "print('new')\n")
    manifest = "defaults: {files: [main.py]}\ndevices:\n"
    lock = "version: 1\ndevices:\n"
    for name, case in CASES.items():
        old = station.firmware(case.chip, "1.20.0") if case.running else None
        station.board(name, case.chip, old, **case.settings)
        if case.fault:
            station.fault(name, case.fault)
        if case.fault and case.running:
            station.press(name, "reset")  # an eFuse is read when the chip starts
        image = station.firmware(**{"chip": ESP32, **case.image})
        declared = f', mac: "{case.declared}"' if case.declared else ""
        manifest += f"  {name}: {{port: sim://{name}, board: {case.board}, "
        manifest += f"firmware: {{file: {image}}}{declared}}}\n"
        if case.learned:
            lock += f"  {name}: {{mac: '{case.learned}'}}\n"
    station.board("right", firmware=station.firmware(ESP32))
    manifest += "  right: {port: sim://right, board: esp32}\n"
    station.write("fleet.yaml", manifest)
    station.write("fleet.lock", lock)
    before = {name: station.digest(name) for name in CASES}

    ended = station.apply("--yes", code=4)

    for name, case in CASES.items():
        finished = ended.finished(name)
        assert finished["outcome"] == "refused", finished
        assert case.message in finished["error"], finished
        assert case.hint in finished["hint"], finished
        assert ended.done(name) == []
        assert station.digest(name) == before[name], f"{name}: its flash has changed"
    assert ended.done("right") == ["write-file /main.py", "reset"], "another's refusal hindered it"
    assert set(station.lock) == {"learned", "right"}
    assert station.lock["learned"] == OTHER

    recap = station.provision("apply", "--yes", "--limit", "declared,right")
    assert recap.code == 4
    assert f"refused: {CASES['declared'].message}" in recap.out
    assert "declared:   hint: plug the right board into this port" in recap.err
    assert "changed=0 ok=1 failed=0 unreachable=0 refused=1" in recap.out


def test_a_new_board_in_the_place_of_a_learned_one_is_accepted_by_name(station: Station) -> None:
    image = station.firmware(ESP32)
    mac = station.board("x", firmware=image)
    station.board("y", firmware=image)
    station.write("main.py", "print('new')\n")
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [main.py]}
        devices: {x: {port: sim://x}, y: {port: sim://y}}
        """,
    )
    known = f"{{mac: '{OTHER}'}}"
    station.write("fleet.lock", f"version: 1\ndevices: {{x: {known}, y: {known}}}\n")
    ended = station.apply("--accept-new-board", "x", code=4)
    assert ended.outcomes == {"x": "changed", "y": "refused"}
    assert station.lock == {"x": mac, "y": OTHER}
    assert station.apply("--limit", "x").outcomes == {"x": "ok"}


def test_a_board_that_is_known_as_anothers_is_refused_until_it_is_moved(station: Station) -> None:
    """First contact: nothing is known of x and z, but of the boards on their ports."""
    image = station.firmware(ESP32)
    mac = station.board("x", firmware=image)
    declared = station.board("z", firmware=image)
    station.put("x", {"/main.py": "print('of y')"})
    station.write("main.py", "print('new')\n")
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{board: esp32, files: [main.py]}}
        devices:
          x: {{port: sim://x}}
          y: {{port: sim://y}}
          z: {{port: sim://z}}
          w: {{port: sim://w, mac: "{declared}"}}
        """,
    )
    station.write("fleet.lock", f"version: 1\ndevices: {{y: {{mac: '{mac}'}}}}\n")
    before = {name: station.digest(name) for name in ("x", "z")}

    planned = station.provision("plan", "--limit", "x")
    assert planned.code == 4
    assert f"the board on this port is {mac}, which fleet.lock knows as that of y" in planned.out
    ended = station.apply("--limit", "x,z", "--yes", code=4)
    assert ended.outcomes == {"x": "refused", "z": "refused"}
    assert ended.finished("z")["error"] == (
        f"the board on this port is {declared}, which the manifest declares as that of w"
    )
    assert {name: station.digest(name) for name in ("x", "z")} == before
    assert station.lock == {"y": mac}

    assert "provision apply --accept-new-board x" in ended.finished("x")["hint"]
    moved = station.apply("--accept-new-board", "x", "--limit", "x")
    assert moved.outcomes == {"x": "changed"}
    assert station.lock == {"x": mac}
    assert station.apply("--limit", "x").outcomes == {"x": "ok"}


BLANK = """
    devices:
      bench: {{port: "sim://bench?chip=esp32", board: esp32, firmware: {{file: {image}}}}}
    """


def test_rule_2_a_board_that_nobody_knows_is_not_erased_unasked(station: Station) -> None:
    station.board("bench")
    station.write("fleet.yaml", BLANK.format(image=station.firmware(ESP32)))
    before = station.digest("bench")

    ended = station.provision("apply")
    assert ended.code == 4
    assert "its board would be erased, and is not in fleet.lock yet" in ended.out
    assert "run `provision apply --yes`" in ended.err
    assert station.digest("bench") == before
    assert station.lock == {}

    asked = station.start("apply", terminal=True)
    asked.until(lambda run: "bench: erase this board" in run.err)
    asked.answer("n\n")
    declined = asked.end()
    assert declined.code == 4
    assert "erasing its board was declined" in declined.out
    assert station.digest("bench") == before

    asked = station.start("apply", terminal=True)
    asked.until(lambda run: "bench: erase this board" in run.err)
    asked.answer("y\n")
    agreed = asked.end()
    assert agreed.code == 0, agreed.said
    assert "changed=1" in agreed.out
    mac = station.order("bench", "status")["mac"]
    assert station.lock == {"bench": mac}


def test_rule_2_boards_with_the_same_to_lose_are_one_question(station: Station) -> None:
    station.board("bench")
    station.board("other")
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{board: esp32, firmware: {{file: {station.firmware(ESP32)}}}}}
        devices: {{bench: {{port: sim://bench}}, other: {{port: sim://other}}}}
        """,
    )
    asked = station.start("apply", terminal=True)
    asked.until(lambda run: ": erase these boards" in run.err)
    asked.answer("y\n")
    agreed = asked.end()
    assert agreed.code == 0, agreed.said
    assert agreed.err.count(": erase these boards and every file on them") == 1
    assert agreed.out.count("erase the whole flash") == 1
    assert set(station.lock) == {"bench", "other"}


def test_rule_2_a_board_in_the_lock_is_erased_unasked(station: Station) -> None:
    mac = station.board("bench")
    station.write("fleet.yaml", BLANK.format(image=station.firmware(ESP32)))
    station.write("fleet.lock", f"version: 1\ndevices: {{bench: {{mac: '{mac}'}}}}\n")
    ended = station.apply()
    assert ended.done("bench") == ["erase-flash", "write-firmware 1.24.1", "reset"]


def test_rule_2_a_known_board_that_falls_silent_does_not_lose_its_files_unasked(
    station: Station,
) -> None:
    """Its firmware and its filesystem are damaged; somebody may yet know how to read that one."""
    mac = station.board("bench", firmware=station.firmware(ESP32))
    station.put("bench", {"/log.txt": "of a year"})
    station.fault("bench", "corrupt-filesystem")
    station.fault("bench", "broken-firmware")
    station.write("fleet.yaml", BLANK.format(image=station.firmware(ESP32)))
    station.write("fleet.lock", f"version: 1\ndevices: {{bench: {{mac: '{mac}'}}}}\n")
    before = station.digest("bench")
    ended = station.provision("apply")
    assert ended.code == 4
    assert "a filesystem that cannot be read would be lost" in ended.out
    assert station.digest("bench") == before
    agreed = station.apply("--yes")
    assert agreed.done("bench") == ["erase-flash", "write-firmware 1.24.1", "reset"]


def test_rule_2_leave_to_erase_is_of_the_manifest_whose_run_was_cut(station: Station) -> None:
    mac = station.board("bench", timing="on")  # so that the kill comes amid it
    manifest = BLANK.format(image=station.firmware(ESP32))
    station.write("fleet.yaml", manifest)
    station.write("other.yaml", manifest)
    cut = station.start("apply", "--yes", "--json")
    cut.until_event("stage-started", stage="flash")
    cut.kill()

    other = station.provision("apply", "other.yaml")
    assert other.code == 4, other.said
    assert "its board would be erased, and is not in fleet.lock yet" in other.out
    assert station.apply().outcomes == {"bench": "changed"}
    assert station.lock == {"bench": mac}


def test_rule_1_a_board_exchanged_between_look_and_flash_is_refused(station: Station) -> None:
    """First contact, nothing but the look itself knows which board it was: a bare module is put
    into the same adapter while somebody is asked; another one when the board is flashed."""
    station.board("bench")
    station.board("old", firmware=station.firmware(ESP32, "1.20.0"))
    station.put("old", {"/main.py": "print('mine')"})
    image = station.firmware(ESP32)
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{board: esp32, firmware: {{file: {image}}}}}
        devices: {{bench: {{port: sim://bench}}, old: {{port: sim://old}}}}
        """,
    )
    blank, firmware = station.digest("bench"), station.flash("old")[:0x200000]
    macs = {name: station.order(name, "status")["mac"] for name in ("bench", "old")}
    station.fault("old", "exchange", mac=OTHER, after=1)
    asked = station.start("apply", "--log-file", "run.log", terminal=True)
    asked.until(lambda run: "bench: erase this board" in run.err)
    station.fault("bench", "exchange", mac=OTHER)
    asked.answer("y\n")
    ended = asked.end()
    assert ended.code == 4, ended.said
    assert f"another board answers: {OTHER}, not {macs['bench']}" in ended.out
    assert f"the board was exchanged during the run: {OTHER} answers now" in ended.out
    assert station.digest("bench") == blank
    assert station.flash("old")[:0x200000] == firmware
    assert b"print('mine')" in station.files("old").values()
    assert station.lock == {}


def test_boards_on_each_others_ports_are_told_and_followed(station: Station) -> None:
    image = station.firmware(ESP32)
    macs = {name: station.board(name, firmware=image) for name in ("left", "right")}
    station.write("main.py.j2", "print('{{ name }}')\n")
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [{src: main.py.j2, dest: /main.py, template: true}]}
        devices: {kitchen: {port: sim://left}, hall: {port: sim://right}}
        """,
    )
    station.apply()
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [{src: main.py.j2, dest: /main.py, template: true}]}
        devices: {kitchen: {port: sim://right}, hall: {port: sim://left}}
        """,
    )
    before = {name: station.digest(name) for name in macs}
    planned = station.provision("plan")
    assert planned.code == 4
    assert "2 boards on the port of another device: that of hall on the port of kitchen" in (
        planned.said.replace("\n", " ")
    )
    assert f"that of hall; kitchen is {macs['left']}" in planned.out
    assert "provision apply --match-by-mac" in planned.err
    followed = station.apply("--match-by-mac")
    assert followed.outcomes == {"kitchen": "ok", "hall": "ok"}
    assert {name: station.digest(name) for name in macs} == before
    assert station.lock == {"kitchen": macs["left"], "hall": macs["right"]}


def oversized_image() -> bytes:
    """An ESP32 image whose partition table ends past 4 MB."""
    table = (
        Partition(name="nvs", type=1, subtype=2, offset=0x9000, size=0x6000),
        Partition(name="factory", type=0, subtype=0, offset=0x10000, size=0x1F0000),
        Partition(name="vfs", type=1, subtype=0x81, offset=0x200000, size=0x600000),
    )
    return build(ESP32, "1.25.0", partitions=table)


@pytest.mark.parametrize(
    ("image", "files", "why"),
    [
        (oversized_image(), "[main.py]", "table-past-end"),
        (build(ESP32, "1.25.0"), "[main.py, big.bin]", "no-room"),
    ],
    ids=["a table past the end of the flash", "files without room"],
)
@pytest.mark.parametrize("met", ["running", "blank"])
def test_what_can_be_known_is_refused_by_the_plan_and_the_board_is_untouched(
    station: Station, image: bytes, files: str, why: str, met: str
) -> None:
    running = station.firmware(ESP32) if met == "running" else None
    station.board("x", ESP32, running)
    station.write("new.bin", image)
    station.write("main.py", "print('mine')\n")
    station.write("big.bin", bytes(3 << 20))
    station.write(
        "fleet.yaml",
        f"devices: {{x: {{port: sim://x, board: esp32, firmware: {{file: new.bin}}, "
        f"files: {files}}}}}\n",
    )
    if running is not None:
        station.put("x", {"/boot.py": "# mine\n"})
        station.type("x", "alive = 'still here'")
    before = station.digest("x")
    for command in ("plan", "apply"):
        ended = station.provision(command, "--json", *(["--yes"] if command == "apply" else []))
        assert ended.code == 4, ended.said
        (event,) = ended.of("device-planned", "x")
        assert [refusal["kind"] for refusal in event["plan"]["refusals"]] == [why]
        assert event["plan"]["actions"] == []
        assert station.digest("x") == before
    if running is not None:
        assert station.type("x", "print(alive)") == "still here"


def test_what_a_refusal_tells_to_type_names_the_manifest(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write("main.py", "print(1)\n")
    station.write("fleet.yaml", "devices: {a: {port: sim://x, board: esp32, files: [main.py]}}\n")
    station.apply()
    station.write("other.yaml", "devices: {b: {port: sim://x, board: esp32, files: [main.py]}}\n")
    (station.work / "fleet.lock").rename(station.work / "other.lock")
    ended = station.provision("plan", "other.yaml", "--json")
    assert ended.outcomes == {"b": "refused"}, ended.said
    assert "`provision apply other.yaml --accept-new-board b`" in ended.finished("b")["hint"]
