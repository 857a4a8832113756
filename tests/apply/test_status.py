"""`provision status` on virtual boards: what is remembered, without a look; and with one."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station


def status(station: Station, *words: str, code: int = 0) -> dict[str, Any]:
    """What `status --json` says of each device."""
    ended = station.provision("status", "--json", *words)
    assert ended.code == code, ended.said
    document = json.loads(ended.out)
    return {one["device"]: one for one in document["devices"]} | {"": document}


def a_fleet(station: Station) -> str:
    mac = station.board("x", firmware=station.firmware(ESP32))
    station.write("main.py", "print('up')\n")
    station.write(
        "fleet.yaml",
        """
        devices:
          x: {port: 'sim://x', board: esp32, files: [main.py], check: {console: up}}
          gone: {port: /dev/there-is-no-such-port, board: esp32, files: [main.py]}
        """,
    )
    return mac


def test_the_last_apply_is_told_without_touching_a_board(station: Station) -> None:
    mac = a_fleet(station)
    assert status(station)["x"]["last_apply"] is None
    assert station.provision("apply").code == 5
    seen = [station.order("x", "status")[what] for what in ("boots", "bytes")]
    found = status(station)
    assert [station.order("x", "status")[what] for what in ("boots", "bytes")] == seen
    made = found["x"]["applied"]
    assert (made["mac"], made["chip"], made["version"]) == (mac, "esp32", "1.24.1")
    assert found["x"]["last_apply"]["outcome"] == "changed"
    assert found["x"]["check"] == "passed"
    assert found["x"]["port"]["plugged_in"] is None
    assert found["gone"]["applied"] is None
    assert found["gone"]["last_apply"]["code"] == "port-not-found"
    assert found["gone"]["port"]["plugged_in"] is False
    shown = station.provision("status")
    assert shown.code == 0
    assert mac in shown.out
    assert "not plugged in" in shown.out
    assert "last apply" in shown.out


def test_observing_tells_drift_by_its_exit_code(station: Station) -> None:
    a_fleet(station)
    assert station.provision("apply", "-l", "x").code == 0
    assert status(station, "-l", "x", "--observe")["x"]["observed"]["outcome"] == "ok"
    station.put("x", {"/main.py": "print('somebody was here')"})
    found = status(station, "-l", "x", "--observe", code=6)["x"]
    assert found["observed"]["outcome"] == "pending"
    assert found["observed"]["changes"] == 1
    assert found["last_apply"]["outcome"] == "changed"
    shown = station.provision("status", "-l", "x", "--observe")
    assert shown.code == 6
    assert "1 change pending" in shown.out
    assert station.provision("status", "--observe").code == 5


def test_records_have_the_commit_and_mask_secrets(station: Station) -> None:
    a_fleet(station)
    station.write("secrets.yaml", "word: hunter2-hunter2\n")
    station.write(
        "fleet.yaml",
        """
        devices:
          x:
            port: 'sim://x'
            board: esp32
            vars: {word: !secret word}
            files: [{src: main.py, dest: /main.py, template: true}]
            check: {console: never-printed, timeout: 2}
        """,
    )
    station.write("main.py", "print('{{ word }}')\n")
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@y")
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "one")):
        subprocess.run([*git, *words], cwd=station.work, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=station.work, check=True, capture_output=True, text=True
    ).stdout.strip()
    ended = station.provision("apply", "--json")
    assert ended.code == 4
    (started,) = ended.of("run-started")
    assert started["commit"] == head
    assert started["manifest"] == str((station.work / "fleet.yaml").resolve())
    board = ended.finished("x")["board"]
    assert board["chip"] == "esp32"
    assert board["firmware"]["version"] == "1.24.1"
    found = status(station)
    assert found[""]["commit"] == head
    assert found["x"]["last_apply"]["commit"] == head
    assert found["x"]["last_apply"]["outcome"] == "failed"
    assert found["x"]["check"] == "failed"
    records = [*(station.home.parent / "state" / "applies").iterdir()]
    assert records
    assert all("hunter2" not in record.read_text() for record in records)
