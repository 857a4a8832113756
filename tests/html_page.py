"""A page of HTML as a tree, for tests that look for what is in it, not for how it is written."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

VOID = {"br", "hr", "img", "input", "link", "meta"}


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.builder = TreeBuilder()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.builder.end(tag)
        else:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "every element is closed where it was opened"
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        if self._open:
            self.builder.data(data)


def parsed(page: str) -> Element:
    """The root of a page; AssertionError for one whose elements do not nest."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    return parser.builder.close()


def text(element: Element) -> str:
    """All text in it, white space made one."""
    return " ".join("".join(element.itertext()).split())


def texts(root: Element, path: str) -> list[str]:
    """That of every element that ElementTree's `path` finds."""
    return [text(each) for each in root.iterfind(path)]


def section(root: Element, name: str) -> Element:
    """The section with that id in its heading."""
    (found,) = root.iterfind(f".//section[@aria-labelledby='{name}']")
    return found


def rows(root: Element) -> list[list[str]]:
    """The cells of all tables' bodies in it."""
    return [[text(cell) for cell in row] for row in root.iterfind(".//tbody/tr")]
