"""The documentation as a site, built once for the tests of a worker, and its pages as data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a page is made of, as far as two ways of reading Markdown may differ in it.
STRUCTURE = {
    "h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "table", "tr", "th", "td", "pre", "code", "em",
    "strong", "blockquote", "img", "a",
}  # fmt: skip


def build(folder: Path) -> Path:
    """The site, in `folder`; what mkdocs complains about is in the error."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@dataclass
class Html(HTMLParser):
    """What a page links to, what it makes a browser fetch, and where a link may lead in it."""

    structure: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in STRUCTURE and given.get("class") != "headerlink":
            self.structure[tag] += 1
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag != "a":
            self.fetched += [given[name] for name in ("src", "href") if name in given]


def read(page: str) -> Html:
    found = Html()
    found.feed(page)
    return found


def article(page: Path) -> str:
    """What a page of the site says, without the navigation around it."""
    found = re.search(r"<article.*?>(.*)</article>", page.read_text("utf-8"), re.DOTALL)
    assert found is not None, page
    return found[1]
