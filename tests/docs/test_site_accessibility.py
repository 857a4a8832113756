"""Pages of the site by axe-core's rules (WCAG 2.2 AA among them), in light and on a dark phone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.conftest import browser
from tests.web.test_accessibility import LOOKS, violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

PAGES = ("index.html", "first-manifest.html", "reference/commands.html")


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look["color_scheme"])
def test_pages_of_the_site(site: Path, browser: Browser, look: dict[str, Any]) -> None:
    context = browser.new_context(**look)
    try:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        asked: list[str] = []
        for name in PAGES:
            page.goto((site / name).as_uri())
            page.locator("h1").first.wait_for()
            assert violations(page) == [], name
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    finally:
        context.close()
