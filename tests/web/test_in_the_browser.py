"""The pages in a real browser, over virtual boards: what somebody sees there and does."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station
from tests.web.conftest import Serve, link

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


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


def start(page: Page, action: str, *devices: str) -> None:
    """On the page of the fleet: tick these devices and press a button."""
    for name in devices:
        page.get_by_label(name, exact=True).check()
    page.get_by_role("button", name=action, exact=True).click()


def test_two_tabs_see_the_same_run_and_one_of_them_ends_it(
    station: Station, serve: Serve, page: Page, browser: Browser
) -> None:
    fleet(station, "kitchen", blank=("kitchen",))
    run = serve()
    page.goto(link(run))
    start(page, "Apply", "kitchen")
    page.get_by_role("button", name="Go on with kitchen").wait_for()

    busy = station.provision("plan")
    assert busy.code == 5
    assert f"process {run.process.pid} (" in busy.said
    assert "serve --port 0) for device kitchen" in busy.said

    other = page.context.new_page()
    other.goto(page.url)
    other.reload()
    other.get_by_role("button", name="Leave kitchen as it is").wait_for()
    onlooker = browser.new_page()
    onlooker.goto(link(run, "view"))
    onlooker.goto(page.url)
    onlooker.get_by_text("erase this board and every file on it").wait_for()
    assert onlooker.get_by_role("button").all_inner_texts() == ["Log out"]

    page.get_by_role("button", name="Cancel").click()
    for tab in (page, other, onlooker):
        tab.locator("#progress").get_by_text("cancelled").wait_for()
        assert tab.locator("#questions").inner_text() == ""
        assert "interrupted" in tab.locator("#row-kitchen .badge").inner_text()
    onlooker.close()
    run.signal(signal.SIGTERM)
    assert run.end().code == 0


def test_a_server_that_is_killed_amid_a_run_finds_it_again(
    station: Station, serve: Serve, page: Page
) -> None:
    fleet(station, "kitchen", "shed", blank=("kitchen",))
    run = serve("--token-file", "tokens")
    place = link(run)
    page.goto(place)
    start(page, "Apply", "kitchen", "shed")
    page.get_by_role("button", name="Go on with kitchen").wait_for()
    page.locator("#row-shed .badge").get_by_text("changed").wait_for()
    waiting = page.context.new_page()
    waiting.goto(place)
    start(waiting, "Plan", "shed")
    waiting.locator("#progress").get_by_text("queued").wait_for()
    run.kill()
    page.get_by_text("No connection to the server").wait_for()

    port = re.findall(r":(\d+)/", place)[0]
    serve("--token-file", "tokens", "--port", port)
    waiting.goto(place)
    waiting.get_by_role("link", name="plan of 1 device").click()
    page.bring_to_front()
    page.locator("#lost").wait_for(state="hidden")
    page.reload()
    assert "interrupted" in page.locator("#progress").inner_text()
    assert page.locator("#row-shed .badge").inner_text() == "✓ changed"
    failures = page.locator("#failures").inner_text()
    assert "kitchen" in failures
    assert "The run ended without a word of this device, which was at: reading flash" in failures
    page.get_by_role("button", name="Apply those that failed again").click()
    page.get_by_role("button", name="Go on with kitchen").click()
    page.get_by_text("1 of 1 device done").wait_for()
    assert page.locator("#row-kitchen .badge").inner_text() == "✓ changed"

    waiting.reload()
    waiting.get_by_text("The server ended before its turn came: no board was touched.").wait_for()
    waiting.get_by_role("button", name="Plan them").click()
    waiting.get_by_text("1 of 1 device done").wait_for()


def test_a_board_that_is_unplugged_is_told_first_with_what_to_do(
    station: Station, serve: Serve, page: Page
) -> None:
    fleet(station, "kitchen", "shed")
    station.fault("shed", "unplug")
    page.goto(link(serve()))
    start(page, "Apply", "kitchen", "shed")
    page.get_by_text("2 of 2 devices done, 1 failed").wait_for()
    shown = page.locator("main").inner_text()
    assert shown.index("1 failure") < shown.index("Devices\n")
    failure = page.locator("#failures")
    assert "unreachable" in failure.inner_text()
    assert failure.locator(".hint").inner_text() != ""
    station.order("shed", "replug")
    page.get_by_role("button", name="Apply those that failed again").click()
    page.get_by_text("1 of 1 device done").wait_for()
    assert page.locator("#row-shed .badge").inner_text() in ("✓ changed", "✓ as the manifest says")


EVIL = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b]0;owned\x07"


def test_what_a_hostile_board_prints_is_text(station: Station, serve: Serve, page: Page) -> None:
    fleet(station, "kitchen")
    station.write("main.py", f"print({EVIL!r})\n")
    manifest = (station.work / "fleet.yaml").read_text()
    check = "}], check: {console: never, timeout: 2}}}"
    station.write("fleet.yaml", manifest.replace("}]}}", check))
    page.goto(link(serve()))
    start(page, "Apply", "kitchen")
    page.get_by_text("1 of 1 device done, 1 failed").wait_for()
    assert "<script>document.title='owned'</script>" in page.locator("#failures .why").inner_text()
    assert "\x1b" not in page.content()
    for where in (page.url, "/"):
        page.goto(page.url if where != "/" else page.url.partition("/runs")[0])
        assert page.title() != "owned"
        assert page.locator("main script, main img").count() == 0
    assert "<script>" in page.locator("#tile-kitchen .why").inner_text()
