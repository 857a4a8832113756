"""A station for end-to-end tests: virtual boards, a project folder, and `provision` run in it.

The command line is a process of its own, as a user runs it; boards are looked at past every
protocol of ours, in the file that is their flash. A test gets a `Station` from the fixture
`station`, which ends every process that the test left behind.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pty
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import serial
import yaml

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.esp.image import BOOT_OFFSETS
from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip
from provision.sim import client
from tests.filesystems import read_filesystem
from tests.sim.bench import release

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds after which a test gives up on a process: far beyond what it takes
FILESYSTEMS = {  # where MicroPython has it, on the flash that boards are sold with
    **dict.fromkeys(CHIPS, (0x200000, 2 << 20)),
    ESP8266: (0x100000, (4 << 20) - 0x100000 - 20480),
    RP2040: (640 << 10, 1408 << 10),
    RP2350: (1 << 20, 3 << 20),
}

CARRIERS = ("sim", "pty", "rfc2217")

Event = dict[str, Any]


def label(action: Mapping[str, Any]) -> str:
    """An action in one short text: `write-file /main.py`, `write-firmware 1.24.1`, `reset`."""
    what = action.get("path") or action.get("identity", {}).get("version", "")
    return f"{action['kind']} {what}".strip()


@dataclass(frozen=True)
class Ended:
    """A run that is over. `events` is empty unless it was asked for `--json`."""

    code: int
    out: str
    err: str

    @cached_property
    def events(self) -> list[Event]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def said(self) -> str:
        return self.out + self.err

    def of(self, kind: str, device: str | None = None) -> list[Event]:
        """The events of one kind, of one device or of all."""
        return [
            event
            for event in self.events
            if event["kind"] == kind and device in (None, event.get("device"))
        ]

    def planned(self, device: str) -> list[str]:
        (event,) = self.of("device-planned", device)
        return [label(action) for action in event["plan"]["actions"]]

    def done(self, device: str) -> list[str]:
        return [label(event["action"]) for event in self.of("action-done", device)]

    @property
    def all_done(self) -> dict[str, list[str]]:
        """What was done on each device that anything was done on."""
        devices = sorted({event["device"] for event in self.of("action-done")})
        return {device: self.done(device) for device in devices}

    def finished(self, device: str) -> Event:
        (event,) = self.of("device-finished", device)
        return event

    @property
    def outcomes(self) -> dict[str, str]:
        (event,) = self.of("run-finished")
        return dict(event["outcomes"])


class Run:
    """A run that goes on: what it says is read as it comes, and can be waited for.

    With `terminal`, its standard input and error are a terminal, and `answer` types there.
    """

    def __init__(
        self, command: list[str], *, terminal: bool, cwd: Path, environment: dict[str, str]
    ) -> None:
        self._said = {"out": bytearray(), "err": bytearray()}
        self._changed = threading.Condition()
        self._master: int | None = None
        stdin: int = subprocess.DEVNULL
        stderr: int = subprocess.PIPE
        if terminal:
            self._master, slave = pty.openpty()
            stdin = stderr = slave
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            cwd=cwd,
            env=environment,
        )
        if terminal:
            os.close(slave)
        assert self.process.stdout is not None
        sources = {"out": self.process.stdout.fileno(), "err": self._master}
        if self.process.stderr is not None:
            sources["err"] = self.process.stderr.fileno()
        self._readers = [
            threading.Thread(target=self._drain, args=(name, source), daemon=True)
            for name, source in sources.items()
        ]
        for reader in self._readers:
            reader.start()

    def _drain(self, name: str, source: int) -> None:
        while True:
            try:
                data = os.read(source, 65536)
            except OSError:  # a terminal whose other side is closed
                data = b""
            with self._changed:
                self._said[name] += data
                self._changed.notify_all()
            if not data:
                return

    @property
    def out(self) -> str:
        return self._said["out"].decode()

    @property
    def err(self) -> str:
        return self._said["err"].decode()

    @property
    def events(self) -> list[Event]:
        whole = bytes(self._said["out"]).rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def until(self, ready: Callable[[Run], bool]) -> None:
        """Wait for something to be said; AssertionError when the run ends without it."""
        with self._changed:
            came = self._changed.wait_for(
                lambda: ready(self) or not any(map(threading.Thread.is_alive, self._readers)),
                PATIENCE,
            )
            assert came, f"in vain after {PATIENCE} s:\n{self.out}\n{self.err}"
            assert ready(self), f"the run ended before:\n{self.out}\n{self.err}"

    def until_event(self, kind: str, **values: object) -> Event:
        """Wait for an event with these values, and return the first."""

        def matching(run: Run) -> list[Event]:
            return [
                event
                for event in run.events
                if event["kind"] == kind
                and all(event.get(key) == value for key, value in values.items())
            ]

        self.until(lambda run: bool(matching(run)))
        return matching(self)[0]

    def answer(self, text: str) -> None:
        assert self._master is not None
        os.write(self._master, text.encode())

    def hang_up(self) -> None:
        """Close the terminal; what its programs write there from now on fails."""
        assert self._master is not None
        os.close(self._master)
        self._master = None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, patience: float = PATIENCE) -> Ended:
        """Wait for its end."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.out}\n{self.err}") from None
        for reader in self._readers:
            reader.join(PATIENCE)
        self._close()
        return Ended(code, self.out, self.err)

    def kill(self) -> None:
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join(PATIENCE)
        self._close()

    def _close(self) -> None:
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        if self._master is not None:
            os.close(self._master)
            self._master = None


