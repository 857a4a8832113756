"""The page of a device in a real browser: what its board holds and prints, looked at from there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station
from tests.web.conftest import Serve, link

if TYPE_CHECKING:
    from playwright.sync_api import Page

EVIL = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
APP = f"""\
import time
print({EVIL!r})
print("\\x1b]0;owned\\x07\\x1b[31mred")
number = 0
while True:
    print("line", number)
    number += 1
    time.sleep(0.2)
"""


@pytest.fixture
def kitchen(station: Station) -> Station:
    """A board whose app prints what it likes, and files that say what they like."""
    station.board("kitchen", firmware=station.firmware(ESP32))
    station.put("kitchen", {
        "/main.py": APP,
        "/evil.html": EVIL,
        "/wifi.txt": "the password is hunter2-hunter2",
        "/data.bin": bytes(range(256)) * 8,
    })  # fmt: skip
    station.press("kitchen", "reset")
    station.write("secrets.yaml", "wifi: hunter2-hunter2\n").chmod(0o600)
    station.write("new.py", "print('new')\n")
    station.write(
        "fleet.yaml",
        """
        fleet: house
        devices:
          kitchen:
            port: sim://kitchen
            board: esp32
            groups: [sensors]
            vars: {wifi: !secret wifi}
            files: [{src: new.py, dest: /new.py}]
        groups: {sensors: {}}
        """,
    )
    return station


def test_its_files_are_listed_read_and_saved(kitchen: Station, serve: Serve, page: Page) -> None:
    run = serve()
    page.goto(link(run))
    page.get_by_role("link", name="Look at kitchen").click()
    page.get_by_role("button", name="List its files").click()
    page.get_by_role("button", name="Read /evil.html").wait_for()

    page.get_by_role("button", name="Read /evil.html").click()
    content = page.locator("pre.content")
    content.wait_for()
    assert content.inner_text() == EVIL
    assert "owned" not in page.title()

    page.go_back()
    page.get_by_role("button", name="Read /wifi.txt").click()
    content.wait_for()
    assert content.inner_text() == "the password is ***"
    page.get_by_text("A secret in it is masked here").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save it as it is").click()
    assert download.value.suggested_filename == "wifi.txt"
    assert download.value.path().read_bytes() == b"the password is hunter2-hunter2"

    page.go_back()
    page.get_by_role("button", name="Read /data.bin").click()
    content.wait_for()
    assert content.inner_text().startswith("000000  00 01 02 03")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save it as it is").click()
    assert download.value.path().read_bytes() == bytes(range(256)) * 8


def test_its_plan_facts_and_backup(kitchen: Station, serve: Serve, page: Page) -> None:
    run = serve()
    page.goto(link(run))
    page.get_by_role("link", name="Look at kitchen").click()
    page.get_by_role("button", name="Look at the board").click()
    page.locator("#facts-of-board").get_by_text("MicroPython").wait_for()

    page.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_text("1 of 1 device done").wait_for()
    page.goto(page.url.split("/runs/")[0] + "/devices/kitchen")
    page.locator("#plan-of-kitchen").click()
    page.get_by_text("write /new.py").wait_for()
    assert page.locator(".diff .plus").first.inner_text().startswith("+")

    page.get_by_role("button", name="Back up").click()
    page.get_by_text("1 of 1 device done").wait_for()
    page.go_back()
    page.reload()
    page.get_by_text("provision restore kitchen backups/kitchen/").wait_for()
    assert page.locator("#tile-kitchen").inner_text().startswith("△ plan: changes pending")


def test_its_console_is_live_and_makes_room_for_a_run(
    kitchen: Station, serve: Serve, page: Page
) -> None:
    run = serve()
    page.goto(link(run))
    page.goto(page.url + "devices/kitchen/console")
    console = page.locator("pre#console")
    assert console.inner_text() == ""
    page.get_by_role("button", name="Listen").click()
    page.locator("#console .said").nth(4).wait_for()
    before = console.inner_text()
    assert "line" in before
    numbers = [int(line.split()[1]) for line in before.split("\n") if line.startswith("line ")]
    assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]

    other = page.context.new_page()
    other.goto(page.url.replace("/console", ""))
    other.get_by_role("button", name="Plan", exact=True).click()
    other.get_by_text("1 of 1 device done").wait_for()
    page.locator("#console-state .badge", has_text=re.compile("listening$")).wait_for()
    page.locator("#console .said", has_text="<script>").first.wait_for()
    text = console.inner_text()
    assert EVIL in text, "the plan has started the app anew"
    assert "\x1b" not in text
    assert "owned" not in page.title()
    assert page.locator("#console script").count() == 0

    page.get_by_role("button", name="Stop listening").click()
    page.get_by_text("nobody listens").wait_for()
    ended = kitchen.provision("reset")
    assert ended.code == 0, ended.said


def test_the_command_line_says_who_listens(kitchen: Station, serve: Serve, page: Page) -> None:
    run = serve()
    page.goto(link(run))
    page.goto(page.url + "devices/kitchen/console")
    page.get_by_role("button", name="Listen").click()
    page.locator("#console .said").nth(1).wait_for()
    busy = kitchen.provision("reset")
    assert busy.code == 5, busy.said
    assert "is in use by process" in busy.said
    assert "serve --port 0" in busy.said


def test_who_may_only_look_sees_no_buttons_and_no_secrets(
    kitchen: Station, serve: Serve, page: Page
) -> None:
    run = serve()
    page.goto(link(run))
    page.get_by_role("link", name="Look at kitchen").click()
    page.get_by_role("button", name="List its files").click()
    page.get_by_role("button", name="Read /wifi.txt").click()
    page.locator("pre.content").wait_for()
    file = page.url

    page.context.clear_cookies()
    page.goto(link(run, "view"))
    page.goto(file)
    page.get_by_text("the password is ***").wait_for()
    assert page.get_by_role("link", name="Save it").count() == 0
    answer = page.request.get(f"{file}/save")
    assert answer.status == 403
    assert "hunter2" not in answer.text()
    page.goto(file.split("/files/")[0])
    page.get_by_text("/wifi.txt").first.wait_for()
    assert page.locator("main").get_by_role("button").count() == 0
