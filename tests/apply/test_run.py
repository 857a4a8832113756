"""`provision run` on virtual boards: output by device, tracebacks, and apps that go on."""

from __future__ import annotations

import signal

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import CARRIERS, Ended, Station

SECRET = "correct-horse"
APP = "import time\ncount = 41\nwhile True: print('app: up'); time.sleep(0.1)\n"


def fleet(station: Station, *names: str, carrier: str = "sim") -> None:
    for name in names:
        station.board(name, firmware=station.firmware(ESP32))
        station.put(name, {"/main.py": APP})
    devices = ", ".join(
        f"{name}: {{port: '{station.port(name, carrier)}', board: esp32}}" for name in names
    )
    station.write("secrets.yaml", f"wifi: {SECRET}\n").chmod(0o600)
    station.write(
        "fleet.yaml",
        f"defaults: {{vars: {{wifi: !secret wifi}}}}\ndevices: {{{devices}}}\n",
    )
    for name in names:
        station.press(name, "reset")
        assert app_runs(station, name)


def lines(ended: Ended, device: str = "x", *, traceback: bool = False) -> list[str]:
    return [
        event["text"]
        for event in ended.of("console-line", device)
        if event["traceback"] == traceback
    ]


def app_runs(station: Station, name: str) -> bool:
    with station.console(name) as port:
        return bool(port.read_until(b"app: up").endswith(b"app: up"))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_code_runs_amid_the_app_which_goes_on(station: Station, carrier: str) -> None:
    fleet(station, "x", carrier=carrier)
    ended = station.provision("run", "-c", "count += 1; print('count', count)")
    assert (ended.code, ended.out, ended.err) == (0, "x | count 42\n", "")
    assert app_runs(station, "x")


def test_what_comes_of_code_that_ends_otherwise(station: Station) -> None:
    fleet(station, "x")
    station.write("probe.py", "print('before')\ndef f():\n    return 1 // 0\nf()\n")
    ended = station.provision("run", "probe.py", "--json")
    assert ended.code == 4
    assert lines(ended) == ["before"]
    raised = lines(ended, traceback=True)
    assert raised[0] == "Traceback (most recent call last):"
    assert '  File "probe.py", line 3, in f' in raised
    assert raised[-1] == "ZeroDivisionError: divide by zero"
    assert ended.finished("x")["code"] == "code-raised"
    assert ended.finished("x")["error"] == "the code raised ZeroDivisionError: divide by zero"
    assert app_runs(station, "x")
    wrong = station.provision("run", "-c", "def (")
    assert wrong.code == 4
    assert "x | SyntaxError: invalid syntax" in wrong.out
    left = station.provision("run", "-c", "print('bye')\nimport sys; sys.exit()")
    assert (left.code, left.out) == (0, "x | bye\n"), left.said
    assert app_runs(station, "x")
    restarted = station.provision("run", "-c", "import machine; machine.reset()", "--json")
    assert restarted.code == 4
    assert restarted.finished("x")["code"] == "board-restarted"
    assert app_runs(station, "x")


def test_output_of_any_bytes_is_safe(station: Station) -> None:
    """The bytes that end what a program prints at the raw REPL among them; and a thread of the
    program prints on when it has ended."""
    fleet(station, "x")
    station.write(
        "bytes.py",
        r"""
        import sys, time, _thread
        w = sys.stdout.buffer.write
        for _ in range(3): w(bytes(range(256)))
        w(b'\n\x04\x04>\x04Traceback (most recent call last):\n\x04>')
        time.sleep(0.5)  # longer than a silence that ends it
        print('not the end')
        w(b'\x04\x04')
        def noise():
            for _ in range(200):
                time.sleep(0.05)  # first: what comes between its two end marks is an error's
                print("noise")
        _thread.start_new_thread(noise, ())
        w(b"ended\n")  # in one piece, whatever the thread prints meanwhile
        """,
    )
    ended = station.provision("run", "bytes.py")
    assert ended.code == 0, ended.said
    assert ended.out.count("\\xff") == 3
    assert "not the end\n" in ended.out
    assert "ended\n" in ended.out
    assert "\x1b" not in ended.out
    assert "\x04" not in ended.out
    assert app_runs(station, "x")


def test_ctrl_c_stops_the_code_and_the_app_goes_on(station: Station) -> None:
    """Also where the code heeds no Ctrl-C."""
    fleet(station, "x", "z")
    station.put("x", {"/stubborn": ""})
    station.press("x", "reset")
    assert app_runs(station, "x")
    station.write(
        "endless.py",
        """
        import os, time
        while True:
            try:
                while True:
                    print('code: runs')
                    time.sleep(0.1)
            except KeyboardInterrupt:
                if 'stubborn' not in os.listdir('/'): raise
        """,
    )
    run = station.start("run", "endless.py", "--json")
    for name in ("x", "z"):
        run.until_event("console-line", device=name, text="code: runs")
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert ended.outcomes == {"x": "interrupted", "z": "interrupted"}
    assert "stopping; press Ctrl-C again to abort" in ended.err
    for name in ("x", "z"):
        assert app_runs(station, name)


def test_no_secret_leaves_a_board_by_what_it_prints(station: Station) -> None:
    fleet(station, "x")
    code = (
        f"import sys, time\nprint('wifi', '{SECRET}')\n"
        f"sys.stdout.write('{SECRET[:6]}'); time.sleep(0.4); print('{SECRET[6:]}')\n"
        f"raise ValueError('{SECRET}')"
    )
    station.write("leak.py", code)
    for options in (("-v", "--log-file", "run.log"), ("--json",)):
        ended = station.provision("run", "leak.py", *options)
        assert ended.code == 4
        assert SECRET not in ended.said
        assert "wifi ***" in ended.out
    log = (station.work / "run.log").read_text(encoding="utf-8")
    assert SECRET not in log
    assert "x | wifi ***" in log
    for record in (station.work.parent / "state" / "runs").iterdir():
        assert SECRET not in record.read_text(encoding="utf-8")


def test_what_cannot_be_run_is_told_before_any_board_is_touched(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write("fleet.yaml", "devices: {x: {port: 'sim://x', board: esp32}}\n")
    station.write(
        "other.yaml",
        "devices: {x: {port: 'sim://x', board: esp32, mac: '24:6f:28:00:00:99'}}\n",
    )
    station.write("app.mpy", b"M\x06\x00\x1f\x01")
    for words, code, why in (
        ((), 2, "run needs either a file or -c CODE"),
        (("a.py", "-c", "1"), 2, "run needs either a file or -c CODE"),
        (("missing.py",), 2, "missing.py cannot be read: No such file or directory"),
        (("app.mpy",), 2, "app.mpy is no MicroPython source"),
        (("-c", "print('ran')", "-m", "other.yaml"), 4, "the board on this port is"),
    ):
        ended = station.provision("run", *words)
        assert (ended.code, ended.out) == (code, ""), ended.said
        assert why in ended.err
