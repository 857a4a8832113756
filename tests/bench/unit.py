"""A virtual board on the bench, and a tool run against it as a user runs it."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import serial

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.core.chips.registry import family_of
from provision.device.micropython.board_repl import BoardRepl
from provision.model.chip import Chip
from provision.sim import client
from provision.sim.esp.firmware import build

ROOT = Path(__file__).parents[2]
VERSION = "1.24.1"
PATIENCE = 60.0  # seconds
BRIDGE = 921_600  # the highest rate of every unit's USB bridge
SERVERS = {"": "", "own": ", by a serial server", "ser2net": ", by ser2net"}
BOARDS = {ESP32: "esp32", ESP8266: "esp8266"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is between host and board."""

    chip: Chip = ESP32
    baud: int = 115200  # of the board's console, where files travel
    latency: str = "1ms"
    timing: bool = False  # whether erasing and writing flash take a real chip's time
    raised: bool = False  # whether this project may raise the rate, over a bridge good to `BRIDGE`
    server: str = ""  # the serial server between, by RFC 2217: "own", or the real one, "ser2net"
    scale: float = 1.0  # modelled seconds in one of the machine's

    def __str__(self) -> str:
        timing = ", flash timing" if self.timing else ""
        raised = f" raised to {self.rate}" if self.raised else ""
        server = SERVERS[self.server]
        return f"{self.chip.label}, {self.baud} baud{raised}, {self.latency}{timing}{server}"

    @property
    def rate(self) -> int:
        """The highest that this project's files travel at."""
        if not self.raised:
            return self.baud
        registers = family_of(self.chip).rate_registers(self.chip)
        return min(BRIDGE, registers.highest) if registers is not None else self.baud


@dataclass(kw_only=True)
class Measured:
    """One run of one tool. `seconds` as the user waits, start of the interpreter included;
    `talking` from the first byte on the line to the last, in the line's own seconds; `cpu` of
    the tool's own process."""

    seconds: float
    talking: float
    cpu: float
    memory: int  # bytes, at most
    to_board: int
    from_board: int
    turnarounds: int
    output: str = field(repr=False)

    def then(self, other: Measured) -> Measured:
        """One after the other."""
        return Measured(
            seconds=self.seconds + other.seconds,
            talking=self.talking + other.talking,
            cpu=self.cpu + other.cpu,
            memory=max(self.memory, other.memory),
            to_board=self.to_board + other.to_board,
            from_board=self.from_board + other.from_board,
            turnarounds=self.turnarounds + other.turnarounds,
            output=self.output + other.output,
        )


class Failed(Exception):
    """A tool did not do what was asked; the message is what it printed."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    name: str
    work: Path
    line: Line
    served: str = ""  # the address at which a serial server offers it

    @property
    def own(self) -> str:
        """The board's port itself."""
        return f"sim://{self.name}"

    @property
    def address(self) -> str:
        """Where a tool finds it."""
        return self.served or self.own

    def run(self, *words: str) -> Measured:
        """`python -m provision …`, measured."""
        client.request(self.name, "measure")
        process_seconds, usage, output = spawn([*PROVISION, *words], self.work)
        wire = client.request(self.name, "measure")
        return Measured(
            seconds=process_seconds,
            talking=wire["seconds"] * self.line.scale,
            cpu=usage.ru_utime + usage.ru_stime,
            memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            to_board=wire["to_chip"],
            from_board=wire["to_host"],
            turnarounds=wire["turnarounds"],
            output=output,
        )

    def booted(self) -> Measured:
        """How long the board takes until it answers at its prompt, as nobody could wait better:
        asked over and over, for what a chip that boots is sent is lost."""
        began = time.monotonic()
        with serial.serial_for_url(self.own, baudrate=self.line.baud, timeout=0.1) as port:
            while time.monotonic() < began + PATIENCE:
                port.write(b"\r")
                if port.read_until(b">>> ").endswith(b">>> "):
                    break
            else:
                raise Failed(f"{self.name} does not come up")
        seconds = time.monotonic() - began
        return Measured(
            seconds=seconds,
            talking=seconds * self.line.scale,
            cpu=0.0,
            memory=0,
            to_board=0,
            from_board=0,
            turnarounds=0,
            output="",
        )

    def tool(self, *words: str) -> Measured:
        """An unmodified console script, given sim:// ports."""
        return self.run("sim", "exec", "--", *words)


PROVISION = [sys.executable, "-m", "provision"]


def spawn(command: Sequence[str], work: Path) -> tuple[float, resource.struct_rusage, str]:
    """Wall seconds, resources used and output of a command; Failed when it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "160"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users' interpreters keep what they compile
    log = work / "output.txt"
    began = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    output = log.read_text("utf-8", "replace")
    if process.returncode:
        raise Failed(f"{' '.join(command[2:])} ended with {process.returncode}:\n{output[-2000:]}")
    return seconds, usage, output


def image(work: Path, chip: Chip) -> Path:
    path = work / f"{chip}.bin"
    if not path.exists():
        path.write_bytes(build(chip, VERSION))
    return path


@contextmanager
def unit(work: Path, name: str, line: Line, *, blank: bool = False) -> Iterator[Unit]:
    """A board that is up: at its prompt, or `blank`."""
    settings = {
        "chip": str(line.chip),
        "wire": "on",
        "latency": line.latency,
        "console": str(line.baud),
        "bridge": str(BRIDGE),
        "timing": "on" if line.timing else "off",
        "scale": f"{line.scale:g}",
    }
    if not blank:
        settings["firmware"] = str(image(work, line.chip))
    client.ensure(name, settings)
    try:
        if not blank:
            with serial.serial_for_url(f"sim://{name}", baudrate=line.baud, timeout=1) as port:
                port.dtr = False
                port.rts = True
                port.reset_input_buffer()
                port.rts = False
                if not BoardRepl(port).await_prompt(30):
                    raise Failed(f"{name} does not come up")
        with server(work, name, line.server) as served:
            yield Unit(name=name, work=work, line=line, served=served)
    finally:
        client.stop(name)


@contextmanager
def server(work: Path, name: str, kind: str) -> Iterator[str]:
    """Where a serial server of a kind of `SERVERS` offers a board, "" without one. Failed tells
    what is missing."""
    if kind != "ser2net":
        yield str(client.request(name, "rfc2217")["rfc2217"]) if kind else ""
        return
    program = shutil.which("ser2net", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Failed("ser2net is not installed: apt-get install ser2net")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # A pseudo-terminal has no modem lines: so the board's own RFC 2217 is its serial device.
    behind = urlsplit(str(client.request(name, "rfc2217")["rfc2217"]))
    config = work / "ser2net.yaml"
    config.write_text(
        f"connection: &{name}\n  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n"
        f"  connector: telnet(rfc2217),tcp,{behind.hostname},{behind.port}\n"
    )
    process = subprocess.Popen(
        [program, "-n", "-u", "-c", str(config), "-P", str(work / "ser2net.pid")],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # where it complains of mDNS
    )
    try:
        _await_listener(process, port)
        yield f"rfc2217://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _await_listener(process: subprocess.Popen[bytes], port: int) -> None:
    """ser2net tells nobody when it listens, so its socket is looked for in the system's own list
    (Linux): to connect would open the board's port."""
    listening = f":{port:04X} 00000000:0000 0A "
    end = time.monotonic() + PATIENCE
    while listening not in Path("/proc/net/tcp").read_text():
        if process.poll() is not None or time.monotonic() > end:
            raise Failed("ser2net does not listen")
        time.sleep(0.02)  # no event tells that it does
