"""The site is built from nothing but the checkout, without a complaint; its links lead somewhere, a
browser fetches nothing from elsewhere, and its pages say what they say on GitHub.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from tests.docs.site import ROOT, article, read

PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_every_page_is_there(site: Path) -> None:
    assert len(PAGES) > 25
    assert [page for page in PAGES if not place(site, page).is_file()] == []
    assert "<h1" in article(site / "index.html")


def test_every_link_and_anchor_leads_somewhere(site: Path) -> None:
    pages = {page: read(page.read_text("utf-8")) for page in site.rglob("*.html")}
    wrong = []
    for page, html in pages.items():
        for link in (*html.links, *html.fetched):
            url = urlsplit(link)
            if url.scheme or url.netloc or page.name == "404.html":
                continue
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            if target.is_dir():
                target /= "index.html"
            anchor = unquote(url.fragment)
            if not target.exists() or (anchor and anchor not in pages[target].anchors):
                wrong.append(f"{page.relative_to(site)}: {link}")
    assert len(pages) > len(PAGES)
    assert wrong == []


def test_a_browser_fetches_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        outside = [each for each in read(page.read_text("utf-8")).fetched if "//" in each]
        assert outside == [], page
    for style in (*site.rglob("*.css"), *site.rglob("*.svg")):
        assert not re.search(r"""url\(["']?(https?:)?//|@import""", style.read_text("utf-8")), style


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_reads_as_on_github(site: Path, page: Path) -> None:
    """A list that needs a blank line before it here and none there, for one."""
    there = MarkdownIt("gfm-like", {"linkify": False}).render(page.read_text("utf-8"))
    assert read(article(place(site, page))).structure == read(there).structure


def place(site: Path, page: Path) -> Path:
    return site / page.relative_to(ROOT / "docs").with_suffix(".html")