@cache
def _image(chip: Chip, version: str, size: int | None, flash_size: int | None) -> bytes:
    return release(chip, version, size=size, flash_size=flash_size)


@dataclass
class Station:
    """`work` is the project folder and the working directory of every command."""

    home: Path
    work: Path
    runs: list[Run] = field(default_factory=list)

    # -- the project ------------------------------------------------------------------------

    def write(self, path: str, content: str | bytes) -> Path:
        """A file of the project; texts are dedented."""
        target = self.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = textwrap.dedent(content).lstrip("\n").encode()
        target.write_bytes(content)
        return target

    def firmware(
        self,
        chip: Chip,
        version: str = "1.24.1",
        *,
        size: int | None = None,
        flash_size: int | None = None,
    ) -> str:
        """An image for virtual boards; its path relative to the project."""
        name = f"firmware/{chip}-{version}-{size}-{flash_size}.bin"
        if not (self.work / name).exists():
            self.write(name, _image(chip, version, size, flash_size))
        return name

    @property
    def lock(self) -> dict[str, str]:
        """The MACs that fleet.lock holds."""
        path = self.work / "fleet.lock"
        if not path.exists():
            return {}
        devices = yaml.safe_load(path.read_text(encoding="utf-8")).get("devices", {})
        return {name: entry["mac"] for name, entry in devices.items()}

    # -- boards -----------------------------------------------------------------------------

    def board(
        self, name: str, chip: Chip = ESP32, firmware: str | None = None, **settings: str
    ) -> str:
        """Plug in a virtual board, with an image (a path in the project) in its flash or blank;
        its MAC."""
        query = {"chip": str(chip), **settings}
        if firmware is not None:
            query["firmware"] = str(self.work / firmware)
        mac: str = client.ensure(name, query)["mac"]
        if firmware is not None and settings.get("wire", "off") == "off":
            self._await_prompt(
                name
            )  # its first boot is over: nothing writes to its flash by itself
        return mac

    def _await_prompt(self, name: str) -> None:
        """Without Ctrl-C, which would cut the first boot of an old MicroPython short."""
        deadline = time.monotonic() + PATIENCE
        with self.console(name) as port:
            port.timeout = 0.2
            while not port.read_until(b">>> ").endswith(b">>> "):
                assert time.monotonic() < deadline
                port.write(b"\r")

    def port(self, name: str, carrier: str) -> str:
        """Where a board is reached over one of CARRIERS."""
        if carrier == "sim":
            return f"sim://{name}"
        where: str = self.order(name, carrier)[carrier]
        return where

    def order(self, name: str, do: str, /, **arguments: object) -> dict[str, Any]:
        return client.request(name, do, **arguments)

    def fault(self, name: str, fault: str, **arguments: object) -> None:
        client.request(name, "fault", fault=fault, arguments=arguments)

    def press(self, name: str, *buttons: str) -> None:
        client.request(name, "press", buttons=list(buttons))

    def flash_file(self, name: str) -> Path:
        return self.home / name / "flash.bin"

    def flash(self, name: str) -> bytes:
        """What is in the flash of a board, read past every protocol."""
        return self.flash_file(name).read_bytes()

    def digest(self, name: str) -> str:
        return hashlib.sha256(self.flash(name)).hexdigest()

    def files(self, name: str, chip: Chip = ESP32) -> dict[str, bytes]:
        """The files in a board's flash, read with littlefs-python. The board may run."""
        start, size = FILESYSTEMS[chip]
        return read_filesystem(self.flash(name)[start : start + size])

    @contextmanager
    def console(self, name: str) -> Iterator[serial.SerialBase]:
        """The board's port, as a terminal program opens it: a chip's own USB once it is there."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                port = serial.serial_for_url(f"sim://{name}", baudrate=115200, timeout=PATIENCE)
                break
            except serial.SerialException as error:
                if error.errno != errno.ENOENT or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)  # no event tells of a port that comes
        try:
            yield port
        finally:
            port.close()

    def type(self, name: str, *lines: str) -> str:
        """Type lines at a board's prompt, as in a terminal program; what the last one answers.

        An app that runs is interrupted first.
        """
        with self.console(name) as port:
            self._take_prompt(port)
            heard = b">>> "
            for line in lines:
                # A prompt that was printed before is followed by no echo of this mark.
                mark = f"#{len(line)}#"
                port.write(f"{line}{mark}\r".encode())
                heard = port.read_until(f"{mark}\r\n".encode())
                heard = port.read_until(b">>> ")
                assert heard.endswith(b">>> "), heard
            return heard[:-4].decode().strip()

    def _take_prompt(self, port: serial.SerialBase) -> None:
        """Ask until it answers: a chip that boots loses what it is sent, and says no "ready"."""
        deadline = time.monotonic() + PATIENCE
        port.timeout = 1.0
        heard = b""
        # A Ctrl-C amid the first script of a firmware before 1.21 leaves its flash unmounted.
        interrupt = b""
        while not heard.endswith(b">>> "):
            assert time.monotonic() < deadline, heard
            port.write(b"\r" + interrupt + b"#0#\r")
            interrupt = b"\x03\x03"
            port.read_until(b"#0#\r\n")
            heard = port.read_until(b">>> ")
        port.timeout = PATIENCE

    def put(self, name: str, files: Mapping[str, str]) -> None:
        """Files as a board's owner writes them, past the tool; their directories exist."""
        self.type(
            name,
            *(
                f"f = open({path!r}, 'w'); f.write({text!r}); f.close()"
                for path, text in files.items()
            ),
        )

    # -- the tool ---------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}

    def start(
        self,
        *words: str,
        terminal: bool = False,
        wrapper: str | None = None,
    ) -> Run:
        """Start `provision` with these words, to be watched and disturbed. `wrapper` is Python
        code that runs the interpreter again with its arguments."""
        wrapped = ["-c", wrapper] if wrapper is not None else []
        run = Run(
            [sys.executable, *wrapped, "-m", "provision", *words],
            terminal=terminal,
            cwd=self.work,
            environment=self.environment,
        )
        self.runs.append(run)
        return run

    def provision(self, *words: str, **options: Any) -> Ended:
        """Run `provision` to its end, with no terminal."""
        return self.start(*words, **options).end()

    def apply(self, *words: str, code: int = 0, **options: Any) -> Ended:
        """`provision apply --json`, which must end with `code`."""
        ended = self.provision("apply", "--json", *words, **options)
        assert ended.code == code, ended.said
        return ended

    def plan(self, *words: str, code: int = 0) -> Ended:
        ended = self.provision("plan", "--json", *words)
        assert ended.code == code, ended.said
        return ended

    def close(self) -> None:
        for run in self.runs:
            run.kill()
        if self.home.is_dir():
            for entry in self.home.iterdir():
                with suppress(client.NoSuchBoard):
                    client.stop(entry.name)


def app_at(flash: bytes, chip: Chip) -> bytes:
    """The image header that a board's boot ROM reads: magic, segments, mode, size and speed."""
    return flash[BOOT_OFFSETS[chip] : BOOT_OFFSETS[chip] + 8]
