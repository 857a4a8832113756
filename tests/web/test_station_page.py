"""The station on its page: started there, seen from there, ended there; boards are virtual."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.plugged import LISTED, Sockets
from tests.apply.station import Station
from tests.web.conftest import link

if TYPE_CHECKING:
    from playwright.sync_api import Page

MANIFEST = """
fleet: pv
devices:
  unit:
    board: esp32
    firmware: {file: %s, version: 1.24.1}
    files: [main.py]
station:
  template: unit
  name: "PV-{{ serial }}"
  serial: {counter: {start: 1000, format: "{:06d}"}}
  sockets: {left: 1-1, right: 1-2}
"""


@pytest.fixture
def sockets(station: Station) -> Sockets:
    pytest.importorskip("micropython_unix")
    station.write("fleet.yaml", MANIFEST % station.firmware(ESP32))
    station.write("main.py", "print('ready')\n")
    return Sockets(station)


def test_a_shift_is_started_seen_and_ended(station: Station, sockets: Sockets, page: Page) -> None:
    station.board("a")
    run = station.start("serve", "--port", "0", wrapper=LISTED)
    run.until(lambda run: "Ctrl-C ends it" in run.err and run.out.count("\n") == 2)
    page.goto(link(run))
    page.get_by_role("link", name="Station").click()
    page.get_by_label("Who is at work").fill("ada")
    page.get_by_label("Erase boards whatever is on them").check()
    page.get_by_role("button", name="Start the station").click()
    left = page.locator(".socket", has_text="left")
    left.get_by_text("plug a board in").wait_for()

    wall = page.context.new_page()
    wall.goto(page.url)
    sockets.plug("1-1", "a")
    page.locator(".socket.passed", has_text="PASS").wait_for()
    assert left.locator(".unit").inner_text() == "PV-001000"
    assert "take it away" in left.inner_text()
    wall.bring_to_front()
    wall.locator(".socket.passed", has_text="PV-001000").wait_for()
    size = wall.locator(".word").evaluate("(word) => parseFloat(getComputedStyle(word).fontSize)")
    assert size >= 48, "to be read from three metres"
    assert not wall.get_by_role("button", name="Start the station").is_visible()

    wall.get_by_role("link", name="Ledger").click()
    wall.get_by_role("link", name="001000").click()
    wall.get_by_text("ada").first.wait_for()
    page.bring_to_front()
    page.get_by_role("button", name="End the shift").click()
    page.locator("#station.idle", has_text=re.compile("not running")).wait_for()
    page.get_by_text("1 passed, 0 failed, yield 100 %").first.wait_for()


def test_it_is_not_started_twice_nor_by_whoever_may_look(
    station: Station, sockets: Sockets, page: Page
) -> None:
    run = station.start("serve", "--port", "0", wrapper=LISTED)
    run.until(lambda run: "Ctrl-C ends it" in run.err and run.out.count("\n") == 2)
    other = station.start("station", "--json", wrapper=LISTED)
    other.until(lambda run: "plug boards in" in run.out)
    page.goto(link(run))
    page.get_by_role("link", name="Station").click()
    page.get_by_role("button", name="Start the station").click()
    page.get_by_text(re.compile("[Aa]nother station of the name")).wait_for()
    page.context.clear_cookies()
    page.goto(link(run, "view"))
    page.get_by_role("link", name="Station").click()
    page.locator("#station.idle").wait_for()
    assert page.locator("main").get_by_role("button", name=re.compile("Start|End")).count() == 0
