"""A version, a board and a variant become one image, or an error that tells what there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32S3
from provision.errors import ImageError, ProvisionError, SourceError
from provision.lockfile.entries import Lock, LockedFile, LockedFirmware, request_key
from provision.model.state import FirmwareSource
from provision.sim.esp.firmware import build
from provision.sources.cache import Cache
from provision.sources.http_client import HttpClient
from provision.sources.http_response import HttpSettings
from provision.sources.images import FirmwareResolver, ImageStore
from provision.sources.release_index import IndexUrls, find_release
from tests.fakes.indexes import serve_releases
from tests.fakes.web import Site, content, serving

QUICK = HttpSettings(backoff=0, attempts=2)
V124 = build(ESP32, "1.24.1")
V123 = build(ESP32, "1.23.0")
PREVIEW = build(ESP32, "1.25.0-preview.31.g1234567")
IMAGES = {
    "ESP32_GENERIC-20241129-v1.24.1.bin": V124,
    "ESP32_GENERIC-20240602-v1.23.0.bin": V123,
    "ESP32_GENERIC-20220618-v1.9.4.bin": b"old",
    "ESP32_GENERIC-20241201-v1.25.0-preview.9.gabcdef0.bin": b"older preview",
    "ESP32_GENERIC-20250101-v1.25.0-preview.31.g1234567890.bin": PREVIEW,
    "ESP32_GENERIC-SPIRAM-20241129-v1.24.1.bin": b"with SPIRAM",
    "ESP32_GENERIC-FLASH_2M-20241129-v1.24.1.bin": b"small",
    "ESP32_GENERIC-20230901-unstable-v1.20.0-400-gabcdef0.bin": b"unstable",
    "ESP32_GENERIC_S3-20241129-v1.24.1.bin": b"another board",
}


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        serve_releases(running, "ESP32_GENERIC", IMAGES)
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def source(version: str | None = "1.24.1", **more: object) -> FirmwareSource:
    values = {"name": "fw", "board": "ESP32_GENERIC", "version": version, **more}
    return FirmwareSource(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (source("1.24.1"), "ESP32_GENERIC-20241129-v1.24.1.bin"),
        (source("v1.23"), "ESP32_GENERIC-20240602-v1.23.0.bin"),
        (source("1.23.0", preview=True), "ESP32_GENERIC-20240602-v1.23.0.bin"),
        (source("latest"), "ESP32_GENERIC-20241129-v1.24.1.bin"),
        (
            source("latest", preview=True),
            "ESP32_GENERIC-20250101-v1.25.0-preview.31.g1234567890.bin",
        ),
        (
            source("1.25.0-preview", preview=True),
            "ESP32_GENERIC-20250101-v1.25.0-preview.31.g1234567890.bin",
        ),
        (
            source("1.25.0-preview.9", preview=True),
            "ESP32_GENERIC-20241201-v1.25.0-preview.9.gabcdef0.bin",
        ),
        (source(variant="SPIRAM"), "ESP32_GENERIC-SPIRAM-20241129-v1.24.1.bin"),
        (source(variant="flash_2m"), "ESP32_GENERIC-FLASH_2M-20241129-v1.24.1.bin"),
        (source("1.9.4"), "ESP32_GENERIC-20220618-v1.9.4.bin"),
    ],
)
def test_chooses(site: Site, wanted: FirmwareSource, name: str) -> None:
    release = find_release(wanted, HttpClient(settings=QUICK), site.base)
    assert release.url == site.url(f"/resources/firmware/{name}")


@pytest.mark.parametrize(
    ("wanted", "words", "hint"),
    [
        (source("1.99.0"), "no release 1.99.0", "1.24.1, 1.23.0, 1.9.4"),
        (source("1.24"), "no release 1.24", "1.24.1"),
        (source("1.25.0-preview"), "is a preview", "preview: true"),
        (source("1.25.0"), "no release 1.25.0", "1.24.1"),
        (source(variant="OTA"), "no variant 'OTA'", "FLASH_2M, SPIRAM"),
        (source(board="ESP32_GENRIC"), "no board ESP32_GENRIC", "micropython.org/download"),
        (source(board=None), "no board to find", "board:"),
        (source(board="../../etc"), "not a board name", "download page"),
    ],
)
def test_an_error_tells_what_there_is(
    site: Site, wanted: FirmwareSource, words: str, hint: str
) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        find_release(wanted, HttpClient(settings=QUICK), site.base)
    assert hint in caught.value.hint


def test_a_page_that_is_another_one(site: Site) -> None:
    site.serve("/download/ESP32_GENERIC/", content(b"<html>Please log in</html>"))
    with pytest.raises(SourceError, match="no link to an image"):
        find_release(source(), HttpClient(settings=QUICK), site.base)


def test_links_to_elsewhere_are_sought_below_the_mirror(site: Site) -> None:
    """A mirror that copies the pages as they are serves what it mirrors."""
    page = (
        '<a href="https://micropython.org/resources/firmware/ESP32_GENERIC-20241129-v1.24.1.bin">'
    )
    site.serve("/mirror/download/ESP32_GENERIC/", page.encode())
    release = find_release(source(), HttpClient(settings=QUICK), site.url("/mirror"))
    assert release.url == site.url("/mirror/resources/firmware/ESP32_GENERIC-20241129-v1.24.1.bin")


def test_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROVISION_INDEX", raising=False)
    assert IndexUrls.choose() == IndexUrls(
        releases="https://micropython.org", packages="https://micropython.org/pi/v2"
    )
    assert IndexUrls.choose(releases="http://a/", packages="http://b/").packages == "http://b"
    monkeypatch.setenv("PROVISION_INDEX", "http://mirror/")
    assert IndexUrls.choose(releases="http://a") == IndexUrls(
        releases="http://mirror", packages="http://mirror/pi/v2"
    )


# -- from the index to the image -----------------------------------------------------------------


def locking(site: Site, cache: Cache, root: Path) -> FirmwareResolver:
    return FirmwareResolver(root, HttpClient(settings=QUICK), cache, releases=site.base)


def test_what_is_locked_is_had_without_a_network(site: Site, cache: Cache, tmp_path: Path) -> None:
    wanted = [source("1.24.1"), source("latest"), source("latest", preview=True)]
    wanted.append(FirmwareSource(name="u", url=site.serve("/own.bin", V123), version="1.23.0"))
    resolver = locking(site, cache, tmp_path)
    locked = Lock(firmware={request_key(one): resolver.resolve(one) for one in wanted})
    assert [entry.version for entry in locked.firmware.values()] == [
        "1.24.1",
        "1.24.1",
        "1.25.0-preview.31.g1234567",
        "1.23.0",
    ]
    asked = len(site.requests)
    store = ImageStore(tmp_path, offline=True, locked=locked, cache=cache)
    found = [store.firmware(one) for one in wanted]
    assert [firmware.data for firmware in found] == [V124, V124, PREVIEW, V123]
    assert [store.version(one) for one in wanted] == [
        firmware.identity.version for firmware in found
    ]
    assert len(site.requests) == asked


def test_an_empty_cache_fetches_the_very_bytes_that_are_locked(
    site: Site, cache: Cache, tmp_path: Path
) -> None:
    locked = Lock(
        firmware={request_key(source()): locking(site, cache, tmp_path).resolve(source())}
    )
    site.serve("/download/ESP32_GENERIC/", b"the index is not asked again")
    fresh = Cache(tmp_path / "fresh")
    store = ImageStore(tmp_path, locked=locked, cache=fresh, http=HttpClient(settings=QUICK))
    assert store.firmware(source()).data == V124
    site.serve("/resources/firmware/ESP32_GENERIC-20241129-v1.24.1.bin", V123)
    other = ImageStore(
        tmp_path, locked=locked, cache=Cache(tmp_path / "other"), http=HttpClient(settings=QUICK)
    )
    with pytest.raises(SourceError, match=r"fleet\.lock says|was expected"):
        other.firmware(source())
    assert Cache(tmp_path / "other").entries() == []


IMPOSTORS: dict[str, tuple[bytes, type[ProvisionError], str]] = {
    "web page": (b"<!DOCTYPE html><html>login</html>", ImageError, "web page"),
    "cut short": (V124[:-3000], ImageError, "cut short|damaged"),
    "another version": (V123, SourceError, r"is MicroPython 1\.23\.0.*declares 1\.24\.1"),
    "another chip": (build(ESP32S3, "1.24.1"), SourceError, "ESP32-S3"),
    "an ELF": (b"\x7fELF" + bytes(5000), ImageError, "ELF"),
}


@pytest.mark.parametrize("name", IMPOSTORS)
@pytest.mark.parametrize("by_url", [True, False])
def test_what_is_no_such_image_is_not_locked_and_not_kept(
    site: Site, cache: Cache, tmp_path: Path, name: str, by_url: bool
) -> None:
    data, kind, words = IMPOSTORS[name]
    path = "/resources/firmware/ESP32_GENERIC-20241129-v1.24.1.bin"
    url = site.serve(path, data)
    wanted = source(url=url) if by_url else source()
    with pytest.raises(kind, match=words):
        locking(site, cache, tmp_path).resolve(wanted)
    assert cache.entries() == []


def test_a_sha256_in_the_manifest_is_as_good_as_a_lock(
    site: Site, cache: Cache, tmp_path: Path
) -> None:
    url = site.serve("/own.bin", V123)
    sha256 = locking(site, cache, tmp_path).resolve(FirmwareSource(name="u", url=url)).file.sha256
    store = ImageStore(tmp_path, cache=Cache(tmp_path / "fresh"), http=HttpClient(settings=QUICK))
    pinned = FirmwareSource(name="u", url=url, sha256=sha256.upper())
    assert store.firmware(pinned).data == V123
    with pytest.raises(SourceError, match=r"no entry in fleet\.lock"):
        store.firmware(FirmwareSource(name="u", url=url))


def test_a_sha256_that_the_lock_contradicts(cache: Cache, tmp_path: Path) -> None:
    entry = LockedFirmware(file=LockedFile(url="http://a/b", size=1, sha256="a" * 64), version="")
    wanted = source(sha256="b" * 64)
    store = ImageStore(tmp_path, locked=Lock(firmware={request_key(wanted): entry}), cache=cache)
    with pytest.raises(SourceError) as caught:
        store.firmware(wanted)
    assert "a" * 64 in caught.value.message
    assert "b" * 64 in caught.value.message


def test_a_file_that_changed_since_it_was_locked(site: Site, cache: Cache, tmp_path: Path) -> None:
    path = tmp_path / "own.bin"
    path.write_bytes(V123)
    wanted = FirmwareSource(name="own", file="own.bin")
    locked = Lock(firmware={"own.bin": locking(site, cache, tmp_path).resolve(wanted)})
    assert locked.firmware["own.bin"].file.url == ""
    assert ImageStore(tmp_path, locked=locked).firmware(wanted).data == V123
    path.write_bytes(V124)
    with pytest.raises(SourceError, match=r"fleet\.lock has") as caught:
        ImageStore(tmp_path, locked=locked).firmware(wanted)
    assert "provision lock" in caught.value.hint
