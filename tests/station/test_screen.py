"""The full screen of a station, as it is drawn on a terminal of a given size."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from provision.station.machine import Counts, SeenPort, SocketState, Verdict
from provision.station.screen import Screen, large

PORT = SeenPort(path="/dev/ttyUSB0")
PASS = Verdict(passed=True, seconds=12.34, number="1000", name="PV-1000", mac="aa")
FAIL = Verdict(
    passed=False, seconds=3.0, number="1001", name="PV-1001", mac="bb",
    reason="nothing\x1b[2J answers", advice="check the cable",
)  # fmt: skip


class Terminal:
    """A screen, and what it draws."""

    def __init__(self, width: int = 120, height: int = 40, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        stream = io.TextIOWrapper(self.bytes, encoding=encoding, write_through=True)
        self.console = Console(
            file=stream, width=width, height=height, force_terminal=True, color_system="standard"
        )
        self.screen = Screen(
            stream,
            "pv, station bench",
            sockets=["left", "right", "third", "fourth"],
            console=self.console,
        )

    def drawn(self, *, colours: bool = False) -> str:
        with self.console.capture() as captured:
            self.console.print(self.screen.render())
        text = captured.get()
        if colours:
            return text
        plain = Console(file=io.StringIO(), width=self.console.width, height=self.console.height)
        with plain.capture() as captured:
            plain.print(self.screen.render())
        return captured.get()


def show(terminal: Terminal) -> None:
    screen = terminal.screen
    screen.changed("left", SocketState(phase="passed", port=PORT, verdict=PASS), Counts())
    counts = Counts(passed=1, failed=1, seconds=12.34)
    screen.changed("right", SocketState(phase="failed", port=PORT, verdict=FAIL), counts)
    screen.changed("third", SocketState(phase="working", port=PORT, number="1002"), counts)
    screen.progress("third", "flash", 0.5)


def test_pass_and_fail_are_told_by_colour_word_and_symbol() -> None:
    terminal = Terminal()
    show(terminal)
    text = terminal.drawn()
    for line in large("PASS").splitlines() + large("FAIL").splitlines():
        assert line in text
    for said in ("✔", "✘", "PV-1000", "12.3 s", "take it away", "nothing answers",
                 "check the cable",
                 "1002", "flash", "leave it in", "plug a board in",
                 "1 passed, 1 failed, yield 50 %, 12.3 s a unit"):  # fmt: skip
        assert said in text
    coloured = terminal.drawn(colours=True)
    assert "\x1b[1;30;42m" in coloured  # black on green
    assert "\x1b[1;37;41m" in coloured  # white on red
    assert "\x1b[2J" not in coloured
    terminal.screen.close()
    assert terminal.bytes.getvalue().count(b"\x07") == 2


@pytest.mark.parametrize(("width", "height"), [(40, 16), (80, 24), (200, 60), (20, 5)])
def test_it_fits_whatever_the_terminal(width: int, height: int) -> None:
    terminal = Terminal(width, height)
    show(terminal)
    lines = terminal.drawn().splitlines()
    assert max(map(len, lines)) <= width
    if width >= 40:
        assert any("PASS" in line or large("PASS").splitlines()[0] in line for line in lines)
    terminal.screen.close()


def test_a_terminal_without_these_characters() -> None:
    terminal = Terminal(encoding="ascii")
    show(terminal)
    text = terminal.drawn()
    assert "+ PASS +" in text
    assert "! FAIL !" in text
    terminal.screen.close()
    terminal.bytes.getvalue().decode("ascii")


def test_the_terminal_is_given_back_with_what_was_said() -> None:
    terminal = Terminal()
    terminal.screen.said("1000 was in work\x1b[2J")
    terminal.screen.changed("left", SocketState(verdict=FAIL), Counts(failed=1))
    assert "last: FAIL PV-1001: nothing answers" in terminal.drawn()
    terminal.screen.close()
    end = terminal.bytes.getvalue().decode().rpartition("\x1b[?1049l")[2]
    assert "1000 was in work\n" in end


@pytest.mark.parametrize("height", [40, 20])
def test_what_to_do_is_seen_however_long_the_reason(height: int) -> None:
    terminal = Terminal(height=height)
    verdict = Verdict(passed=False, seconds=1, reason="why " * 200, advice="press RESET " * 50)
    terminal.screen.changed("left", SocketState(phase="failed", verdict=verdict), Counts())
    assert "→ press RESET" in terminal.drawn()
    terminal.screen.close()
