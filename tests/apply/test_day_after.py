"""What people do with a board after an apply, over every carrier: only `port:` changes."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import CARRIERS, Station


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_day_with_a_board(station: Station, carrier: str) -> None:
    def done(*words: str) -> str:
        ended = station.provision(*words)
        assert ended.code == 0, ended.said
        return ended.out

    station.board("x", firmware=station.firmware(ESP32))
    port = station.port("x", carrier)
    check = 'check: {console: "^up", on_failure: rollback}'
    station.write("main.py", "print('up 1')\n")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x: {{port: '{port}', board: esp32, files: [main.py], {check}}}
        """,
    )
    done("apply")
    done("status", "--observe")
    done("check")
    assert "/main.py" in done("ls", "x")
    assert done("cat", "x:/main.py") == "print('up 1')\n"
    assert "42" in done("run", "-c", "print(6 * 7)")
    station.write("mine.bin", bytes(range(256)) * 9)
    done("cp", "mine.bin", "x:/mine.bin")
    done("cp", "x:/mine.bin", "back.bin")
    assert (station.work / "back.bin").read_bytes() == bytes(range(256)) * 9
    done("backup", "--to", "saved")
    (saved,) = (station.work / "saved").glob("x/*")

    station.write("main.py", "print('up 2')\n")
    assert station.provision("status", "--observe").code == 6
    done("apply")
    done("rollback", "--yes")
    assert station.files("x")["/main.py"] == b"print('up 1')\n"
    done("cp", "main.py", "x:/mine.bin")
    done("restore", "x", str(saved), "--yes")
    assert station.files("x")["/mine.bin"] == bytes(range(256)) * 9

    done("import", port, "--as", "twin", "--manifest", "twin.yaml")
    assert (station.work / "twin" / "main.py").read_text() == "print('up 1')\n"
