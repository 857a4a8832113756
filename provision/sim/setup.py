"""The settings of a virtual board: parsed from its `sim://` address, kept in its directory.

All of `provision/sim` uses one immutable `BoardSetup`. The few types that the parts of a board
exchange (why it was reset, what its application asks for) are here too.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

from provision.core.chips.esp.chips import (
    ESP32,
    ESP32C2,
    ESP32C3,
    ESP32C5,
    ESP32C6,
    ESP32C61,
    ESP32H2,
    ESP32P4,
    ESP32S2,
    ESP32S3,
    ESP8266,
)
from provision.core.chips.registry import CHIPS, chip_named
from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.errors import SimulatorError
from provision.model.board import ResetWiring
from provision.model.chip import Chip
from provision.model.language import record

_E = TypeVar("_E", bound=Enum)

SCHEME = "sim"
CONSOLE_BAUD = 115200
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SIZE = re.compile(r"(\d+)\s*(|k|kb|m|mb)", re.IGNORECASE)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s)")
_UNITS = {"": 1, "k": 1024, "kb": 1024, "m": 1 << 20, "mb": 1 << 20}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

# Chips with a USB-Serial-JTAG port.
_USB_JTAG = {ESP32S3, ESP32C3, ESP32C5, ESP32C6, ESP32C61, ESP32H2, ESP32P4}
_NO_LINES = {RP2040, RP2350}  # whose port has none that reach the chip
_FLASH = {RP2040: "2MB"}  # what a board is sold with; others with 4 MB

# Addresses of blocks that Espressif owns, one a chip, so that a glance tells the chip.
_OUI = {
    ESP8266: "5ccf7f",
    ESP32: "246f28",
    ESP32S2: "7cdfa1",
    ESP32S3: "348518",
    ESP32C2: "08a6f7",
    ESP32C3: "84f703",
    ESP32C5: "d0cf13",
    ESP32C6: "543204",
    ESP32C61: "30eda0",
    ESP32H2: "744dbd",
    ESP32P4: "6055f9",
    RP2040: "28cdc1",
    RP2350: "28cdc1",
}
_LOCAL = "020000"  # locally administered: for a chip that is not listed


class ResetCause(str, Enum):
    """Why the chip starts."""

    POWER_ON = "power-on"
    EXTERNAL = "external"  # EN went low and high again
    SOFTWARE = "software"  # machine.reset()
    WATCHDOG = "watchdog"
    DEEPSLEEP = "deepsleep"  # woke from it


class ResetKind(str, Enum):
    """What an application can ask of the chip."""

    RESET = "reset"
    BOOTLOADER = "bootloader"
    DEEPSLEEP = "deepsleep"
    WATCHDOG = "watchdog"
    RAM = "ram"  # into a program that was loaded there


@record
class ResetRequest:
    """The program that runs on the chip ends; `seconds` until deep sleep does, None for never."""

    kind: ResetKind
    seconds: float | None = None


class Send(Protocol):
    """Hands bytes to the chip's UART (or USB), which sends them at `baud`, 115200 if None."""

    def __call__(self, data: bytes, *, baud: int | None = None) -> None: ...


@record
class WireModel:
    """The line between host and chip. All off: bytes arrive at once and none are lost.

    `paced`: a byte takes ten bit times of the baud in use, or of `ceiling` where that is lower.
    `bridge`: the highest rate that a USB bridge can be set to: told to go faster, it stays there.
    `latency`: seconds that it holds bytes back from the host. `ring`: bytes that the
    chip's receive ring takes before it drops what the application has not read; None for no
    limit. Two sides at different baud rates exchange garbage in any case.
    """

    paced: bool = False
    ceiling: int | None = None
    bridge: int | None = None
    latency: float = 0.0
    ring: int | None = None


