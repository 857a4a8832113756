"""The whole main job on a board, from blank to converged and back, as a user runs it.

The tests run on a virtual board behind RFC 2217, always, and on a real board where one is named:

    PROVISION_HW_PORT=/dev/ttyUSB0 PROVISION_HW_BOARD=wemos-d1-mini \\
    PROVISION_HW_FIRMWARE=ESP8266_GENERIC-20241129-v1.24.1.bin \\
    PROVISION_HW_OLD_FIRMWARE=ESP8266_GENERIC-20231005-v1.21.0.bin \\
    pytest tests/hw

`PORT` is a path or a URL, `BOARD` a board profile, `FIRMWARE` the image to install. Everything on
the board is lost. `OLD_FIRMWARE`, an image with its filesystem at the same place, is optional:
without it the update is skipped. The board needs automatic reset; allow five minutes.
"""

from __future__ import annotations

import signal

import pytest

from tests.hw.bench import HardwareBench

FOREIGN_MAC = "02:00:00:00:00:01"  # locally administered: no chip is made with it

# What a board may keep beside the managed files; a chip without NVS has none before and after.
KEEP_DATA = """
with open('/measured.txt', 'w') as file:
    file.write('a year of data')
try:
    import esp32
    nvs = esp32.NVS('bench')
    nvs.set_i32('calibration', 4711)
    nvs.commit()
except ImportError:
    pass
"""
READ_DATA = """
import json
try:
    import esp32
    nvs = esp32.NVS('bench').get_i32('calibration')
except ImportError:
    nvs = None
print(json.dumps([nvs, open('/measured.txt').read()]))
"""
READ_VERSION = "import os; print(os.uname().version)"

# Programs that were on the board before, and keep the REPL for themselves.
FOREIGN_APPS = {
    "busy": "while True:\n    pass\n",
    "deaf": "import micropython, time\nmicropython.kbd_intr(-1)\nwhile True:\n    time.sleep(1)\n",
}


def test_from_blank_to_converged(bench: HardwareBench) -> None:
    bench.erase()
    ended = bench.apply("--yes")
    assert ended.outcomes == {"node": "changed"}
    done = ended.done("node")
    assert any(action.startswith("write-firmware") for action in done), done
    assert done[-2:] == ["reset", "check"]
    before = bench.digest()
    bench.assert_converged()
    assert bench.digest() == before


def test_one_file_changed(bench: HardwareBench) -> None:
    bench.converge()
    bench.write({"config.py": "NAME = 'second'\n"})
    bench.manifest(ready="second")
    ended = bench.apply()
    assert ended.done("node") == ["write-file /config.py", "reset", "check"]
    bench.assert_converged()


def test_an_update_keeps_files_and_nvs(bench: HardwareBench) -> None:
    if bench.board.old_firmware is None:
        pytest.skip("PROVISION_HW_OLD_FIRMWARE names no older image")
    bench.erase()
    bench.manifest(firmware={"file": str(bench.board.old_firmware)})
    bench.converge()
    bench.execute(KEEP_DATA)
    kept = bench.execute(READ_DATA)
    old = bench.execute(READ_VERSION)

    bench.manifest()
    done = bench.apply().done("node")

    assert [action.partition(" ")[0] for action in done] == ["write-firmware", "reset", "check"]
    assert bench.execute(READ_VERSION) != old
    assert bench.execute(READ_DATA) == kept
    bench.assert_converged()


@pytest.mark.parametrize("wrong", ["mac", "board", "image"])
def test_a_board_that_is_not_the_one_keeps_every_byte(bench: HardwareBench, wrong: str) -> None:
    bench.converge()
    other = bench.other
    image = {"file": str(bench.image_for(other["chip"]))}
    changes, said = {
        "mac": ({"mac": FOREIGN_MAC}, f"node is {FOREIGN_MAC}"),
        "board": ({"board": other["name"], "firmware": image}, f"the board {other['name']} has"),
        "image": ({"firmware": image}, f"the board {bench.board.profile} has"),
    }[wrong]
    bench.write({"config.py": "NAME = 'not to be written'\n"})
    bench.manifest(**changes)
    before = bench.digest()

    ended = bench.apply("--yes", code=4)

    finished = ended.finished("node")
    assert finished["outcome"] == "refused"
    assert said in finished["error"]
    assert ended.done("node") == []
    assert bench.digest() == before


@pytest.mark.parametrize("stage", ["flash", "files"])
def test_a_run_that_is_killed_is_made_good_by_the_next(bench: HardwareBench, stage: str) -> None:
    bench.converge()
    if stage == "flash":
        bench.erase()
    else:
        bench.write({f"lib/module_{n}.py": f"NUMBER = {n}\n" * 400 for n in range(12)})
    run = bench.start("apply", "--yes", "--json")
    run.until_event("stage-progress", stage=stage)
    run.signal(signal.SIGKILL)
    assert run.end().code == -signal.SIGKILL
    bench.converge()
    bench.assert_converged()


@pytest.mark.parametrize("app", FOREIGN_APPS)
def test_a_foreign_app_that_keeps_the_repl(bench: HardwareBench, app: str) -> None:
    bench.converge()
    bench.execute(f"with open('/main.py', 'w') as file: file.write({FOREIGN_APPS[app]!r})")
    bench.mpremote("reset")
    bench.converge()
    bench.assert_converged()
