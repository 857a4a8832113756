"""The reset lines: how a board gets into download mode, and out of it again.

What DTR and RTS do is the board's wiring, which its profile names; the sequences are esptool's
own. A board without wiring is put there by a person, who is told how and waited for.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from provision.device.flashing.esptool.library import Esptool
from provision.device.transport.reset_pulse import NO_LINES, move_rts
from provision.errors import ManualActionRequired, NoAnswer
from provision.model.board import BoardProfile, ResetWiring

if TYPE_CHECKING:
    from provision.device.transport.serial_port import Port

ROM_BAUD = 115200
OPERATOR_SECONDS = 120.0
"""How long a person has to put the board in download mode."""

# esptool's own delays between releasing EN and releasing IO0; the long one is for boards with a
# large capacitor on EN. Tried in turn, as its connect() does.
_DELAYS = (0.05, 0.55, 0.05, 0.55)
_SYNCS = 5  # after each reset, as esptool
_SYNC_PAUSE = 0.05  # between them, as esptool: the ROM measures the rate from the bytes it gets
# A reset by EN reads as power-on, one by USB-Serial-JTAG as 0x15; a board that boots over and
# over by itself (no app in its flash) gives other causes, and was not reset by us.
_RESET_BY_LINES = re.compile(rb"rst:0x(?:1|15) [^\r\n]*boot:(0x[0-9a-fA-F]+)")

# How ROMs say that they wait for a download: DOWNLOAD_BOOT, DOWNLOAD(USB/UART0), UART_BOOT(UART0).
_DOWNLOAD_MODE = re.compile(
    rb"waiting for download|boot:0x[0-9a-fA-F]+ \((?:DOWNLOAD|UART_BOOT|USB_BOOT|UART_DOWNLOAD)"
)

WaitForOperator = Callable[[float], bool]


def enter_download_mode(
    tools: Esptool,
    loader: Any,
    port: Port,
    board: BoardProfile,
    wait_for_operator: WaitForOperator | None,
    *,
    operator_seconds: float = OPERATOR_SECONDS,
) -> None:
    """Bring the board into download mode until it answers a SYNC.

    `loader` is an ESPLoader on the port. Raises NoAnswer with what the boot log tells, or
    ManualActionRequired for a board whose lines are not wired when nobody waits or the time is up.
    """
    by_hand = partial(
        _wait_for_operator,
        tools,
        loader,
        port,
        board,
        wait_for_operator,
        operator_seconds=operator_seconds,
    )
    wiring = port.wiring(board)
    if wiring is ResetWiring.NONE:
        by_hand()
        return
    log = b""
    for strategy in _strategies(tools, port, wiring):
        loader.flush_input()
        try:
            strategy.reset()
        except OSError as error:
            if error.errno not in NO_LINES:
                raise
            by_hand()  # a carrier without lines, as a pseudo terminal
            return
        # As pyserial's typing has it, not every port can say how much is waiting; all can.
        log = port.serial.read(getattr(port.serial, "in_waiting", 0))
        if _sync(tools, loader, _SYNCS):
            return
    raise _no_answer(log, board, port)


def hard_reset(tools: Esptool, port: Port, wiring: ResetWiring, baud: int | None) -> bool:
    """Pulse EN, so that the board boots what is in its flash; IO0 stays released, and what it says
    then is heard at `baud`, if one is given. False where no lines reach the chip."""
    if wiring is ResetWiring.NONE:
        return False
    uses_usb = wiring is ResetWiring.USB_JTAG
    flow = tools.uses_flow_control(port.usb_id or (None, None))
    try:
        # From DTR = RTS = 1, as a port is opened, DTR alone low first would pull EN.
        port.serial.rts = False
        port.serial.dtr = False
        if baud is not None and port.serial.baudrate != baud:
            # EN is low, so that not a word comes at the rate of before.
            move_rts(port.serial, True)
            port.serial.baudrate = baud
        tools.resets.HardReset(port.serial, uses_usb, flow_control=flow).reset()
    except OSError as error:
        if error.errno not in NO_LINES:
            raise
        return False
    return True


def has_atomic_lines(port: Port) -> bool:
    """Whether both lines can be set by one ioctl: a real serial port on a POSIX system."""
    return os.name != "nt" and port.transport.is_local and port.has_lines


def _strategies(tools: Esptool, port: Port, wiring: ResetWiring) -> Iterator[Any]:
    if wiring is ResetWiring.USB_JTAG:
        for _ in _DELAYS:
            yield tools.resets.USBJTAGSerialReset(port.serial)
        return
    flow = tools.uses_flow_control(port.usb_id or (None, None))
    kinds = [tools.resets.ClassicReset]
    if has_atomic_lines(port):
        kinds.insert(0, tools.resets.UnixTightReset)
    for kind in kinds:
        for delay in _DELAYS[: 4 // len(kinds)]:
            yield kind(port.serial, delay, flow)


def _sync(tools: Esptool, loader: Any, tries: int) -> bool:
    for attempt in range(tries):
        if attempt:
            time.sleep(_SYNC_PAUSE)  # a ROM that measures the line's rate anew tells nobody of it
        with suppress(tools.FatalError):
            loader.flush_input()
            loader.sync()
            return True
    return False


def _wait_for_operator(
    tools: Esptool,
    loader: Any,
    port: Port,
    board: BoardProfile,
    wait_for_operator: WaitForOperator | None,
    *,
    operator_seconds: float,
) -> None:
    # A run that was cut off leaves the stub at the rate it had: it answers with no help.
    rates = tuple(dict.fromkeys((ROM_BAUD, board.baud)))
    end = time.monotonic() + operator_seconds
    while True:
        for rate in rates:
            port.serial.baudrate = rate
            # Few tries: while the app runs, these bytes arrive at its REPL.
            if _sync(tools, loader, 2):
                return
        left = end - time.monotonic()
        instructions = board.download or "Hold IO0 (GPIO0, BOOT) to ground while you press RESET."
        if wait_for_operator is None:
            raise ManualActionRequired(
                f"the {board.title} must be put in download mode by hand",
                hint=f"{instructions} Then run again, or run on a terminal, which waits for you",
                device=port.device,
            )
        if left <= 0 or not wait_for_operator(left):
            raise ManualActionRequired(
                f"the {board.title} did not come into download mode",
                hint=instructions,
                device=port.device,
            )


def _no_answer(log: bytes, board: BoardProfile, port: Port) -> NoAnswer:
    if _DOWNLOAD_MODE.search(log):
        return NoAnswer(
            "the board is in download mode, but does not receive what is sent",
            hint="the line from the computer to the board's RX is interrupted: try another cable",
            device=port.device,
        )
    if found := _RESET_BY_LINES.search(log):
        return NoAnswer(
            f"the board was reset but started its app (boot mode {found[1].decode()}): "
            "IO0 was not held low",
            hint="hold BOOT (IO0) while the run connects, or choose the profile of this very "
            f"board: {board.download or 'its reset circuit differs'}",
            device=port.device,
        )
    return NoAnswer(
        f"no boot loader answers on {port.address}: the board did not react to the reset lines",
        hint="check that the cable carries data and the board has power; connect directly rather "
        "than through a hub; if this board has no automatic reset, choose a profile that says so",
        device=port.device,
    )
