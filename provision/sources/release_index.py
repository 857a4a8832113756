"""The release index: the image for a version, a board and a variant.

An index has pages like micropython.org's: `download/BOARD/` links every build of a board as
`/resources/firmware/BOARD[-VARIANT]-DATE-vVERSION.bin` (`.uf2` where its chip takes that). Only
`provision lock` looks there; the result is in fleet.lock from then on.
"""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from provision.core.chips.registry import chip_of_release, family_of
from provision.errors import SourceError
from provision.model.language import record
from provision.sources.http_response import public_url
from provision.sources.releases import LATEST, Version

if TYPE_CHECKING:
    from provision.model.state import FirmwareSource
    from provision.sources.http_client import HttpClient

RELEASES = "https://micropython.org"
PACKAGES = "https://micropython.org/pi/v2"
_PAGE_LIMIT = 8 * 1024 * 1024

_FILE = re.compile(
    r"(?P<name>[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*?)-(?P<date>\d{8})-(?:unstable-)?"
    r"v(?P<version>\d{1,6}\.\d{1,6}(?:\.\d{1,6})?(?:-[0-9A-Za-z.+-]{1,100}?)?)(?P<suffix>\.bin|\.uf2)",
    re.ASCII,
)
_BOARD = re.compile(r"[A-Za-z0-9_]+")


@record
class IndexUrls:
    """The indexes to look things up in: base URLs without a trailing slash."""

    releases: str = RELEASES
    packages: str = PACKAGES

    @classmethod
    def choose(cls, *, releases: str | None = None, packages: str | None = None) -> IndexUrls:
        """Those of the manifest, or micropython.org. `PROVISION_INDEX`, the base URL of a mirror
        of that site, overrides both."""
        mirror = os.environ.get("PROVISION_INDEX", "").rstrip("/")
        if mirror:
            return cls(releases=mirror, packages=f"{mirror}/pi/v2")
        return cls(
            releases=(releases or RELEASES).rstrip("/"),
            packages=(packages or PACKAGES).rstrip("/"),
        )


@record
class Release:
    """One build that a page links; `date` is as in the file name, 20241129."""

    board: str
    variant: str
    version: Version
    date: str
    url: str
    suffix: str = ".bin"

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


def parse_page(page: str, board: str, base: str) -> list[Release]:
    """The builds of a board that its download page links.

    Only the file names of the links are used, below the index's own base URL, so that a mirror
    serves its own copies.
    """
    links = _Links()
    links.feed(page)
    found = {}
    for link in links.found:
        try:
            name = unquote(urlsplit(link).path.rpartition("/")[2])
        except ValueError:
            continue  # not a URL, which a browser would not follow either
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
            suffix=match["suffix"],
        )
    return _of_one_kind(board, list(found.values()))


def _of_one_kind(board: str, builds: list[Release]) -> list[Release]:
    """The builds that the board's chip is flashed with: some have a UF2 file beside them that is
    for another bootloader."""
    chip = chip_of_release(board)
    if chip is not None:
        suffix = family_of(chip).image_suffix
    else:  # a name that does not tell
        suffixes = {build.suffix for build in builds}
        suffix = ".bin" if ".bin" in suffixes else ".uf2"
    return [build for build in builds if build.suffix == suffix]


def find_release(source: FirmwareSource, http: HttpClient, base: str) -> Release:
    """The build for a source's version, board and variant; `base` is the index's URL.

    Releases only, unless `preview` is set; `latest` is the newest of them. SourceError, naming
    what is available, when there is no such build.
    """
    board = source.board
    if board is None or source.version is None:
        raise SourceError(
            f"the firmware {source.name!r} has a version, but no board to find the build for",
            hint="add `board:` with its name on micropython.org/download, like ESP32_GENERIC",
        )
    if _BOARD.fullmatch(board) is None:
        raise SourceError(
            f"the firmware {source.name!r}: {board!r} is not a board name of the release index",
            hint="it is the last part of the address of its download page, like ESP32_GENERIC",
        )
    page_url = f"{base}/download/{board}/"
    page = http.fetch(page_url, limit=_PAGE_LIMIT)
    if page is None:
        raise SourceError(
            f"the release index has no board {board}: {public_url(page_url)} does not exist",
            hint="look the name up at micropython.org/download; it is case-sensitive",
        )
    builds = parse_page(page.decode("utf-8", "replace"), board, base)
    if not builds:
        raise SourceError(
            f"{public_url(page_url)} has no link to an image of {board}: it is another page, or "
            "its format has changed",
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
            hint=f"available variants: {named}",
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
                hint=f"add `preview: true` to the firmware {source.name!r} to use it anyway",
            )
    if not matching:
        names = [str(build.version) for build in sorted(allowed, key=_newest_first)]
        raise SourceError(
            f"there is no {'build' if source.preview else 'release'} {source.version} "
            f"for {release_name(board, source.variant)}",
            hint=f"available: {', '.join(names[:8])}" if names else "none is available",
        )
    return max(matching, key=lambda build: build.sort_key)


def _newest_first(build: Release) -> tuple[int, ...]:
    return tuple(-number for number in build.version.numbers)


def release_name(board: str, variant: str | None) -> str:
    """Board and variant as file names have them: ESP32_GENERIC-SPIRAM."""
    return f"{board}-{variant}" if variant else board
