"""HTTP: what a server sends becomes the right bytes or one clear error.

Decided here: five attempts in all, for what may pass (no connection, a broken or stalled one,
408, 429 and 5xx), with pauses that double from half a second and what `Retry-After` asks, at most
half a minute. Redirects, ten at most, only to http and https and never from https back to http. A
download goes on where it broke when the server can tell that the file is still the same one, or
when the sha256 is known and can. Proxies come from the environment, certificates from the system.
"""

from __future__ import annotations

import hashlib
import os
import random
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from provision._version import __version__
from provision.errors import SourceError
from provision.sources.http_response import (
    HttpSettings,
    Passing,
    check_redirect,
    check_size,
    check_status,
    check_url,
    content_range,
    encoding,
    failure,
    length,
    mismatch,
    public_url,
    translated,
    validator,
)

if TYPE_CHECKING:
    import httpx

    from provision.sources.cache import Cache, Partial

DownloadProgress = Callable[[str, int, "int | None"], None]
"""Called with the URL, the bytes there are and the bytes in all, None while that is unknown; when
the two are the same, the download is over."""

Check = Callable[[bytes], None]
"""Raises when bytes are not what they should be; then nothing of them is kept."""

NETWORK_HINT = (
    "check the network, and HTTPS_PROXY if there is a proxy; what is in the cache or vendored "
    "needs no network"
)

