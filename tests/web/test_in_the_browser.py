"""The pages in a real browser, over virtual boards: what somebody sees there and does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station
from tests.web.conftest import Serve, link

if TYPE_CHECKING:
    from playwright.sync_api import Page


def fleet(station: Station, *devices: str, blank: tuple[str, ...] = ()) -> None:
    """Devices that get a file, of boards that run MicroPython or are blank."""
    firmware = station.firmware(ESP32)
    lines = [
        f"defaults: {{board: esp32, firmware: {{file: {firmware}}}}}",
        "groups: {all: {files: [{src: main.py, dest: /main.py}]}}",
        "devices:",
    ]
    for name in devices:
        station.board(name, ESP32, None if name in blank else firmware)
        lines.append(f"  {name}: {{groups: [all], port: 'sim://{name}'}}")
    station.write("main.py", "print('hello')\n")
    station.write("fleet.yaml", "\n".join(lines) + "\n")


def test_an_apply_is_started_followed_and_found_again(
    station: Station, serve: Serve, page: Page
) -> None:
    fleet(station, "kitchen", "shed")
    page.goto(link(serve()))
    assert "token" not in page.url
    page.get_by_label("kitchen", exact=True).check()
    page.get_by_role("button", name="Apply", exact=True).click()
    page.get_by_text("1 of 1 device done").wait_for()
    assert page.locator("#row-kitchen .badge").inner_text() == "✓ changed"
    page.reload()
    assert page.locator("#row-kitchen .badge").inner_text() == "✓ changed"
    assert station.files("kitchen")["/main.py"] == b"print('hello')\n"
    page.get_by_role("link", name="Fleet", exact=True).click()
    assert page.locator("#tile-kitchen .badge").inner_text() == "✓ apply: changed"
    assert page.locator("#tile-shed .badge").inner_text() == "○ never applied"


def test_what_would_be_lost_is_asked_for_on_the_page(
    station: Station, serve: Serve, page: Page
) -> None:
    fleet(station, "kitchen", "shed", blank=("kitchen", "shed"))
    before = station.digest("shed")
    page.goto(link(serve()))
    page.get_by_label("all 2 shown").check()
    page.get_by_role("button", name="Apply", exact=True).click()
    page.get_by_role("button", name="Leave shed as it is").click()
    page.get_by_role("button", name="Go on with kitchen").click()
    page.get_by_text("2 of 2 devices done, 1 failed").wait_for()
    assert page.locator("#row-kitchen .badge").inner_text() == "✓ changed"
    assert "declined" in page.locator("#failures").inner_text()
    assert station.digest("shed") == before
    assert station.files("kitchen")["/main.py"] == b"print('hello')\n"
