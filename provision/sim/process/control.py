"""Requests to a running board: what a person does by hand, and faults that nobody wants on a real
one.

A request is a JSON object whose `do` names it; the answer is a JSON object too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from provision.errors import SimulatorError
from provision.sim.chip.board import Board
from provision.sim.chip.parts import Mode
from provision.sim.client import BoardTaken, NoSuchBoard
from provision.sim.event_loop import EventLoop
from provision.sim.line.reset import Button
from provision.sim.process import faults
from provision.sim.setup import BoardSetup

if TYPE_CHECKING:
    from provision.sim.process.pseudo_terminal import Terminal
    from provision.sim.process.rfc2217_server import Server


class RunningBoard(Protocol):
    """What requests are carried out on: `BoardProcess`."""

    @property
    def name(self) -> str: ...
    @property
    def setup(self) -> BoardSetup: ...
    @property
    def board(self) -> Board: ...
    @property
    def loop(self) -> EventLoop: ...

    def rename(self, name: str) -> None:
        """Be found under another name from now on."""
        ...

    def notice_hang_ups(self) -> None:
        """See which hosts have closed the port already."""
        ...

    def stop(self) -> None:
        """End, once the request that runs now is answered."""
        ...


_WITHOUT_PORT = {
    Mode.DOWNLOAD: "as it is in BOOTSEL",
    Mode.RUN: "as its program has not come so far, or hangs",
    Mode.SLEEP: "as it is asleep",
    Mode.RESET: "as it is held in reset",
}


class Control:
    """Carries out the requests to one board."""

    def __init__(self, process: RunningBoard) -> None:
        self._process = process
        self._board = process.board
        self._terminal: Terminal | None = None
        self._server: Server | None = None
        self._started = time.monotonic()
        self._board.on_port = self._port_changed
        self._requests: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "may-open": self._may_open,
            "status": self._status,
            "measure": self._measure,
            "press": self._press,
            "power": self._power,
            "unplug": self._unplug,
            "replug": self._replug,
            "pty": self._pty,
            "rfc2217": self._rfc2217,
            "fault": self._fault,
            "stop": self._stop,
        }

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        run = self._requests.get(str(request.get("do")))
        if run is None:
            raise SimulatorError(
                f"unknown request to a virtual board: {request.get('do')!r}",
                hint="valid are " + ", ".join(sorted(self._requests)),
            )
        return run(request)

    def close(self) -> None:
        if self._terminal:
            self._terminal.close()
            self._terminal = None
        if self._server:
            self._server.close()
            self._server = None

    def _may_open(self, request: dict[str, Any]) -> dict[str, Any]:
        name = self._process.name
        self._process.setup.refuse(request.get("query", {}))
        if not self._board.plugged:
            raise NoSuchBoard(
                f"no such file or directory: the virtual board {name!r} is unplugged",
                hint=f"plug it in: `provision sim fault {name} replug`",
            )
        if not self._board.present:
            raise NoSuchBoard(
                f"no such file or directory: the virtual board {name!r} shows no serial port, "
                + _WITHOUT_PORT.get(self._board.mode, "as it is off"),
                hint=f"start it anew: `provision sim press {name} reset`"
                if self._board.volume is None
                else f"copy a UF2 file to {self._board.volume}",
            )
        if self._board.taken:
            self._process.notice_hang_ups()
        if self._board.taken:
            raise BoardTaken(
                "Resource temporarily unavailable", hint="close the other program that uses it"
            )
        return {"native_usb": self._board.native_usb}

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        setup = self._board.setup
        setup.refuse(request.get("query", {}))
        return {
            "name": self._process.name,
            "pid": os.getpid(),
            "chip": str(setup.chip),
            "flash": setup.flash_size,
            "mac": setup.mac,
            "serial": setup.serial if self._board.native_usb else None,
            "download_serial": self._board.download_serial,
            "volume": str(self._board.volume) if self._board.volume else None,
            "present": self._board.present,
            "wiring": setup.wiring.value,
            "directory": str(setup.directory),
            "mode": self._board.mode.value,
            "stub": self._board.stub,
            "taken": self._board.taken,
            "plugged": self._board.plugged,
            "boots": self._board.boots,
            "bytes": self._board.noise.passed,
            "overruns": self._board.overruns,
            "wire": asdict(self._board.wire_statistics),
            "pressed": sorted(button.value for button in self._board.circuit.pressed),
            "pty": str(self._terminal.link) if self._terminal else None,
            "rfc2217": self._server.url if self._server else None,
            "problem": self._board.problem,
            "seconds": time.monotonic() - self._started,
        }

    def _measure(self, request: dict[str, Any]) -> dict[str, Any]:
        return asdict(self._board.measure())

    def _press(self, request: dict[str, Any]) -> dict[str, Any]:
        """`buttons` in the order in which they go down; `hold` or `release` do half of it."""
        buttons = [_button(value) for value in request["buttons"]]
        if not request.get("release"):
            self._board.press(*buttons)
        if not request.get("hold"):
            self._board.release(*reversed(buttons))
        return {}

    def _power(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["on"]:
            self._board.power_on()
        else:
            self._board.power_off()
        return {}

    def _unplug(self, request: dict[str, Any]) -> dict[str, Any]:
        self._board.unplug()
        return {}

    def _replug(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._plug_in(request.get("name"))

    def _plug_in(self, name: str | None) -> dict[str, Any]:
        if name and name != self._process.name:
            self._process.rename(name)
        self._board.replug()
        self._port_changed(self._board.present)
        return {"name": self._process.name}

    def _port_changed(self, there: bool) -> None:
        """A device file goes with its port; another comes by the same name."""
        if self._terminal:
            self._terminal.close()
            if there:
                self._terminal = self._make_terminal(self._terminal.link)

    def _pty(self, request: dict[str, Any]) -> dict[str, Any]:
        link = Path(request.get("link") or self._process.setup.directory / "tty")
        if self._terminal and self._terminal.link != link:
            self._terminal.close()
            self._terminal = None
        if self._terminal is None:
            self._terminal = self._make_terminal(link)
            if not self._board.present:
                self._terminal.close()  # until the port is there
        return {"pty": str(link)}

    def _make_terminal(self, link: Path) -> Terminal:
        from provision.sim.process.pseudo_terminal import Terminal

        return Terminal(board=self._board, loop=self._process.loop, link=link)

    def _rfc2217(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._server is None:
            # pyserial is loaded only by boards that need it.
            from provision.sim.process.rfc2217_server import Server

            try:
                self._server = Server(
                    board=self._board, loop=self._process.loop, port=int(request.get("port") or 0)
                )
            except OSError as error:
                raise SimulatorError(
                    f"cannot listen on port {request.get('port')}: {error.strerror}",
                    hint="choose another port number, or 0 for a free one",
                ) from error
        return {"rfc2217": self._server.url}

    def _fault(self, request: dict[str, Any]) -> dict[str, Any]:
        target = faults.FaultTarget(
            board=self._board, loop=self._process.loop, replug=self._plug_in
        )
        return faults.inject(target, str(request["fault"]), request.get("arguments", {}))

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        self._process.stop()
        return {"pid": os.getpid()}


def _button(value: str) -> Button:
    try:
        return Button(value)
    except ValueError:
        raise SimulatorError(
            f"a board has no button {value!r}", hint="the buttons are boot and reset"
        ) from None