@record
class BoardSetup:
    """One virtual board. Sizes in bytes.

    `serial`: the unique id of its flash chip (an RP2350's own), 16 hexadecimal digits.
    `timing`: how many times as long as on a usual chip erasing and writing flash take; 0 is no time
    at all. `scale`: every modelled delay is divided by it. `psram` and `heap` bound the
    application's memory; None is the chip's own. `revision` is an ESP32-P4's (major * 100 + minor),
    None a usual one. `firmware`: an image the flash held when the board was made. `directory` is
    where the board keeps its state.
    """

    name: str
    chip: Chip
    flash_size: int
    mac: str
    directory: Path
    serial: str = ""
    wiring: ResetWiring = ResetWiring.AUTO
    wire: WireModel = WireModel()
    timing: float = 0.0
    scale: float = 1.0
    psram: int = 0
    heap: int | None = None
    console: int = CONSOLE_BAUD  # of the application's REPL: a firmware is built for one
    firmware: str | None = None
    revision: int | None = None

    @property
    def mac_bytes(self) -> bytes:
        return bytes.fromhex(self.mac.replace(":", ""))

    @property
    def flash_path(self) -> Path:
        return self.directory / "flash.bin"

    def at(self, directory: Path) -> BoardSetup:
        return replace(self, directory=directory)

    def to_json(self) -> str:
        """The settings as the query of an address would give them, without name and place."""
        return json.dumps(_to_query(self), indent=1, sort_keys=True)

    @classmethod
    def from_query(cls, name: str, query: dict[str, str], directory: Path) -> BoardSetup:
        """SimulatorError names the setting that cannot be."""
        return _from_query(name, query, directory)

    def refuse(self, query: dict[str, str]) -> None:
        """SimulatorError if another opening's query wants another board than this."""
        differences = self.contradictions(query)
        if differences:
            raise SimulatorError(
                f"the virtual board {self.name!r} already exists with other settings: "
                + "; ".join(differences),
                hint="leave those settings out, or remove the board first: "
                f"`provision sim rm {self.name}`",
            )

    def contradictions(self, query: dict[str, str]) -> list[str]:
        """What another opening's query wants different, one readable clause a setting."""
        mine = _to_query(self)
        wanted = _to_query(_from_query(self.name, {**mine, **query}, self.directory))
        return [
            f"{key} is {mine.get(key, 'unset')}, not {wanted[key]}"
            for key in sorted(query)
            if wanted.get(key) != mine.get(key)
        ]


def parse_address(address: str) -> tuple[str, dict[str, str]]:
    """Take `sim://NAME?key=value&…` apart; SimulatorError when it is no such address."""
    parts = urlsplit(address)
    name = parts.netloc + parts.path.rstrip("/")
    if parts.scheme != SCHEME or not NAME.fullmatch(name):
        raise SimulatorError(
            f"{address!r} is not the address of a virtual board",
            hint="write sim://NAME; a name has letters, digits, '.', '_' and '-'",
        )
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = dict(pairs)
    if len(query) != len(pairs):
        raise SimulatorError(f"{address!r} sets the same key twice", hint="keep one of the two")
    return name, query


def address_fault(address: str) -> str | None:
    """What is wrong with an address whoever the board behind it is; None for nothing. What it
    leaves out may be what the board was made with."""
    try:
        name, query = parse_address(address)
        known = query if "chip" in query else {k: v for k, v in query.items() if k != "wiring"}
        _from_query(name, known, Path())
    except SimulatorError as error:
        return f"{error.message}; {error.hint}"
    return None


def _from_query(name: str, query: dict[str, str], directory: Path) -> BoardSetup:
    unknown = sorted(set(query) - _KEYS)
    if unknown:
        raise SimulatorError(
            f"sim://{name}: unknown setting {unknown[0]!r}",
            hint="valid settings are " + ", ".join(sorted(_KEYS)),
        )
    chip = _chip(name, query.get("chip", "esp32"))
    wiring = _wiring(name, chip, query.get("wiring"))
    wire = query.get("wire", "off")
    ceiling = int(wire) if wire.isdigit() else None
    if wire not in {"on", "off"} and not ceiling:
        raise _bad(name, "wire", wire, "on, off or a baud rate")
    flash_size = _size(name, "flash", query.get("flash", _FLASH.get(chip, "4MB")))
    if flash_size not in {1 << power for power in range(19, 26)}:
        raise _bad(name, "flash", query["flash"], "512KB, 1MB, 2MB, 4MB, 8MB, 16MB or 32MB")
    ring = query.get("ring", "")
    heap = query.get("heap", "")
    console = _rate(name, "console", query.get("console", str(CONSOLE_BAUD)))
    bridge = query.get("bridge", "")
    scale = query.get("scale", "1")
    if not re.fullmatch(r"\d+(\.\d+)?", scale) or float(scale) <= 0:
        raise _bad(name, "scale", scale, "a number above 0")
    return BoardSetup(
        name=name,
        chip=chip,
        flash_size=flash_size,
        mac=_mac(name, chip, query.get("mac")),
        directory=directory,
        serial=_serial(name, query.get("serial")),
        wiring=wiring,
        wire=WireModel(
            paced=wire != "off",
            ceiling=ceiling,
            bridge=_rate(name, "bridge", bridge) if bridge else None,
            latency=_seconds(name, "latency", query.get("latency", "0s")),
            ring=_size(name, "ring", ring) if ring else None,
        ),
        timing=_slowness(name, "timing", query.get("timing", "off")),
        scale=float(scale),
        psram=_size(name, "psram", query.get("psram", "0")),
        heap=_size(name, "heap", heap) if heap else None,
        console=console,
        firmware=query.get("firmware") or None,
        revision=_revision(name, chip, query.get("revision", "")),
    )


