"""Packages as mip resolves them; nothing of them goes anywhere but below /lib."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.resolve.destinations import clean_dest
from provision.errors import SourceError
from provision.lockfile.entries import LockedFile, LockedPackage
from provision.sources.bytecode import package_bytecode
from provision.sources.cache import Cache
from provision.sources.http_client import HttpClient
from provision.sources.http_response import HttpSettings
from provision.sources.packages import PackageRequest, PackageResolver, PackageStore, check_path
from tests.fakes.indexes import serve_package, serve_package_names
from tests.fakes.web import Site, content, serving, status

QUICK = HttpSettings(backoff=0, attempts=2)
SIMPLE = b"M\x06\x00\x1f simple"
ROBUST = b"M\x06\x00\x1f robust"
SOURCE = b"# MQTT\n"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        serve_package(running, "umqtt.simple", {"umqtt/simple.mpy": SIMPLE}, version="1.4.0")
        serve_package(
            running, "umqtt.simple", {"umqtt/simple.py": SOURCE}, kind="py", version="1.4.0"
        )
        serve_package(
            running,
            "umqtt.robust",
            {"umqtt/robust.mpy": ROBUST},
            deps=[["umqtt.simple", "latest"]],
        )
        serve_package(running, "only-source", {"only.py": b"x = 1\n"}, kind="py")
        serve_package_names(running, {"umqtt.simple": ["1.3.4", "1.4.0"], "aioble": ["0.5.0"]})
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def resolver(site: Site, cache: Cache) -> PackageResolver:
    hosts = {
        f"{name}:": f"{site.base}/{name}/{{org}}/{{repo}}/{{ref}}/{{path}}"
        for name in ("github", "gitlab", "codeberg")
    }
    return PackageResolver(
        HttpClient(settings=QUICK), cache, index=f"{site.base}/pi/v2", hosts=hosts
    )


def serve_json(site: Site, path: str, **description: object) -> str:
    return site.serve(path, json.dumps(description).encode())


def contents(cache: Cache, package: LockedPackage) -> dict[str, bytes | None]:
    return {path: cache.get(file.sha256) for path, file in package.files.items()}


# -- what is found -------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", ["umqtt.simple", "umqtt.simple@1.4.0", "umqtt.simple@latest"])
def test_a_name_of_the_index(site: Site, cache: Cache, request_: str) -> None:
    package = resolver(site, cache).resolve(request_, "6")
    assert package.version == "1.4.0"
    assert contents(cache, package) == {"umqtt/simple.mpy": SIMPLE}
    (file,) = package.files.values()
    assert file.url.startswith(site.url("/pi/v2/file/"))
    assert (file.size, file.sha256) == (len(SIMPLE), hashlib.sha256(SIMPLE).hexdigest())


def test_the_bytecode_version_decides(site: Site, cache: Cache) -> None:
    found = resolver(site, cache)
    assert contents(cache, found.resolve("umqtt.simple", "py")) == {"umqtt/simple.py": SOURCE}
    assert contents(cache, found.resolve("only-source", "6")) == {"only.py": b"x = 1\n"}
    assert [package_bytecode(version) for version in ("1.24.1", "1.19", "1.18", None)] == [
        "6",
        "6",
        "5",
        "py",
    ]


def test_dependencies_come_along(site: Site, cache: Cache) -> None:
    package = resolver(site, cache).resolve("umqtt.robust", "6")
    assert contents(cache, package) == {"umqtt/robust.mpy": ROBUST, "umqtt/simple.mpy": SIMPLE}


def test_a_circle_of_dependencies_ends(site: Site, cache: Cache) -> None:
    serve_package(site, "hen", {"hen.mpy": SIMPLE}, deps=[["egg", "latest"]])
    serve_package(site, "egg", {"egg.mpy": ROBUST}, deps=[["hen", ""]])
    assert set(resolver(site, cache).resolve("hen", "6").files) == {"hen.mpy", "egg.mpy"}


@pytest.mark.parametrize("host", ["github", "gitlab", "codeberg"])
def test_a_repository(site: Site, cache: Cache, host: str) -> None:
    serve_json(
        site,
        f"/{host}/org/repo/v1/package.json",
        urls=[
            ["dev/__init__.py", f"{host}:org/repo/src/__init__.py"],
            ["dev/near.py", "src/near.py"],
            ["dev/far.py", site.url("/far.py")],
        ],
        deps=[["umqtt.simple", "1.4.0"], [f"{host}:org/other", "main"]],
        version="0.2",
    )
    serve_json(site, f"/{host}/org/other/main/package.json", urls=[["other.py", "other.py"]])
    site.serve(f"/{host}/org/repo/v1/src/__init__.py", b"")
    site.serve(f"/{host}/org/repo/v1/src/near.py", b"near = 1\n")
    site.serve(f"/{host}/org/other/main/other.py", b"other = 1\n")
    site.serve("/far.py", b"far = 1\n")
    package = resolver(site, cache).resolve(f"{host}:org/repo@v1", "6")
    assert package.version == "0.2"
    assert contents(cache, package) == {
        "dev/__init__.py": b"",
        "dev/far.py": b"far = 1\n",
        "dev/near.py": b"near = 1\n",
        "other.py": b"other = 1\n",
        "umqtt/simple.mpy": SIMPLE,
    }


def test_the_newest_state_of_a_repository_floats(site: Site, cache: Cache) -> None:
    site.serve("/github/org/repo/HEAD/dir/one.py", b"one = 1\n")
    request = PackageRequest.parse("github:org/repo/dir/one.py")
    assert request.unpinned
    assert not PackageRequest.parse("github:org/repo@v1").unpinned
    assert not PackageRequest.parse("umqtt.simple").unpinned
    package = resolver(site, cache).resolve(request.text, "py")
    assert contents(cache, package) == {"one.py": b"one = 1\n"}


def test_addresses(site: Site, cache: Cache) -> None:
    url = serve_json(site, "/pkg/package.json", urls=[["a/b.py", "b.py"]])
    site.serve("/pkg/b.py", b"b = 1\n")
    for request in (url, site.url("/pkg/"), site.url("/pkg")):
        assert set(resolver(site, cache).resolve(request, "6").files) == {"a/b.py"}
    assert set(resolver(site, cache).resolve(site.url("/pkg/b.py"), "6").files) == {"b.py"}


def test_one_file_listed_twice_alike_is_no_conflict(site: Site, cache: Cache) -> None:
    serve_package(site, "twin", {"umqtt/simple.mpy": SIMPLE}, deps=[["umqtt.simple", "latest"]])
    assert set(resolver(site, cache).resolve("twin", "6").files) == {"umqtt/simple.mpy"}


# -- what is refused -----------------------------------------------------------------------------

CLIMBING = [
    "../main.py",
    "a/../../main.py",
    "a/..",
    "..",
    ".",
    "./a.py",
    "",
    "/main.py",
    "//main.py",
    "a//b.py",
    "a/",
    "C:/main.py",
    "c:main.py",
    "..\\main.py",
    "a\\b.py",
    "a\0b.py",
    "a\nb.py",
    "\x7f.py",
    "a" * 300,
    None,
    7,
    ["a"],
]


@pytest.mark.parametrize("path", CLIMBING)
def test_a_path_that_leads_elsewhere_is_refused(path: object) -> None:
    with pytest.raises(SourceError, match="refused"):
        check_path(path, "evil")


@given(st.text(max_size=30))
def test_a_path_that_is_taken_stays_below_its_directory(path: str) -> None:
    try:
        taken = check_path(path, "evil")
    except SourceError:
        return
    assert posixpath.normpath(f"/lib/{taken}") == f"/lib/{taken}"
    assert clean_dest(f"/lib/{taken}") == f"/lib/{taken}"


@pytest.mark.parametrize("path", CLIMBING)
@pytest.mark.parametrize("key", ["hashes", "urls"])
def test_a_package_with_such_a_path_is_refused_before_it_is_fetched(
    site: Site, cache: Cache, path: object, key: str
) -> None:
    listed = "abcdef0123456789" if key == "hashes" else site.url("/evil.py")
    url = serve_json(site, "/evil/package.json", **{key: [["good.py", listed], [path, listed]]})
    with pytest.raises(SourceError, match="refused"):
        resolver(site, cache).resolve(url, "6")
    assert [asked for asked, _ in site.requests] == ["/evil/package.json"]
    assert not cache.root.exists()


def test_a_lock_with_such_a_path_is_refused(site: Site, cache: Cache) -> None:
    file = LockedFile(
        url=site.serve("/f", SOURCE), size=len(SOURCE), sha256=hashlib.sha256(SOURCE).hexdigest()
    )
    package = LockedPackage(version="", files={"../main.py": file})
    store = PackageStore(HttpClient(settings=QUICK), cache, {("evil", "6"): package})
    with pytest.raises(SourceError, match="refused"):
        list(store.files("evil", "6"))


BROKEN: dict[str, tuple[object, str]] = {
    "a page": (b"<!DOCTYPE html><html>", "a web page"),
    "no JSON": (b"{", "not JSON"),
    "too deep": (b"[" * 100_000, "not JSON"),
    "no object": ([], "not a JSON object"),
    "no list": ({"urls": {}}, "not a list"),
    "no pair": ({"urls": [["a.py"]]}, "not a pair"),
    "no URL": ({"urls": [["a.py", 7]]}, "not the URL"),
    "a climbing URL": ({"urls": [["a.py", "../../../other/a.py"]]}, "not the URL"),
    "a file URL": ({"urls": [["a.py", "file:///etc/passwd"]]}, "not a URL"),
    "no hash": ({"hashes": [["a.py", "../../x"]]}, "not the hash"),
    "a short hash": ({"hashes": [["a.py", "abc"]]}, "not the hash"),
    "a strange need": ({"deps": [["../../x", ""]]}, "not a package"),
    "half a repository": ({"urls": [["a.py", "github:org"]]}, "not name a repository"),
    "a page for a file": ({"urls": [["a.py", "page.py"]]}, "a web page"),
    "strange bytecode": ({"urls": [["a.mpy", "circuit.mpy"]]}, "not MicroPython bytecode"),
    "old bytecode": ({"urls": [["a.mpy", "old.mpy"]]}, "bytecode version 5"),
    "a missing file": ({"urls": [["a.py", "missing.py"]]}, "404"),
    "a huge package.json": (b" " * 2_000_000, "larger than"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_is_one_clear_error(site: Site, cache: Cache, name: str) -> None:
    description, words = BROKEN[name]
    data = description if isinstance(description, bytes) else json.dumps(description).encode()
    url = site.serve("/broken/package.json", data)
    site.serve("/broken/page.py", b"<!DOCTYPE html>")
    site.serve("/broken/circuit.mpy", b"C\x06\x00\x1f")
    site.serve("/broken/old.mpy", b"M\x05\x00\x1f")
    with pytest.raises(SourceError, match=words) as caught:
        resolver(site, cache).resolve(url, "6")
    assert caught.value.hint
    assert cache.entries() == []


def test_a_file_that_is_not_the_one_listed(site: Site, cache: Cache) -> None:
    digest = hashlib.sha256(SIMPLE).hexdigest()[:8]
    site.serve(f"/pi/v2/file/{digest[:2]}/{digest}", ROBUST)
    with pytest.raises(SourceError, match=r"not .* as listed"):
        resolver(site, cache).resolve("umqtt.simple", "6")
    assert cache.entries() == []


def test_two_packages_with_different_files_for_one_place(site: Site, cache: Cache) -> None:
    serve_package(site, "rival", {"umqtt/simple.mpy": ROBUST}, deps=[["umqtt.simple", "latest"]])
    with pytest.raises(SourceError, match="different files") as caught:
        resolver(site, cache).resolve("rival", "6")
    for word in ("rival", "umqtt.simple", "/lib/umqtt/simple.mpy"):
        assert word in caught.value.message


def test_endless_dependencies(site: Site, cache: Cache) -> None:
    for number in range(210):
        serve_package(site, f"p{number}", {}, deps=[[f"p{number + 1}", ""]])
    with pytest.raises(SourceError, match="depends on more than 200 packages"):
        resolver(site, cache).resolve("p0", "6")


@pytest.mark.parametrize(
    ("deps", "said"),
    [
        ([["zzzz", "1.0"]], "the package index has no zzzz@1.0 (middle depends on it)"),
        ([["github:org/gone", ""]], "there is no package github:org/gone: nothing at "),
        ([["not a name", ""]], "'not a name' is not a package request (middle depends on it)"),
        ([["evil", ""]], "the package evil is refused: the path '../x.py' in it "),
    ],
)
def test_a_dependency_that_cannot_be_had_says_who_wants_it(
    site: Site, cache: Cache, deps: list[list[str]], said: str
) -> None:
    """The manifest names neither of the two."""
    serve_package(site, "top", {}, deps=[["middle", ""]])
    serve_package(site, "middle", {}, deps=deps)
    serve_json(
        site, "/pi/v2/package/6/evil/latest.json", hashes=[["../x.py", "00112233"]], version="1"
    )
    with pytest.raises(SourceError) as caught:
        resolver(site, cache).resolve("top", "6")
    assert caught.value.message.startswith(said)
    assert "(middle depends on it)" in caught.value.message


def test_a_name_of_this_tool_is_refused(site: Site, cache: Cache) -> None:
    for path in (".provision~", "a/.provision~b/c.py"):
        serve_json(site, "/pi/v2/package/6/own/latest.json", hashes=[[path, "00112233"]])
        with pytest.raises(SourceError, match=r"begins with \.provision~"):
            resolver(site, cache).resolve("own", "6")


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        ("umqtt.simpel", "did you mean umqtt.simple"),
        ("umqtt.simple@9.9", "1.3.4, 1.4.0"),
        ("zzzz", "micropython-lib"),
    ],
)
def test_a_name_that_the_index_has_not(site: Site, cache: Cache, request_: str, hint: str) -> None:
    with pytest.raises(SourceError, match="index has no") as caught:
        resolver(site, cache).resolve(request_, "6")
    assert hint in caught.value.hint


def test_a_server_that_fails_is_not_taken_for_a_missing_package(site: Site, cache: Cache) -> None:
    site.serve("/pi/v2/package/6/umqtt.simple/latest.json", status(500))
    with pytest.raises(SourceError, match="500"):
        resolver(site, cache).resolve("umqtt.simple", "6")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@1.0",
        "a b",
        "../x",
        "a/b",
        "github:org",
        "github:org/../x",
        "github:/x",
        "bitbucket:org/repo",
        "a@b@c d",
        "github:org/repo@../../x",
        "umqtt.simple@1/2",
        "file:///x/package.json",
    ],
)
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(SourceError, match=r"not a package|not a URL"):
        PackageRequest.parse(text)


# -- what is locked ------------------------------------------------------------------------------


def test_locked_packages_need_neither_index_nor_network(site: Site, cache: Cache) -> None:
    locked = {("umqtt.robust", "6"): resolver(site, cache).resolve("umqtt.robust", "6")}
    asked = len(site.requests)
    store = PackageStore(HttpClient(offline=True), cache, locked)
    found = {file.path: file.data for file in store.files("umqtt.robust", "6")}
    assert found == {"umqtt/robust.mpy": ROBUST, "umqtt/simple.mpy": SIMPLE}
    assert len(site.requests) == asked
    for request, kind in (("umqtt.robust", "py"), ("other", "6")):
        with pytest.raises(SourceError, match=r"no entry .* in fleet\.lock") as caught:
            list(store.files(request, kind))
        assert "provision lock" in caught.value.hint


def test_a_locked_file_that_the_server_changed(site: Site, cache: Cache, tmp_path: Path) -> None:
    site.serve("/one.py", b"one = 1\n")
    url = site.url("/one.py")
    locked = {(url, "py"): resolver(site, cache).resolve(url, "py")}
    site.serve("/one.py", content(b"one = 2\n"))
    fresh = Cache(tmp_path / "fresh")
    with pytest.raises(SourceError, match=r"fleet\.lock says|was expected"):
        list(PackageStore(HttpClient(settings=QUICK), fresh, locked).files(url, "py"))
    assert fresh.entries() == []
