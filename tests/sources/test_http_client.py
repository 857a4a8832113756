"""Whatever a server does, a download ends in the right bytes or in one clear error."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import ipaddress
import random
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from provision.errors import ImageError, SourceError
from provision.sources.cache import Cache
from provision.sources.http_client import DownloadRequest, HttpClient
from provision.sources.http_response import HttpSettings, public_url
from tests.fakes.web import (
    Handler,
    Site,
    content,
    cut,
    drip,
    endless,
    redirect,
    serving,
    stall,
    status,
    turns,
    wrong_length,
)

DATA = random.Random(6).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
HTML = b"<!DOCTYPE html>\n<html><body>Please log in</body></html>"

# Patient where a slow machine could make a sound answer look slow, and never pausing.
QUICK = HttpSettings(backoff=0, attempts=3)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def wanted(
    url: str, *, locked: bool = True, limit: int = 1 << 20, size: bool = True
) -> DownloadRequest:
    """The file, as locked with size and digest or as nobody knows it yet."""
    return DownloadRequest(
        url=url,
        name="fw.bin",
        limit=limit,
        sha256=SHA256 if locked else None,
        size=len(DATA) if locked and size else None,
    )


def kept(cache: Cache) -> list[Path]:
    """Every file of the cache but the locks."""
    return [
        path
        for path in cache.root.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.name != ".lock"
    ]


@pytest.mark.parametrize("locked", [True, False])
def test_a_file_is_fetched_once_and_kept(site: Site, cache: Cache, locked: bool) -> None:
    url = site.serve("/fw.bin", DATA)
    assert HttpClient(settings=QUICK).download(wanted(url, locked=locked), cache) == DATA
    assert cache.get(SHA256) == DATA
    assert HttpClient(settings=QUICK, offline=True).download(wanted(url), cache) == DATA
    assert len(site.asked("/fw.bin")) == 1
    assert [entry.url for entry in cache.entries()] == [url]


GOOD_IN_THE_END = {
    "500 then 200": [status(500), content(DATA)],
    "429 with Retry-After": [status(429, Retry_After="0"), content(DATA)],
    "cut, then all": [cut(DATA, 100_000), content(DATA, ranges=False)],
    "cut, then the rest": [cut(DATA, 100_000), content(DATA)],
    "cut chunked, then the rest": [cut(DATA, 100_000, chunked=True), content(DATA)],
    "cut, then the rest by etag": [cut(DATA, 100_000, etag='"a"'), content(DATA, etag='"a"')],
    "cut twice": [cut(DATA, 100_000), cut(DATA, 200_000), content(DATA)],
    "promises too much, then right": [cut(DATA, 0), content(DATA)],
}


@pytest.mark.parametrize("name", GOOD_IN_THE_END)
@pytest.mark.parametrize("locked", [True, False])
def test_what_may_pass_is_tried_again(site: Site, cache: Cache, name: str, locked: bool) -> None:
    url = site.serve("/fw.bin", turns(*GOOD_IN_THE_END[name]))
    assert HttpClient(settings=QUICK).download(wanted(url, locked=locked), cache) == DATA
    assert {path.name for path in kept(cache)} == {SHA256, f"{SHA256}.json"}


def test_a_file_replaced_while_it_was_fetched(site: Site, cache: Cache) -> None:
    routes = [cut(bytes(400_000), 9000, etag='"a"'), content(DATA, etag='"b"')]
    url = site.serve("/fw.bin", turns(*routes))
    assert HttpClient(settings=QUICK).download(wanted(url, locked=False), cache) == DATA
    assert site.asked("/fw.bin")[1]["If-Range"] == '"a"'


def test_a_download_goes_on_where_it_broke(site: Site, cache: Cache) -> None:
    url = site.serve("/fw.bin", turns(cut(DATA, 100_000), content(DATA)))
    assert HttpClient(settings=QUICK).download(wanted(url), cache) == DATA
    assert [headers.get("Range") for headers in site.asked("/fw.bin")] == [None, "bytes=100000-"]


def test_nothing_is_resumed_that_could_be_another_file(site: Site, cache: Cache) -> None:
    """Neither a digest nor an etag: the second half may be another file's."""
    url = site.serve("/fw.bin", turns(cut(DATA, 100_000), content(DATA)))
    assert HttpClient(settings=QUICK).download(wanted(url, locked=False), cache) == DATA
    assert [headers.get("Range") for headers in site.asked("/fw.bin")] == [None, None]


