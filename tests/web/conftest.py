"""What the tests of the pages stand on: boards and a project, one browser for all tests of a
worker, and `provision serve` as somebody starts it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from provision.web.access import ROLES
from tests.apply.conftest import station
from tests.apply.station import Run, Station
from tests.web.browser import PATIENCE, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

__all__ = ["station"]

Serve = Callable[..., Run]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(locale="en-GB")
    made.set_default_timeout(PATIENCE)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab. No page of ours has a script that fails, or anything that its policy forbids."""
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    yield context.new_page()
    # A server that is killed, or refuses, is told there too; so is a piece of the fleet that a page
    # with a filter does not show.
    expected = (
        "Failed to load resource", "htmx:sseError", "[object Event]", "htmx:oobErrorNoTarget",
    )  # fmt: skip
    assert [fault for fault in faults if not any(each in fault for each in expected)] == []


@pytest.fixture
def serve(station: Station) -> Serve:
    """Start `provision serve` and wait for its links."""

    def start(*words: str) -> Run:
        run = station.start("serve", "--port", "0", *words)
        run.until(lambda run: "Ctrl-C ends it" in run.err and run.out.count("\n") == len(ROLES))
        return run

    return start


def link(run: Run, role: str = "operate") -> str:
    """The link for a role that the server has printed."""
    words = {"operate": "to operate", "view": "to look only"}[role]
    found = re.search(rf"^{words}: (\S+)$", run.out, re.MULTILINE)
    assert found is not None, run.out + run.err
    return found[1]
