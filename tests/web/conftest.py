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
def page(context: BrowserContext) -> Page:
    return context.new_page()


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
