"""`provision repl` as somebody uses it: keys, and the terminal as it was afterwards."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import CARRIERS, PATIENCE, Station

APP = "import time\nwhile True: print('app: up'); time.sleep(0.1)\n"


class Screen:
    """A terminal with `provision` on it: what it has shown, and keys."""

    def __init__(self, station: Station, *words: str) -> None:
        self._master, self._slave = pty.openpty()
        self.before = termios.tcgetattr(self._slave)
        self._shown = b""
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "provision", *words],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            cwd=station.work,
            env=station.environment,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            with self._changed:
                self._shown += data
                self._changed.notify_all()

    @property
    def shown(self) -> str:
        return self._shown.decode()

    def until(self, text: str) -> None:
        """Wait for a text that was not waited for before."""
        with self._changed:
            came = self._changed.wait_for(lambda: text.encode() in self._shown, PATIENCE)
            assert came, self.shown
            self._shown = self._shown.partition(text.encode())[2]

    def type(self, keys: str) -> None:
        data = keys.encode()
        while data:
            data = data[os.write(self._master, data) :]

    def end(self) -> int:
        """Its exit code; the terminal is as it was before."""
        code = self.process.wait(PATIENCE)
        assert termios.tcgetattr(self._slave) == self.before
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._slave)
        os.close(self._master)


@contextmanager
def screen(station: Station, *words: str) -> Iterator[Screen]:
    opened = Screen(station, *words)
    try:
        yield opened
    finally:
        opened.close()


def fleet(station: Station, carrier: str = "sim") -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.put("x", {"/main.py": APP})
    station.press("x", "reset")
    assert app_runs(station)
    station.write(
        "fleet.yaml",
        f"devices: {{x: {{port: '{station.port('x', carrier)}', board: esp32}}}}\n",
    )


def app_runs(station: Station) -> bool:
    with station.console("x") as port:
        return bool(port.read_until(b"app: up").endswith(b"app: up"))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_keys_unicode_and_a_paste_reach_the_board(station: Station, carrier: str) -> None:
    """And the app goes on when the prompt is left."""
    fleet(station, carrier)
    with screen(station, "repl", "x") as shown:
        shown.until('Type "help()" for more information.\r\n>>> ')
        shown.type("print('gr' + '\\xfcn' * 2)\r")
        shown.until("\r\ngrünün\r\n>>> ")
        # MicroPython's line editing takes ASCII alone, its paste mode takes all.
        lines = "".join(f"total = {n} # {'ü' * 30}\r" for n in range(40))
        shown.type(f"\x05{lines}print('to' + 'täl', total)\r\x04")
        shown.until("\r\ntotäl 39\r\n>>> ")
        shown.type("while True: print('ru' + 'ns')\r\r")
        shown.until("runs\r\n")
        shown.type("\x03")
        shown.until("KeyboardInterrupt")
        shown.until(">>> ")
        shown.type("half a li\x1d")
        shown.until("\r\nx: its app is started again\r\n")
        assert shown.end() == 0, shown.shown
    assert app_runs(station)


def test_what_was_started_at_the_prompt_goes_on(station: Station) -> None:
    fleet(station)
    with screen(station, "repl", "x") as shown:
        shown.until(">>> ")
        shown.type("import time\rwhile True: print('mi' + 'ne'); time.sleep(0.1)\r\r")
        shown.until("mine\r\n")
        shown.type("\x1d")
        assert shown.end() == 0, shown.shown
        assert "started again" not in shown.shown
    with station.console("x") as port:
        assert port.read_until(b"mine\r\nmine\r\n").endswith(b"mine\r\nmine\r\n")


def test_the_terminal_is_restored_whatever_ends_it(station: Station) -> None:
    fleet(station)
    with screen(station, "repl", "x") as shown:
        shown.until(">>> ")
        shown.process.send_signal(signal.SIGTERM)
        assert shown.end() == 130, shown.shown
    assert app_runs(station)
    with screen(station, "repl", "x") as shown:
        shown.until(">>> ")
        station.fault("x", "unplug")
        assert shown.end() == 5, shown.shown
        shown.until("x: unreachable")
    station.fault("x", "replug")


def test_another_board_gives_no_prompt(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write(
        "fleet.yaml",
        "devices: {x: {port: 'sim://x', board: esp32, mac: '24:6f:28:00:00:99'}}\n",
    )
    with screen(station, "repl", "x") as shown:
        assert shown.end() == 4
        shown.until("the board on this port is")
        assert ">>>" not in shown.shown
    ended = station.provision("repl", "x")
    assert ended.code == 2
    assert "a prompt needs a terminal" in ended.err


def test_a_secret_that_a_board_prints_at_its_prompt_is_masked(station: Station) -> None:
    fleet(station)
    station.write("secrets.yaml", "wifi: hunter2-hunter2\n")
    manifest = (station.work / "fleet.yaml").read_text("utf-8")
    station.write("fleet.yaml", manifest.replace("board:", "vars: {wifi: !secret wifi}, board:"))
    with screen(station, "repl", "x") as shown:
        shown.until(">>> ")
        shown.type("print('it is hunt' + 'er2-hun' + 'ter2.')\r")
        shown.until("\r\nit is ***.\r\n>>> ")
        shown.type("\x1d")
        assert shown.end() == 0, shown.shown