def test_two_halves_of_two_files_are_fetched_again_whole(site: Site, cache: Cache) -> None:
    url = site.serve("/fw.bin", turns(cut(bytes(len(DATA)), 100_000), content(DATA)))
    assert HttpClient(settings=QUICK).download(wanted(url), cache) == DATA
    assert [headers.get("Range") for headers in site.asked("/fw.bin")] == [
        None,
        "bytes=100000-",
        None,
    ]


def other_part(handler: Handler) -> None:
    handler.headers.replace_header("Range", "bytes=7-")
    content(DATA)(handler)


BAD = {
    "404": ([status(404)], "404"),
    "403": ([status(403)], "403"),
    "500 for ever": ([status(500)], r"500.*3 attempts"),
    "cut for ever": ([cut(DATA, 1000), status(416), cut(DATA, 1000)], "3 attempts"),
    "redirects in circles": ([redirect("/fw.bin")], "more than 10 times"),
    "redirects to a file": ([redirect("file:///etc/passwd")], "redirects to a file URL"),
    "redirects to ftp": ([redirect("ftp://127.0.0.1/fw.bin")], "redirects to a ftp URL"),
    "other bytes": ([content(bytes(len(DATA)))], "sha256"),
    "another length": ([content(DATA + b"x")], "has 300001 bytes"),
    "cuts itself short": ([wrong_length(DATA, 1000)], "has 1000 bytes"),
    "a page with 200": ([content(HTML, kind="text/html")], f"has {len(HTML)} bytes"),
    "a page as long": ([content(HTML.ljust(len(DATA)))], "web page"),
    "endless": ([endless()], "has 3[0-9]{5} bytes|larger than"),
    "endless, declared": ([endless(declared=True)], r"has \d+ bytes"),
    "another part": ([cut(DATA, 1000), other_part, status(500)], "3 attempts"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_stays_wrong_is_one_clear_error(site: Site, cache: Cache, name: str) -> None:
    routes, words = BAD[name]
    url = site.serve("/fw.bin", turns(*routes))
    with pytest.raises(SourceError, match=words) as caught:
        HttpClient(settings=QUICK).download(wanted(url), cache)
    assert url in caught.value.message
    assert caught.value.hint
    assert cache.entries() == []
    assert cache.get(SHA256) is None


@pytest.mark.parametrize("name", ["other bytes", "a page as long", "another length", "404"])
def test_nothing_is_kept_of_what_was_refused(site: Site, cache: Cache, name: str) -> None:
    url = site.serve("/fw.bin", turns(*BAD[name][0]))
    with pytest.raises(SourceError):
        HttpClient(settings=QUICK).download(wanted(url), cache)
    assert kept(cache) == []


@pytest.mark.parametrize(
    ("route", "words"),
    [(stall(DATA, 1000), "no data"), (drip(DATA), "too slowly"), (stall(DATA, 0), "no data")],
)
def test_an_answer_that_stalls_or_drips_is_given_up(
    site: Site, cache: Cache, route: object, words: str
) -> None:
    impatient = HttpSettings(
        backoff=0, attempts=2, read_timeout=0.3, slow_window=0.2, slow_rate=10_000
    )
    url = site.serve("/fw.bin", route)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match=words):
        HttpClient(settings=impatient).download(wanted(url), cache)
    assert len(site.asked("/fw.bin")) == 2


def test_an_undeclared_endless_answer_stops_at_the_limit(site: Site, cache: Cache) -> None:
    url = site.serve("/fw.bin", endless())
    with pytest.raises(SourceError, match="larger than 5000 bytes"):
        HttpClient(settings=QUICK).download(wanted(url, locked=False, limit=5000), cache)
    with pytest.raises(SourceError, match="larger than 5000 bytes"):
        HttpClient(settings=QUICK).fetch(url, limit=5000)
    assert kept(cache) == []


def test_a_check_that_refuses_keeps_nothing(site: Site, cache: Cache) -> None:
    def check(data: bytes) -> None:
        raise ImageError(f"these {len(data)} bytes are no image")

    url = site.serve("/fw.bin", DATA)
    with pytest.raises(ImageError, match="300000 bytes are no image"):
        HttpClient(settings=QUICK).download(
            DownloadRequest(url=url, name="fw.bin", limit=1 << 20, check=check), cache
        )
    assert kept(cache) == []


def test_redirects_are_followed(site: Site, cache: Cache) -> None:
    site.serve("/real/fw.bin", DATA)
    site.serve("/step", redirect("real/fw.bin", 307))
    url = site.serve("/fw.bin", redirect("/step", 301))
    assert HttpClient(settings=QUICK).download(wanted(url), cache) == DATA


def test_a_server_that_compresses_all_the_same(site: Site, cache: Cache) -> None:
    packed = gzip.compress(DATA)

    def route(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    url = site.serve("/fw.bin", route)
    assert HttpClient(settings=QUICK).download(wanted(url), cache) == DATA


def test_no_connection_at_all(cache: Cache) -> None:
    with serving() as gone:
        url = gone.url("/fw.bin")
    with pytest.raises(SourceError, match="no connection") as caught:
        HttpClient(settings=QUICK).download(wanted(url), cache)
    assert "network" in caught.value.hint


def test_offline_asks_nobody(site: Site, cache: Cache) -> None:
    url = site.serve("/fw.bin", DATA)
    with pytest.raises(SourceError, match="--offline") as caught:
        HttpClient(offline=True).download(wanted(url), cache)
    assert "fw.bin" in caught.value.message
    with pytest.raises(SourceError, match="--offline"):
        HttpClient(offline=True).fetch(url, limit=10)
    assert site.requests == []
    assert not cache.root.exists()


def test_documents(site: Site) -> None:
    http = HttpClient(settings=QUICK)
    page = site.serve("/page", turns(status(503), content(b"words")))
    with http.session():
        assert http.fetch(page, limit=100) == b"words"
        assert http.fetch(site.url("/none"), limit=100) is None
        assert http.fetch(site.serve("/gone", status(410)), limit=100) is None


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://",
        "fw.bin",
        "http://127.0.0.1:port/x",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/a\nHost: x",
        "http://[::1/x",
    ],
)
def test_what_is_no_web_address(cache: Cache, url: str) -> None:
    with pytest.raises(SourceError, match="not a URL"):
        HttpClient(settings=QUICK).download(wanted(url), cache)