def _to_query(setup: BoardSetup) -> dict[str, str]:
    wire = setup.wire
    return {
        "chip": str(setup.chip),
        "flash": str(setup.flash_size),
        "mac": setup.mac,
        "serial": setup.serial,
        "wiring": setup.wiring.value,
        "wire": str(wire.ceiling) if wire.ceiling else "on" if wire.paced else "off",
        "bridge": str(wire.bridge or ""),
        "latency": f"{wire.latency * 1e6:.0f}us",
        "ring": str(wire.ring or ""),
        "timing": _said_slowness(setup.timing),
        "scale": f"{setup.scale:g}",
        "psram": str(setup.psram),
        "heap": str(setup.heap or ""),
        "console": str(setup.console),
        "firmware": setup.firmware or "",
        "revision": "" if setup.revision is None else "{}.{}".format(*divmod(setup.revision, 100)),
    }


_KEYS = {
    *("chip", "flash", "mac", "serial", "wiring", "wire", "bridge", "latency", "ring"),
    *("timing", "scale", "psram", "heap", "console", "firmware", "revision"),
}


def _bad(name: str, key: str, value: str, valid: str) -> SimulatorError:
    return SimulatorError(
        f"sim://{name}: invalid value {key}={value}", hint=f"{key} must be {valid}"
    )


def _chip(name: str, value: str) -> Chip:
    try:
        return chip_named(value)
    except ValueError:
        raise _bad(name, "chip", value, "one of " + ", ".join(CHIPS)) from None


def _choice(name: str, key: str, kind: type[_E], value: str) -> _E:
    try:
        return kind(value)
    except ValueError:
        raise _bad(name, key, value, "one of " + ", ".join(one.value for one in kind)) from None


def _wiring(name: str, chip: Chip, value: str | None) -> ResetWiring:
    if chip in _NO_LINES:
        if value not in {None, "none", "usb"}:
            raise _bad(name, "wiring", str(value), f"none on an {chip.label}")
        return ResetWiring.NONE
    wiring = _choice(name, "wiring", ResetWiring, value or "auto")
    if wiring is ResetWiring.USB_JTAG and chip not in _USB_JTAG:
        raise _bad(name, "wiring", wiring.value, f"auto or none on an {chip.label}")
    return wiring


def _size(name: str, key: str, value: str) -> int:
    match = _SIZE.fullmatch(value)
    if not match:
        raise _bad(name, key, value, "a size: 4MB, 256KB or a number of bytes")
    return int(match[1]) * _UNITS[match[2].lower()]


def _rate(name: str, key: str, value: str) -> int:
    if not value.isdigit() or not int(value):
        raise _bad(name, key, value, "a baud rate")
    return int(value)


def _seconds(name: str, key: str, value: str) -> float:
    match = _TIME.fullmatch(value)
    if not match:
        raise _bad(name, key, value, "a time: 500us, 1ms or 0.5s")
    return float(match[1]) * _SECONDS[match[2]]


def _slowness(name: str, key: str, value: str) -> float:
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)x", value):
        return float(found[1])
    if value not in {"on", "off"}:
        raise _bad(name, key, value, "on, off or a number of times as long, like 10x")
    return float(value == "on")


def _said_slowness(times: float) -> str:
    return {0.0: "off", 1.0: "on"}.get(times, f"{times:g}x")


def _revision(name: str, chip: Chip, value: str) -> int | None:
    if not value:
        return None
    found = re.fullmatch(r"v?([0-7])\.(\d|1[0-5])", value)
    if found is None:
        raise _bad(name, "revision", value, "a chip's revision, like 1.3")
    if chip != ESP32P4:
        raise _bad(
            name, "revision", value, f"left out for an {chip.label}: only an ESP32-P4 is told"
        )
    return int(found[1]) * 100 + int(found[2])


def _mac(name: str, chip: Chip, value: str | None) -> str:
    digits = (value or "").replace(":", "").replace("-", "").lower()
    if value and not re.fullmatch(r"[0-9a-f]{12}", digits):
        raise _bad(name, "mac", value, "six bytes: 5c:cf:7f:01:02:03")
    digits = digits or _OUI.get(chip, _LOCAL) + hashlib.sha256(name.encode()).hexdigest()[:6]
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def _serial(name: str, value: str | None) -> str:
    digits = (value or "").lower()
    if value and not re.fullmatch(r"[0-9a-f]{16}", digits):
        raise _bad(name, "serial", value, "eight bytes: e6614103e7452d2f")
    return digits or "e661" + hashlib.sha256(name.encode()).hexdigest()[:12]
