"""The task `repl`: a prompt of the right board alone, and the terminal given back."""

from __future__ import annotations

from dataclasses import dataclass, field

from provision.core.chips.esp.chips import ESP8266
from provision.engine.tasks.repl import ReplTask
from provision.errors import PortLost
from tests.engine.test_fleet_run import device, go, outcomes, running
from tests.fakes.world import FakeWorld


@dataclass
class FakeTerminal:
    log: list[str] = field(default_factory=list)

    def open(self) -> None:
        self.log.append("open")

    def close(self) -> None:
        self.log.append("close")

    def wait(self, seconds: float, descriptor: int | None) -> bool:
        return False

    def typed(self) -> bytes | None:
        return b""

    def show(self, data: bytes) -> None: ...


def test_the_right_board_gives_its_prompt() -> None:
    board, terminal = running(), FakeTerminal()
    report = go(FakeWorld({"/dev/kitchen": board}), device(), task=ReplTask(terminal=terminal))
    assert outcomes(report) == {"kitchen": "ok"}
    assert terminal.log == ["open", "close"]
    assert "interact" in board.log


def test_the_terminal_is_given_back_where_the_board_is_lost() -> None:
    board, terminal = running(), FakeTerminal()
    board.failures = [PortLost("the cable is out")]
    report = go(FakeWorld({"/dev/kitchen": board}), device(), task=ReplTask(terminal=terminal))
    assert outcomes(report) == {"kitchen": "unreachable"}
    assert terminal.log == ["open", "close"]


def test_another_board_gives_none() -> None:
    for board in (running(mac="24:6f:28:00:00:99"), running(chip=ESP8266)):
        terminal = FakeTerminal()
        state = device(mac="24:6f:28:00:00:77")
        report = go(FakeWorld({"/dev/kitchen": board}), state, task=ReplTask(terminal=terminal))
        assert outcomes(report) == {"kitchen": "refused"}
        assert terminal.log == []