def test_credentials_in_a_url_are_never_shown_or_kept(site: Site, cache: Cache) -> None:
    site.serve("/fw.bin?token=s3cret", turns(content(DATA), status(500)))
    url = site.base.replace("http://", "http://me:s3cret@") + "/fw.bin?token=s3cret"
    assert public_url(url) == site.url("/fw.bin")
    http = HttpClient(settings=QUICK)
    assert http.download(wanted(url), cache) == DATA
    for path in cache.root.rglob("*"):
        assert "s3cret" not in path.name
        assert path.is_dir() or b"s3cret" not in path.read_bytes()
    with pytest.raises(SourceError) as caught:
        http.fetch(url, limit=100)
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_progress_counts_what_is_there(site: Site, cache: Cache) -> None:
    seen: list[tuple[int, int | None]] = []
    url = site.serve("/fw.bin", turns(cut(DATA, 100_000), content(DATA)))
    HttpClient(
        settings=QUICK, progress=lambda url, done, total: seen.append((done, total))
    ).download(wanted(url), cache)
    assert seen[0] == (0, len(DATA))
    assert (100_000, len(DATA)) in seen
    assert seen[-1] == (len(DATA), len(DATA))
    assert seen == sorted(seen)


def test_a_proxy_of_the_environment_is_used(
    site: Site, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.base)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    site.serve("http://firmware.invalid/fw.bin", DATA)
    assert (
        HttpClient(settings=QUICK).download(wanted("http://firmware.invalid/fw.bin"), cache) == DATA
    )


