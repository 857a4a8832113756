"""Boards on which the tool's own programs would go wrong if they trusted what they meet: files
named like the firmware's modules, names that are no text, apps that change what programs use."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from tests.apply.station import Station
from tests.spoilers import FULL_HEAP, HOSTILE, LEFT_MOUNT, REBOUND, SHADOWS, STAYS

BOARDS = {ESP32: "esp32", ESP8266: "wemos-d1-mini"}


def fleet(station: Station, chip: Chip, image: str, more: str = "") -> None:
    station.write(
        "fleet.yaml",
        f"""
        devices:
          kitchen:
            port: sim://kitchen
            board: {BOARDS[chip]}
            firmware: {{file: {image}}}
            files: [{{src: app/, dest: /}}{more}]
        """,
    )


def provisioned(station: Station, chip: Chip, version: str, main: str) -> str:
    image = station.firmware(chip, version)
    station.board("kitchen", chip, image)
    station.write("app/main.py", main)
    station.write("app/data.txt", "one")
    fleet(station, chip, image)
    station.apply("--yes")
    return image


@pytest.mark.parametrize("version", ["1.19.1", "1.24.1"])
@pytest.mark.parametrize("chip", [ESP32, pytest.param(ESP8266, marks=pytest.mark.slow)])
def test_files_named_like_the_firmwares_modules(station: Station, chip: Chip, version: str) -> None:
    image = provisioned(station, chip, version, "print('app')\n")
    station.type("kitchen", "import uos;'lib' in uos.listdir('/') or uos.mkdir('/lib')")
    paths = [f"{folder}/{name}.py" for folder in ("", "/lib") for name in SHADOWS]
    hostile = {path: HOSTILE[at % len(HOSTILE)] for at, path in enumerate(paths)}
    station.put("kitchen", hostile)
    assert station.apply().outcomes == {"kitchen": "ok"}
    station.write("app/data.txt", "two")
    assert station.plan().planned("kitchen")[0] == "write-file /data.txt"
    boots = station.order("kitchen", "status")["boots"]
    station.apply()
    assert station.order("kitchen", "status")["boots"] == boots + 1, "it was not restarted"
    fleet(
        station,
        chip,
        image,
        "".join(f", {{dest: {path}, state: absent}}" for path in paths),
    )
    removing = station.apply("-v")
    assert {f"delete-file {path}" for path in paths} <= {*removing.done("kitchen")}, removing.said
    assert station.apply().outcomes == {"kitchen": "ok"}
    files = station.files("kitchen", chip)
    assert files["/data.txt"] == b"two"
    assert not {*paths} & {*files}


def test_a_name_that_is_no_text_is_seen_kept_and_removed(station: Station) -> None:
    image = provisioned(station, ESP32, "1.24.1", "print('app')\n")
    station.type(
        "kitchen",
        "import os;os.mkdir('/log')",
        r"open(b'/caf\xe9.txt', 'w').close();open(b'/log/caf\xe9.txt', 'w').close()",
    )
    assert station.apply().outcomes == {"kitchen": "ok"}
    station.write("app/data.txt", "two")
    assert station.apply().done("kitchen")[0] == "write-file /data.txt"
    names = "print(list(os.ilistdir(b'/.')), list(os.ilistdir(b'/log')))"
    assert station.type("kitchen", "import os", names).count(r"caf\xe9.txt") == 2
    station.write("fleet.yaml", (station.work / "fleet.yaml").read_text() + "    prune: [/]\n")
    shown = station.provision("plan")
    assert r"/caf\udce9.txt" in shown.said, shown.said
    station.apply("--yes")
    assert station.type("kitchen", "import os", names).count("caf") == 0
    assert station.apply().outcomes == {"kitchen": "ok"}
    assert image


SPOILERS = {**REBOUND, "flashbdev": "import sys;sys.modules.clear()\n", "remote": LEFT_MOUNT}
SLOWLY = "import time\nfor _ in range(300): time.sleep_us(100)\n"


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_an_app_that_has_spoilt_its_interpreter(station: Station, spoiler: str) -> None:
    provisioned(station, ESP32, "1.24.1", SPOILERS[spoiler] + STAYS)
    station.press("kitchen", "reset")
    assert station.apply().outcomes == {"kitchen": "ok"}
    station.write("app/data.txt", "two")
    assert station.plan().planned("kitchen") == ["write-file /data.txt", "reset"]
    assert station.apply().done("kitchen") == ["write-file /data.txt", "reset"]
    assert station.files("kitchen")["/data.txt"] == b"two"
    assert station.apply().outcomes == {"kitchen": "ok"}


@pytest.mark.parametrize("version", ["1.19.1", "1.24.1"])
def test_no_program_looks_into_a_folder_whose_host_is_gone(station: Station, version: str) -> None:
    """Where an import of what the firmware has not would wait for a minute."""
    image = provisioned(station, ESP32, version, LEFT_MOUNT + STAYS)
    station.press("kitchen", "reset")
    looked = station.provision("apply", "-vv")
    assert looked.code == 0, looked.said
    assert "did not finish" not in looked.said
    assert "kitchen  ok" in looked.said
    assert image


def test_an_app_that_has_taken_all_memory(station: Station) -> None:
    provisioned(station, ESP8266, "1.24.1", FULL_HEAP + STAYS)
    station.press("kitchen", "reset")
    assert station.apply().outcomes == {"kitchen": "ok"}
    station.write("app/data.txt", "two")
    assert station.apply().done("kitchen")[0] == "write-file /data.txt"
    assert station.apply().outcomes == {"kitchen": "ok"}


def test_a_boot_py_that_takes_all_memory_on_a_line_without_reset(station: Station) -> None:
    image = station.firmware(ESP8266, "1.24.1")
    station.board("kitchen", ESP8266, image)
    station.write("app/data.txt", "one")
    fleet(station, ESP8266, image)
    manifest = (station.work / "fleet.yaml").read_text().replace(f"firmware: {{file: {image}}}", "")
    port = station.port("kitchen", "pty")
    station.write("fleet.yaml", manifest.replace("sim://kitchen", port))
    station.put("kitchen", {"/boot.py": SLOWLY + FULL_HEAP, "/main.py": STAYS})
    station.press("kitchen", "reset")
    assert station.apply().done("kitchen")[0] == "write-file /data.txt"
    assert station.apply().outcomes == {"kitchen": "ok"}


def test_a_boot_py_that_spoils_every_interpreter(station: Station) -> None:
    provisioned(station, ESP32, "1.24.1", STAYS)
    station.put("kitchen", {"/boot.py": REBOUND["print"]})
    station.press("kitchen", "reset")
    station.write("app/data.txt", "two")
    station.write("app/boot.py", "")
    done = station.apply("--yes").done("kitchen")
    assert {"write-file /data.txt", "write-file /boot.py"} <= {*done}
    assert station.apply().outcomes == {"kitchen": "ok"}
