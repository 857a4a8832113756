"""What can be done over a port: by its transport, its USB id and the board's own wiring."""

from __future__ import annotations

import pytest

from provision.device.transport.transports import scheme_of, transport_of
from provision.device.transport.wiring import (
    USB_JTAG,
    UsbId,
    capabilities_of,
    usb_id_of,
    wiring_over,
)
from provision.model.board import ResetWiring
from provision.model.endpoint import Capabilities

AUTO, JTAG, NONE = ResetWiring.AUTO, ResetWiring.USB_JTAG, ResetWiring.NONE
USB = ResetWiring.USB
CP2102 = (0x10C4, 0xEA60)


@pytest.mark.parametrize(
    ("profile", "has_lines", "usb_id", "wiring"),
    [
        (AUTO, True, None, AUTO),
        (AUTO, True, CP2102, AUTO),
        (JTAG, True, None, JTAG),
        (NONE, True, CP2102, NONE),
        (AUTO, True, USB_JTAG, JTAG),
        (NONE, True, USB_JTAG, JTAG),
        (JTAG, True, CP2102, AUTO),
        (JTAG, True, (0x303A, 0x4001), JTAG),
        (AUTO, False, None, NONE),
        (JTAG, False, None, NONE),
        (JTAG, False, USB_JTAG, NONE),
        (USB, True, (0x2E8A, 0x0005), USB),
        (USB, False, None, USB),  # there are no lines to miss
    ],
)
def test_the_port_knows_better_than_the_profile(
    profile: ResetWiring, has_lines: bool, usb_id: UsbId | None, wiring: ResetWiring
) -> None:
    assert wiring_over(profile, has_lines=has_lines, usb_id=usb_id) is wiring


@pytest.mark.parametrize(
    ("address", "wiring", "resets", "lossless", "flashes"),
    [
        ("rfc2217://host:4000", AUTO, True, False, True),
        ("RFC2217://host:4000", JTAG, True, True, True),
        ("rfc2217://host:4000", NONE, False, False, True),
        ("sim://a", AUTO, True, False, True),
        ("sim://a", JTAG, True, True, True),
        ("sim://a", USB, False, True, True),
        ("socket://host:4000", AUTO, False, False, False),
        ("Socket://host:4000", JTAG, False, False, False),
    ],
)
def test_what_a_link_can_do(
    address: str, wiring: ResetWiring, resets: bool, lossless: bool, flashes: bool
) -> None:
    transport = transport_of(address)
    over = wiring_over(wiring, has_lines=transport.has_lines(None), usb_id=None)
    assert capabilities_of(over, flashes=transport.flashes) == Capabilities(
        resets=resets, lossless=lossless, flashes=flashes, has_rate=flashes and not lossless
    )


def test_a_port_that_the_firmware_makes_loses_nothing() -> None:
    native = (0x303A, 0x4001)
    over = wiring_over(AUTO, has_lines=True, usb_id=native)
    can = capabilities_of(over, flashes=True, usb_id=native)
    assert (can.lossless, can.has_rate) == (True, False)


@pytest.mark.parametrize(
    ("usb", "has_rate"),
    [((0x1A86, 0x7523), True), ((0x10C4, 0xEA60), True), ((0x303A, 0x1001), False), (None, True)],
)
def test_a_line_behind_a_bridge_has_a_rate(usb: tuple[int, int] | None, has_rate: bool) -> None:
    over = wiring_over(AUTO, has_lines=True, usb_id=usb)
    assert capabilities_of(over, flashes=True, usb_id=usb).has_rate == has_rate


@pytest.mark.parametrize(
    ("address", "scheme"), [("/dev/ttyUSB0", ""), ("COM3", ""), ("SIM://a", "sim")]
)
def test_a_path_has_no_scheme(address: str, scheme: str) -> None:
    assert scheme_of(address) == scheme
    assert transport_of(address).is_local == (scheme == "")


@pytest.mark.parametrize("path", ["/dev/null", "/dev/no-such-port", "COM77"])
def test_what_is_not_on_usb_has_no_usb_id(path: str) -> None:
    assert usb_id_of(path) is None
