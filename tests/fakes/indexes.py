"""The two indexes of micropython.org, as far as this tool looks at them, on a `Site`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from tests.fakes.web import Site, content


def serve_releases(site: Site, board: str, images: Mapping[str, bytes]) -> None:
    """A board's download page and its images, by file name; beside each link the ones that the
    real page has too, which are no images."""
    rows = []
    for name, data in images.items():
        site.serve(f"/resources/firmware/{name}", data)
        stem = name.removesuffix(".bin")
        rows.append(
            f'<strong><a href="/resources/firmware/{name}">{stem} .bin</a></strong> / '
            f'<a href="/resources/firmware/{stem}.app-bin">[.app-bin]</a> / '
            f'<a href="/resources/firmware/{stem}.elf">[.elf]</a> / '
            f'<a href="https://github.com/micropython/micropython/releases">[Release notes]</a><br>'
        )
    page = (
        "<!doctype html><html><head><title>MicroPython</title></head><body>"
        f'<a href="/download/">All boards</a><a name="top"><h2>Firmware</h2>{"".join(rows)}'
        '<a href="/resources/firmware/OTHER_BOARD-20240602-v1.23.0.bin">other</a></body></html>'
    )
    site.serve(f"/download/{board}/", content(page.encode(), kind="text/html"))


def serve_package(
    site: Site,
    name: str,
    files: Mapping[str, bytes],
    *,
    kind: str = "6",
    version: str = "1.0.0",
    deps: list[list[str]] | None = None,
    latest: bool = True,
) -> None:
    """A package of the mip index below /pi/v2: its description and its files by hash."""
    hashes = []
    for path, data in files.items():
        digest = hashlib.sha256(data).hexdigest()[:8]
        site.serve(f"/pi/v2/file/{digest[:2]}/{digest}", data)
        hashes.append([path, digest])
    description = {"v": 1, "hashes": hashes, "urls": [], "deps": deps or [], "version": version}
    text = json.dumps(description).encode()
    site.serve(f"/pi/v2/package/{kind}/{name}/{version}.json", text)
    if latest:
        site.serve(f"/pi/v2/package/{kind}/{name}/latest.json", text)


def serve_package_names(site: Site, versions: Mapping[str, list[str]]) -> None:
    """The list of all packages."""
    packages = [
        {"name": name, "version": known[-1], "versions": {"6": known, "py": known}}
        for name, known in versions.items()
    ]
    site.serve("/pi/v2/index.json", json.dumps({"v": 2, "packages": packages}).encode())
