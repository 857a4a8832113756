"""Every page by axe-core's rules (WCAG 2.2 AA among them): in light and dark, wide and on a phone,
as whoever operates and as whoever looks; and by the keyboard alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.output.reports.html import HtmlReport
from provision.station.ledger import Ledger, Visit
from provision.station.numbers import Counter
from tests.apply.station import Station
from tests.output.reports.test_html import RUN
from tests.web.conftest import Serve, link

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOOKS = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
]


def violations(page: Page) -> list[str]:
    """What breaks a rule, and where."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]}"
        for each in found
        for node in each["nodes"]
    ]


def broken(page: Page) -> list[str]:
    """What breaks a rule, and that somebody would have to scroll sideways."""
    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return [*violations(page), *(["it has to be scrolled sideways"] if wide else [])]


@pytest.fixture
def house(station: Station) -> Station:
    firmware = station.firmware(ESP32)
    station.board("kitchen", firmware=firmware)
    station.board("shed", ESP32, None)
    station.write("main.py", "print('hello')\n")
    station.write(
        "fleet.yaml",
        f"""
        fleet: house
        defaults: {{board: esp32, files: [main.py]}}
        groups: {{sensors: {{}}}}
        devices:
          unit: {{}}
          kitchen: {{port: sim://kitchen, groups: [sensors]}}
          shed: {{port: sim://shed, firmware: {{file: {firmware}}}}}
          away: {{port: /dev/no-such-port}}
        station:
          template: unit
          name: "U-{{{{ serial }}}}"
          serial: {{counter: {{start: 1}}}}
          sockets: {{left: 1-1, right: 1-2}}
        """,
    )
    with Ledger.open(station.work / "fleet.ledger", create=True) as ledger:
        visit = Visit(mac="24:6f:28:00:00:01", station="s", socket="left", operator="ada")
        kept = ledger.reserve(visit, Counter(start=1))
        ledger.fail(kept.attempt, "the supply is low", seconds=2.5)
    return station


def pages(page: Page, start: str) -> Iterator[str]:
    """Open one page after the other, with something of everything on them; their names."""
    page.goto(start)
    yield "fleet"
    at = page.url
    page.get_by_label("kitchen", exact=True).check()
    page.get_by_label("away", exact=True).check()
    page.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_text("2 of 2 devices done").wait_for()
    yield "run"
    page.goto(at)
    page.get_by_label("shed", exact=True).check()
    page.get_by_role("button", name="Apply", exact=True).click()
    leave = page.get_by_role("button", name="Leave shed as it is")
    leave.wait_for()
    yield "question"
    leave.click()
    page.get_by_text("1 of 1 device done, 1 failed").wait_for()
    page.locator("#plan-of-shed").click()
    yield "failure"
    page.goto(f"{at}devices/kitchen")
    page.locator("#plan-of-kitchen").click()
    page.get_by_role("button", name="List its files").click()
    page.get_by_role("button", name="Read /boot.py").click()
    page.locator("pre.content").wait_for()
    yield "file"
    page.goto(f"{at}devices/kitchen")
    yield "device"
    page.get_by_role("button", name="Look at the board").click()
    page.locator("#facts-of-board").get_by_text("MicroPython").wait_for()
    page.get_by_role("button", name="Listen to what it prints").click()
    page.locator("#console-state").get_by_role("button", name="Stop listening").wait_for()
    yield "console"
    for path in ("runs", "ledger", "ledger/unit?number=1", "station", "", "nowhere"):
        page.goto(f"{at}{path}")
        yield path or "fleet, afterwards"
    page.get_by_role("button", name="Log out").click()
    yield "login"


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look["color_scheme"])
def test_every_page(house: Station, serve: Serve, browser: Browser, look: dict[str, Any]) -> None:
    run = serve()
    context = browser.new_context(**look)
    context.set_default_timeout(60_000)
    try:
        page = context.new_page()
        found = {name: broken(page) for name in pages(page, link(run))}
        assert len(found) == 14
        assert {name: each for name, each in found.items() if each} == {}
        page.goto(link(run, "view"))
        assert broken(page) == []
        at = page.url
        for path in ("devices/kitchen", "devices/kitchen/console", "station", "ledger", "runs"):
            page.goto(f"{at}{path}")
            assert broken(page) == [], path
    finally:
        context.close()


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look["color_scheme"])
def test_the_report_of_a_run(browser: Browser, look: dict[str, Any], tmp_path: Path) -> None:
    report = HtmlReport(tmp_path / "run.html")
    for event in RUN:
        report.handle(event)
    report.close()
    context = browser.new_context(**look)
    try:
        page = context.new_page()
        page.goto((tmp_path / "run.html").as_uri())
        assert broken(page) == []
        colour = "getComputedStyle(document.body).backgroundColor"
        dark = look["color_scheme"] == "dark"
        assert page.evaluate(colour) == ("rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)")
        page.emulate_media(media="print")
        assert page.evaluate(colour) == "rgb(255, 255, 255)", "ink is dear"
    finally:
        context.close()


def test_a_plan_by_the_keyboard_alone(house: Station, serve: Serve, page: Page) -> None:
    run = serve()
    page.goto(link(run))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "kitchen":
            break
    page.keyboard.press("Space")
    assert page.locator("#chosen").inner_text() == "1 chosen"
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.value") == "plan":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "where one is must be seen"
    page.keyboard.press("Enter")
    page.get_by_text("1 of 1 device done").wait_for()