T = TypeVar("T")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One file to download: `name` is what people call it, `limit` the most bytes it may have.

    With `sha256` and `size`, where known, it must be the very file that was locked. `check` looks
    at the bytes before they are kept.
    """

    url: str
    name: str
    limit: int
    sha256: str | None = None
    size: int | None = None
    check: Check | None = None


class Http:
    """Fetches documents and files. Nothing is connected, nor httpx imported, before it must."""

    def __init__(
        self,
        *,
        offline: bool = False,
        settings: HttpSettings | None = None,
        progress: DownloadProgress | None = None,
    ) -> None:
        self._offline = offline
        self._settings = settings or HttpSettings()
        self._progress = progress or _no_progress
        self._client: httpx.Client | None = None
        self._shared = False

    @contextmanager
    def session(self) -> Iterator[None]:
        """Keep connections for the requests of this block; they are closed at its end."""
        if self._shared:
            yield
            return
        self._shared = True
        try:
            yield
        finally:
            self._shared = False
            client, self._client = self._client, None
            if client is not None:
                client.close()

    def document(self, url: str, *, limit: int) -> bytes | None:
        """A small file, whole and in memory; None when the server says that there is none."""
        self._need_network(public_url(url))
        with self.session():
            return self._attempts(url, lambda: self._document(url, limit))

    def download(self, wanted: Wanted, cache: Cache) -> bytes:
        """The bytes of a file, from the cache or else downloaded and kept there once they are
        known to be right; SourceError for everything that comes between."""
        if wanted.sha256 is not None and (kept := cache.get(wanted.sha256)) is not None:
            return kept
        self._need_network(f"{wanted.name} ({public_url(wanted.url)})")
        with self.session(), cache.partial(wanted.url) as partial:
            if wanted.sha256 is not None and (kept := cache.get(wanted.sha256)) is not None:
                return kept  # another process was faster
            try:
                return self._complete(wanted, cache, partial)
            except BaseException:
                self._progress(wanted.url, 0, 0)  # over: nothing is to be waited for
                raise

    def _complete(self, wanted: Wanted, cache: Cache, partial: Partial) -> bytes:
        sha256, size = wanted.sha256, wanted.size
        with cache.translated():
            held, note = partial.resumable()
            # Without a digest to prove the whole, bytes of an earlier run are not trusted: what
            # a power cut left of them may be zeros.
            if sha256 is None or note.get("sha256") != sha256 or held > (size or wanted.limit):
                partial.discard()
                held = 0
        while True:
            try:
                # A kill between the last byte and the rename leaves a file that is whole.
                continued = held == size or self._attempts(
                    wanted.url, lambda: self._receive(wanted, cache, partial)
                )
                with cache.translated():
                    data = partial.path.read_bytes()
                found = hashlib.sha256(data).hexdigest()
                if sha256 is not None and found != sha256:
                    if not continued:
                        raise mismatch(wanted.url, data, found, sha256)
                    # Two halves of two different files, perhaps: once more from the start.
                    held = 0
                    with cache.translated():
                        partial.discard()
                    continue
                if wanted.check is not None:
                    wanted.check(data)
            except SourceError as error:
                if sha256 is None or not isinstance(error.__cause__, Passing):
                    # Nothing is kept of what was refused, nor on a disk that is full.
                    partial.discard()
                raise
            cache.adopt(partial, found, name=wanted.name, url=public_url(wanted.url))
            return data

    def _receive(self, wanted: Wanted, cache: Cache, partial: Partial) -> bool:
        """One attempt to have the rest of the file in `partial`; whether it went on from bytes
        that an earlier attempt had left there."""
        url, limit, size, sha256 = wanted.url, wanted.limit, wanted.size, wanted.sha256
        with cache.translated():
            held, note = partial.resumable()
        tag = note.get("validator", "")
        if note.get("encoded") or not (tag or sha256):
            held = 0
        headers = {"Range": f"bytes={held}-"} if held else {}
        if held and tag:
            headers["If-Range"] = tag
        with self._open(url, headers) as response:
            if response.status_code == 416:
                with cache.translated():
                    partial.discard()
                raise Passing("the server cannot go on where the download broke")
            if response.status_code in (404, 410):
                raise SourceError(
                    f"{public_url(url)} does not exist: the server answered {response.status_code}",
                    hint="check the URL; a release may have been withdrawn: "
                    "`provision lock --upgrade` looks for it again",
                )
            if response.status_code == 206:
                start, total = content_range(response.headers.get("Content-Range", ""))
                if not held or start != held:
                    with cache.translated():
                        partial.discard()
                    raise Passing("the server sent another part of the file than it was asked for")
            else:
                held = 0
                total = length(response)
            check_size(url, total, size, limit)
            with cache.translated():
                if not held:
                    partial.start(
                        {
                            "url": public_url(url),
                            "sha256": sha256 or "",
                            "validator": validator(response),
                            "encoded": encoding(response),
                        }
                    )
                file = partial.path.open("ab" if held else "wb")
            done = held
            self._progress(url, done, total)
            # Closing may write too, and fail on a full disk.
            with cache.translated(), file:
                for chunk in self._chunks(response):
                    done += len(chunk)
                    check_size(url, done if total is None else max(done, total), None, limit)
                    file.write(chunk)
                    self._progress(url, done, total)
                file.flush()
                os.fsync(file.fileno())
            if total is not None and done != total:
                raise Passing(f"the answer ended after {done} of {total} bytes")
            check_size(url, done, size, limit)
            return held > 0

    def _document(self, url: str, limit: int) -> bytes | None:
        with self._open(url, {}) as response:
            if response.status_code in (404, 410):
                return None
            total = length(response)
            check_size(url, total, None, limit)
            data = bytearray()
            for chunk in self._chunks(response):
                data += chunk
                check_size(url, len(data), None, limit)
            return bytes(data)

    def _attempts(self, url: str, attempt: Callable[[], T]) -> T:
        settings = self._settings
        number = 1
        while True:
            try:
                return attempt()
            except Passing as passing:
                if number >= settings.attempts:
                    raise SourceError(
                        f"{public_url(url)} cannot be fetched: {passing} "
                        f"({number} attempt{'s' if number > 1 else ''})",
                        hint=NETWORK_HINT,
                    ) from passing
                pause = max(passing.pause, settings.backoff * 2 ** (number - 1))
                # A room full of stations must not come back all at once.
                time.sleep(min(pause * random.uniform(1, 1.5), settings.longest_pause))
                number += 1

    @contextmanager
    def _open(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The answer to a GET, redirects followed: 200, 206, 404, 410 or 416."""
        import httpx

        client = self._client = self._client or self._connect()
        current = url
        for _ in range(self._settings.redirects + 1):
            check_url(current)
            with translated(self._settings):
                request = client.build_request("GET", current, headers=headers)
                response = client.send(request, stream=True)
            try:
                if response.status_code in _REDIRECTS and "Location" in response.headers:
                    target = urljoin(current, response.headers["Location"])
                    check_redirect(url, current, target)
                    current = target
                    continue
                check_status(url, response)
                yield response
                return
            except httpx.HTTPError as error:  # of the caller's block, while it reads
                raise failure(error, self._settings) from error
            finally:
                response.close()
        raise SourceError(
            f"{public_url(url)} redirects in circles, more than {self._settings.redirects} times",
            hint="check the URL in a browser",
        )

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        """The body, given up on when it only drips."""
        settings = self._settings
        begun, received = time.monotonic(), 0
        # Decoded, should a server compress although it was asked not to.
        for chunk in response.iter_bytes():
            received += len(chunk)
            yield chunk
            elapsed = time.monotonic() - begun
            if elapsed >= settings.slow_window:
                if received < settings.slow_rate * elapsed:
                    raise Passing(
                        f"the server sends too slowly, {received} bytes in {elapsed:.1f} s"
                    )
                begun, received = time.monotonic(), 0

    def _need_network(self, what: str) -> None:
        if self._offline:
            raise SourceError(
                f"{what} is neither in the cache nor vendored, and --offline forbids to fetch it",
                hint="run once without --offline, or run `provision vendor` on a computer that "
                "has a network and take its directory along",
            )

    def _connect(self) -> httpx.Client:
        import httpx

        try:
            return httpx.Client(
                verify=system_certificates(),
                timeout=httpx.Timeout(
                    self._settings.read_timeout, connect=self._settings.connect_timeout
                ),
                follow_redirects=False,
                headers={
                    "User-Agent": f"provision/{__version__}",
                    "Accept-Encoding": "identity",
                },
            )
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            raise SourceError(
                f"the network cannot be used as the environment says: {error}",
                hint="check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE",
            ) from error


def _no_progress(url: str, done: int, total: int | None) -> None:
    """Nobody is watching."""


def system_certificates() -> ssl.SSLContext:
    """TLS with the certificates that the operating system trusts, a company's own among them,
    and those that SSL_CERT_FILE and SSL_CERT_DIR name."""
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or directory:
        context.load_verify_locations(cafile=file or None, capath=directory or None)
    return context