def test_a_proxy_that_is_nonsense(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://x")
    with pytest.raises(SourceError, match="environment") as caught:
        HttpClient(settings=QUICK).download(wanted("http://firmware.invalid/fw.bin"), cache)
    assert "HTTP_PROXY" in caught.value.hint


# -- certificates --------------------------------------------------------------------------------


def certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that nobody trusts but who is told to, and a server's TLS."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = directory / "certificate.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = directory / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


def test_certificates(tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown certificate ends it at once; one that the system trusts is enough; nothing
    leads from https back to http."""
    public, context = certificate(tmp_path)
    with serving(context) as secure:
        url = secure.serve("/fw.bin", DATA)
        with pytest.raises(SourceError, match="certificate is not trusted") as caught:
            HttpClient(settings=QUICK).download(wanted(url), cache)
        assert "certificate" in caught.value.hint
        assert secure.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        assert HttpClient(settings=QUICK).download(wanted(url), cache) == DATA
        down = secure.serve("/down", redirect("http://127.0.0.1:1/fw.bin"))
        with pytest.raises(SourceError, match="from https to unencrypted http"):
            HttpClient(settings=QUICK).fetch(down, limit=100)


# -- processes -----------------------------------------------------------------------------------

FETCH = """
import os, resource, signal, sys
from pathlib import Path
from provision.errors import SourceError
from provision.sources.http_response import HttpSettings
from provision.sources.cache import Cache
from provision.sources.http_client import HttpClient, DownloadRequest

url, root, sha256, how = sys.argv[1:]
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

def progress(url, done, total):
    if how == "killed" and done > 150_000:
        os.kill(os.getpid(), signal.SIGKILL)

wanted = DownloadRequest(url=url, name="fw.bin", limit=1 << 20, sha256=sha256)
print("ready", flush=True)
try:
    http = HttpClient(settings=HttpSettings(backoff=0), progress=progress)
    data = http.download(wanted, Cache(Path(root)))
except SourceError as error:
    sys.exit(f"{error.message} | {error.hint}")
print(len(data))
"""


def fetching(url: str, cache: Cache, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, url, str(cache.root), SHA256, how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_kill_mid_download_is_gone_on_from(site: Site, cache: Cache) -> None:
    url = site.serve("/fw.bin", DATA)
    with fetching(url, cache, "killed") as child:
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert cache.entries() == []
    assert HttpClient(settings=QUICK).download(wanted(url), cache) == DATA
    again = site.asked("/fw.bin")[1].get("Range", "")
    assert int(again.removeprefix("bytes=").removesuffix("-")) > 50_000


def test_a_kill_after_the_last_byte_needs_no_network(site: Site, cache: Cache) -> None:
    url = site.serve("/fw.bin", DATA)
    with cache.partial(url) as partial:
        partial.start({"sha256": SHA256})
        partial.path.write_bytes(DATA)
    assert HttpClient(settings=QUICK).download(wanted(url), cache) == DATA
    assert site.requests == []


@pytest.mark.parametrize("garbage", [b"", b"x" * 1000, bytes(len(DATA)), bytes(len(DATA) * 2)])
@pytest.mark.parametrize("size", [True, False])
def test_garbage_in_a_partial_file_harms_nothing(
    site: Site, cache: Cache, garbage: bytes, size: bool
) -> None:
    url = site.serve("/fw.bin", DATA)
    with cache.partial(url) as partial:
        partial.start({"sha256": SHA256})
        partial.path.write_bytes(garbage)
    assert HttpClient(settings=QUICK).download(wanted(url, size=size), cache) == DATA


def test_two_processes_fetch_a_file_once(site: Site, cache: Cache) -> None:
    url = site.serve("/fw.bin", DATA)
    children = [fetching(url, cache, "plain") for _ in range(2)]
    outputs = [child.communicate() for child in children]
    assert outputs == [("ready\n300000\n", "")] * 2
    assert len(site.asked("/fw.bin")) == 1
    assert cache.get(SHA256) == DATA


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_leaves_nothing_and_says_so(site: Site, cache: Cache) -> None:
    url = site.serve("/fw.bin", DATA)
    with fetching(url, cache, "full") as child:
        _, words = child.communicate()
    assert child.returncode == 1
    assert "no space left for the cache" in words
    assert "PROVISION_CACHE_DIR" in words
    assert kept(cache) == []
    assert HttpClient(settings=QUICK).download(wanted(url), cache) == DATA
