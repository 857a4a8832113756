"""The release index: which image a version, a board and a variant stand for.

The index is a directory of pages as micropython.org's are: `download/BOARD/` links every build of
a board as `/resources/firmware/BOARD[-VARIANT]-DATE-vVERSION.bin`. Only `provision lock` looks
there; what it found is in fleet.lock from then on.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from provision.errors import SourceError
from provision.sources.http_response import public_url
from provision.sources.releases import LATEST, Version

if TYPE_CHECKING:
    from provision.model.state import FirmwareSource
    from provision.sources.http_client import Http

RELEASES = "https://micropython.org"
PACKAGES = "https://micropython.org/pi/v2"
_PAGE_LIMIT = 8 * 1024 * 1024

_FILE = re.compile(
    r"(?P<name>[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*?)-(?P<date>\d{8})-(?:unstable-)?"
    r"v(?P<version>\d{1,6}\.\d{1,6}(?:\.\d{1,6})?(?:-[0-9A-Za-z.+-]{1,100}?)?)\.bin",
    re.ASCII,
)
_BOARD = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Indexes:
    """Where to look things up: base URLs without a trailing slash."""

    releases: str = RELEASES
    packages: str = PACKAGES

    @classmethod
    def choose(cls, *, releases: str | None = None, packages: str | None = None) -> Indexes:
        """The manifest's choice, or micropython.org; `PROVISION_INDEX`, the base URL of a
        mirror of that site, goes before both."""
        mirror = os.environ.get("PROVISION_INDEX", "").rstrip("/")
        if mirror:
            return cls(releases=mirror, packages=f"{mirror}/pi/v2")
        return cls(
            releases=(releases or RELEASES).rstrip("/"),
            packages=(packages or PACKAGES).rstrip("/"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One build that a page links; `date` as the file name has it, 20241129."""

    board: str
    variant: str
    version: Version
    date: str
    url: str

    @property
    def sort_key(self) -> tuple[object, str]:
        return (self.version.sort_key, self.date)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def read_page(page: str, board: str, base: str) -> list[Release]:
    """The builds that a board's download page links, other boards' left out.

    The links are taken by their file names and sought below the index's own base, so that a
    mirror serves what it mirrors.
    """
    links = _Links()
    links.feed(page)
    found = {}
    for link in links.found:
        try:
            name = unquote(urlsplit(link).path.rpartition("/")[2])
        except ValueError:
            continue  # no URL at all, which a browser would not follow either
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        built_for, _, variant = match["name"].partition("-")
        if built_for.upper() != board.upper():
            continue
        found[name] = Release(
            board=built_for,
            variant=variant,
            version=Version.parse(match["version"]),
            date=match["date"],
            url=f"{base}/resources/firmware/{quote(name)}",
        )
    return list(found.values())


def resolve(source: FirmwareSource, http: Http, base: str) -> Release:
    """The build that a version, board and variant stand for.

    Releases alone unless `preview` is set; `latest` is the newest of them. SourceError, naming
    what there is, when there is no such build.
    """
    board = source.board
    if board is None or source.version is None:
        raise SourceError(
            f"the firmware {source.name!r} does not say which board's builds to look for",
            hint="add `board:` with its name on micropython.org/download, like ESP32_GENERIC",
        )
    if _BOARD.fullmatch(board) is None:
        raise SourceError(
            f"{board!r} is no board name of the release index",
            hint="it is the last part of the address of its download page, like ESP32_GENERIC",
        )
    page_url = f"{base}/download/{board}/"
    page = http.document(page_url, limit=_PAGE_LIMIT)
    if page is None:
        raise SourceError(
            f"the release index knows no board {board}: there is no page {public_url(page_url)}",
            hint="look the name up at micropython.org/download; it is case-sensitive",
        )
    builds = read_page(page.decode("utf-8", "replace"), board, base)
    if not builds:
        raise SourceError(
            f"{public_url(page_url)} links no image of {board}: it is another page, or the site "
            "changed its form",
            hint="open it in a browser; a network that wants a login shows its own page there",
        )
    return _choose(source, board, builds)


def _choose(source: FirmwareSource, board: str, builds: list[Release]) -> Release:
    variant = (source.variant or "").upper()
    variants = sorted({build.variant for build in builds})
    of_variant = [build for build in builds if build.variant.upper() == variant]
    if not of_variant:
        named = ", ".join(name or "(none)" for name in variants)
        raise SourceError(
            f"{board} has no variant {source.variant!r}"
            if variant
            else f"{board} has no build without a variant",
            hint=f"its variants are: {named}",
        )
    stable = [build for build in of_variant if not build.version.preview]
    allowed = of_variant if source.preview else stable
    if source.version == LATEST:
        matching = allowed
    else:
        wanted = Version.parse(source.version or "")
        matching = [build for build in allowed if wanted.covers(build.version)]
        if not matching and any(wanted.covers(build.version) for build in of_variant):
            raise SourceError(
                f"{wanted} of {board} is a preview, not a release",
                hint=f"add `preview: true` to the firmware {source.name!r} to use it all the same",
            )
    if not matching:
        names = [str(build.version) for build in sorted(allowed, key=_newest_first)]
        raise SourceError(
            f"there is no {'build' if source.preview else 'release'} {source.version} "
            f"for {request_name(board, source.variant)}",
            hint=f"there are {', '.join(names[:8])}" if names else "there is none at all",
        )
    return max(matching, key=lambda build: build.sort_key)


def _newest_first(build: Release) -> tuple[int, ...]:
    return tuple(-number for number in build.version.numbers)


def request_name(board: str, variant: str | None) -> str:
    """Board and variant as file names have them: ESP32_GENERIC-SPIRAM."""
    return f"{board}-{variant}" if variant else board
