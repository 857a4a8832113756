"""`provision logs` on virtual boards: all that they print, and nothing done to them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import CARRIERS, PATIENCE, Ended, Run, Station

# It tells of every byte that it is sent, and of an interrupt.
APP = """
import select, sys, time
poll = select.poll()
poll.register(sys.stdin, select.POLLIN)
number = 0
while True:
    number += 1
    print('line', number, 'wifi correct-', end='')
    time.sleep(0.05)
    print('horse')
    if poll.poll(0):
        print('was sent', repr(sys.stdin.read(1)))
"""


def fleet(station: Station, *names: str, carrier: str = "sim") -> None:
    for name in names:
        station.board(name, firmware=station.firmware(ESP32))
        station.put(name, {"/main.py": APP})
        station.press(name, "reset")
    devices = ", ".join(
        f"{name}: {{port: '{station.port(name, carrier)}', board: esp32}}" for name in names
    )
    station.write("secrets.yaml", "wifi: correct-horse\n").chmod(0o600)
    station.write(
        "fleet.yaml",
        f"defaults: {{vars: {{wifi: !secret wifi}}}}\ndevices: {{{devices}}}\n",
    )


def numbers(ended: Ended | Run, device: str) -> list[int]:
    """Those of its lines."""
    texts = [
        event["text"]
        for event in ended.events
        if event["kind"] == "console-line" and event["device"] == device
    ]
    return [int(text.split()[1]) for text in texts if re.fullmatch(r"line \d+ wifi \*\*\*", text)]


def go_up(found: list[int]) -> bool:
    return len(found) > 2 and found == list(range(found[0], found[0] + len(found)))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_boards_are_listened_to_and_not_disturbed(station: Station, carrier: str) -> None:
    """Nothing is sent, nothing is reset, nothing is lost; a secret that comes in two pieces is
    masked."""
    fleet(station, "x", "z", carrier=carrier)
    boots = [station.order(name, "status")["boots"] for name in ("x", "z")]
    run = station.start("logs", "--json", "--seconds", "3", "--to", "logs")
    run.until(lambda run: all(len(numbers(run, name)) > 2 for name in ("x", "z")))
    ended = run.end()
    assert ended.code == 0, ended.said
    assert ended.outcomes == {"x": "ok", "z": "ok"}
    assert all(go_up(numbers(ended, name)) for name in ("x", "z"))
    assert "was sent" not in ended.said
    assert [station.order(name, "status")["boots"] for name in ("x", "z")] == boots
    log = (station.work / "logs" / "x.log").read_text(encoding="utf-8")
    assert f"+00:00 line {numbers(ended, 'x')[0]} wifi ***\n" in log.replace("Z ", "+00:00 ")
    assert "horse" not in ended.said + log


def test_a_board_that_resets_or_is_unplugged_is_waited_for(station: Station) -> None:
    """Its neighbour is heard all the while; Ctrl-C ends it."""
    fleet(station, "x", "z")
    run = station.start("logs", "--json", "x,z")
    run.until(lambda run: bool(numbers(run, "x")))
    station.press("x", "reset")
    run.until(lambda run: 1 in numbers(run, "x"))
    station.fault("x", "unplug")
    gone = run.until_event("notice", device="x")["message"]
    assert gone.endswith("waiting for it to come back")
    before = len(numbers(run, "z"))
    run.until(lambda run: len(numbers(run, "z")) > before + 2)
    station.fault("x", "replug")
    run.until_event("notice", device="x", message="sim://x is back")
    before = len(numbers(run, "x"))
    run.until(lambda run: len(numbers(run, "x")) > before)
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert "stopping; press Ctrl-C again to abort" in ended.err
    assert ended.outcomes == {"x": "ok", "z": "ok"}
    assert go_up(numbers(ended, "z"))


def test_since_boot_restarts_the_board_of_the_manifest_alone(station: Station) -> None:
    fleet(station, "x")
    boots = station.order("x", "status")["boots"]
    run = station.start("logs", "x", "--since-boot")
    run.until(lambda run: "x | line 2 wifi ***\n" in run.out)
    run.signal(signal.SIGTERM)
    ended = run.end()
    assert ended.code == 130
    assert station.order("x", "status")["boots"] == boots + 1
    assert ended.out.index("rst:0x") < ended.out.index("x | line 1 wifi ***\n")
    station.write(
        "other.yaml",
        "devices: {x: {port: 'sim://x', board: esp32, mac: '24:6f:28:00:00:99'}}\n",
    )
    ended = station.provision("logs", "--since-boot", "-m", "other.yaml")
    assert (ended.code, ended.out) == (4, "")
    assert "the board on this port is" in ended.err
    assert station.order("x", "status")["boots"] == boots + 1


def test_devices_are_named_in_one_way(station: Station) -> None:
    station.write("fleet.yaml", "devices: {x: {port: 'sim://x', board: esp32}}\n")
    for words, why in (
        (("x", "-l", "x"), "devices are named twice"),
        (("y",), "no device"),
    ):
        ended = station.provision("logs", *words)
        assert (ended.code, ended.out) == (2, ""), ended.said
        assert why in ended.err


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(station: Station) -> None:
    """As `provision logs | head` does."""
    fleet(station, "x")
    run = subprocess.Popen(
        [sys.executable, "-m", "provision", "logs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=station.work,
        env=station.environment,
    )
    assert run.stdout is not None
    assert run.stderr is not None
    try:
        assert run.stdout.readline().startswith(b"x | ")
        run.stdout.close()
        assert run.wait(PATIENCE) == 0
        assert run.stderr.read() == b""
    finally:
        run.kill()
        run.wait()
        run.stderr.close()
