"""A board profile: what must be known of a board before it can be flashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from provision.model.chip import Chip
from provision.model.language import record


class ResetWiring(str, Enum):
    """How the port's DTR and RTS lines reach the chip's EN and IO0.

    A port that the chip itself provides (USB id 303a:1001) is reset as USB_JTAG whatever the
    profile says, as flashing tools do: many boards have both sockets. One that its firmware makes
    (USB) comes and goes with that: only what runs there can reset the board.
    """

    AUTO = "auto"  # two transistors, as on every board with automatic download
    USB_JTAG = "usb-jtag"  # the chip's own USB-Serial-JTAG peripheral
    USB = "usb"  # the chip's own USB, made by its firmware: no lines at all
    NONE = "none"  # not wired: a person's fingers


@record
class BoardProfile:
    """One board. `flash_size` is that of the flash chip on it, in bytes; `settings` are what only
    boards of its chip's family have, as the family reads them (`ChipFamily.board_settings`).
    """

    name: str
    title: str
    chip: Chip
    flash_size: int | None
    reset: ResetWiring
    download: str  # what a person does to enter download mode, one or two sentences
    release: str  # the name of its builds on micropython.org
    variant: str | None = None  # the variant of those builds that it needs: FLASH_1M
    usb: tuple[str, ...] = ()  # VID:PID of the USB bridges it is sold with, lower-case hex
    baud: int = 460800  # the highest rate the bridge is known to hold when flashing
    transfer_baud: int = 921600  # the highest to try when files are sent, 0 for none but the REPL's
    quirks: tuple[str, ...] = ()
    url: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
