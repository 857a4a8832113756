"""Which of the reset lines are moved, in which order, and what is said when nothing comes of it."""

from __future__ import annotations

import errno
from io import BytesIO
from typing import Any, cast

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3
from provision.device.flashing.esptool.library import Esptool
from provision.device.flashing.esptool.reset import enter_download_mode, hard_reset
from provision.device.transport.reset_pulse import pulse_reset
from provision.device.transport.serial_port import Port
from provision.device.transport.wiring import USB_JTAG, UsbId
from provision.errors import NoAnswer
from provision.model.board import ResetWiring
from tests.images import profile


class Lines:
    """pyserial's object: what is done to its lines is written down, and `log` is what waits."""

    def __init__(self, log: bytes = b"", fails: int | None = None) -> None:
        self.moves: list[tuple[str, bool]] = []
        self.log = log
        self.fails = fails
        self.baudrate = 115200

    def _move(self, name: str, value: bool) -> None:
        if self.fails is not None:
            raise OSError(self.fails, "no")
        self.moves.append((name, value))

    rts = property(None, lambda self, value: self._move("rts", value))
    dtr = property(None, lambda self, value: self._move("dtr", value))

    @property
    def in_waiting(self) -> int:
        return len(self.log)

    def read(self, size: int) -> bytes:
        return self.log[:size]

    def fileno(self) -> int:
        raise ValueError("a port that is no file")


class Silent(Exception):
    """esptool's FatalError."""


class Loader:
    """A loader on a board that answers the SYNC after so many resets, or never."""

    def __init__(self, resets: Resets, after: int = 1 << 10) -> None:
        self.resets, self.after = resets, after

    def flush_input(self) -> None:
        pass

    def sync(self) -> None:
        if len(self.resets.done) < self.after:
            raise Silent("no answer")


class Resets:
    """esptool.reset: sequences that only say that they were done."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Any:
        resets = self

        class Sequence:
            def __init__(self, port: Lines, *settings: object, **named: object) -> None:
                self.port = port

            def reset(self) -> None:
                self.port._move(name, True)
                resets.done.append(name)

        return Sequence


def tools(resets: Resets) -> Esptool:
    return Esptool(
        Loader=None,
        FatalError=Silent,
        chips={},
        commands=None,
        loader=None,
        resets=resets,
        uses_flow_control=lambda pair: False,
    )


def port(lines: Lines, address: str = "sim://a", usb_id: UsbId | None = None) -> Port:
    """A port whose DTR and RTS are `lines`, where its transport carries them."""
    opened = Port(cast("Any", lines), BytesIO(), address=address, device="kitchen")
    vars(opened)["usb_id"] = usb_id
    return opened


def test_a_pulse_holds_en_low_and_leaves_io0_released() -> None:
    lines = Lines()
    assert pulse_reset(port(lines), ResetWiring.AUTO)
    assert lines.moves == [("rts", False), ("dtr", False), ("rts", True), ("rts", False)]


def test_windows_tells_a_device_of_rts_when_dtr_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    lines = Lines()
    assert pulse_reset(port(lines), ResetWiring.USB_JTAG)
    released = ("dtr", False)
    assert lines.moves[2:] == [("rts", True), released, ("rts", False), released]


def test_the_chips_own_usb_takes_the_same_pulse() -> None:
    lines = Lines()
    assert pulse_reset(port(lines), ResetWiring.USB_JTAG)
    assert lines.moves[-2:] == [("rts", True), ("rts", False)]


@pytest.mark.parametrize(
    ("wiring", "address"),
    [(ResetWiring.NONE, "sim://a"), (ResetWiring.AUTO, "socket://server:4000")],
)
def test_lines_that_reach_no_chip_are_not_moved(wiring: ResetWiring, address: str) -> None:
    lines = Lines()
    opened = port(lines, address)
    assert not pulse_reset(opened, opened.wiring(profile(ESP32C3, reset=wiring)))
    assert lines.moves == []


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EINVAL])
def test_a_carrier_without_lines_is_no_failure(number: int) -> None:
    lines = Lines(fails=number)
    assert not pulse_reset(port(lines), ResetWiring.AUTO)
    resets = Resets()
    assert not hard_reset(tools(resets), port(lines), ResetWiring.AUTO, 115200)


def test_what_starts_is_heard_at_its_own_rate_from_its_first_word_on() -> None:
    class Rated(Lines):
        rate = 460800

        @property
        def baudrate(self) -> int:
            return self.rate

        @baudrate.setter
        def baudrate(self, rate: int) -> None:
            self.rate = rate
            self.moves.append((f"{rate} baud", True))

    lines, resets = Rated(), Resets()
    lines.rate, lines.moves = 460800, []
    assert hard_reset(tools(resets), port(lines), ResetWiring.AUTO, 115200)
    assert lines.moves == [
        ("rts", False), ("dtr", False), ("rts", True), ("115200 baud", True), ("HardReset", True),
    ]  # fmt: skip


def test_a_port_that_fails_under_a_reset_is_one() -> None:
    lines = Lines(fails=errno.EIO)
    resets = Resets()
    kit, loader = tools(resets), Loader(resets)
    with pytest.raises(OSError, match="no"):
        pulse_reset(port(lines), ResetWiring.AUTO)
    with pytest.raises(OSError, match="no"):
        hard_reset(kit, port(lines), ResetWiring.AUTO, 115200)
    with pytest.raises(OSError, match="no"):
        enter_download_mode(kit, loader, port(lines), profile(ESP32C3), None)


@pytest.mark.parametrize(
    ("wiring", "usb_id", "sequence"),
    [
        (ResetWiring.AUTO, (0x10C4, 0xEA60), "ClassicReset"),
        (ResetWiring.USB_JTAG, None, "USBJTAGSerialReset"),
        # The profile says a bridge, and what is plugged in is the chip itself; and the reverse.
        (ResetWiring.AUTO, USB_JTAG, "USBJTAGSerialReset"),
        (ResetWiring.NONE, USB_JTAG, "USBJTAGSerialReset"),
        (ResetWiring.USB_JTAG, (0x10C4, 0xEA60), "ClassicReset"),
    ],
)
def test_the_sequence_is_that_of_the_wiring(
    wiring: ResetWiring, usb_id: UsbId | None, sequence: str
) -> None:
    resets = Resets()
    board = profile(ESP32C3, reset=wiring)
    loader = Loader(resets, after=2)
    enter_download_mode(tools(resets), loader, port(Lines(), usb_id=usb_id), board, None)
    assert resets.done == [sequence, sequence]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT)\r\nwaiting for download\r\n",
            "does not receive",
        ),
        (b"rst:0x1 (POWERON_RESET),boot:0xf (UART_BOOT(UART0))\r\n", "does not receive"),
        (b"rst:0x1 (POWERON),boot:0x7 (DOWNLOAD(USB/UART0/1))\r\n", "does not receive"),
        (b"rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n", "IO0 was not held low"),
        (b"rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n", "did not react"),
    ],
)
def test_what_the_board_says_tells_what_is_wrong(
    log: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.device.flashing.esptool.reset._DELAYS", (0.05,))
    resets = Resets()
    with pytest.raises(NoAnswer, match=words) as caught:
        enter_download_mode(tools(resets), Loader(resets), port(Lines(log)), profile(ESP32), None)
    assert caught.value.hint
    assert caught.value.device == "kitchen"
