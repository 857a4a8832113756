"""Downloads over HTTP: the right bytes, or one clear error.

The policy: five attempts at what may be transient (no connection, a broken or stalled one, 408, 429
and 5xx), with pauses that double from half a second or that `Retry-After` asks for, at most half a
minute. At most ten redirects, only to http and https, never from https to http. A broken download
is resumed if its sha256 is known or the server can prove by ETag that the file is still the same.
Proxies come from the environment, certificates from the system.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from provision._version import __version__
from provision.core.wording import plural
from provision.errors import SourceError
from provision.model.language import record
from provision.sources.http_response import (
    HttpSettings,
    TransientError,
    check_redirect,
    check_size,
    check_status,
    check_url,
    content_encoding,
    content_length,
    content_range,
    public_url,
    resume_validator,
    sha256_mismatch,
    translated_error,
    translating_errors,
)

if TYPE_CHECKING:
    import ssl

    import httpx

    from provision.sources.cache import Cache, PartialDownload

DownloadProgress = Callable[[str, int, "int | None"], None]
"""Called with the URL, the bytes received and the bytes in all (None while unknown); when the two
are equal, the download is over."""

Check = Callable[[bytes], None]
"""Raises when the bytes are not as expected; then none of them is kept."""

NETWORK_HINT = (
    "check the network, and HTTPS_PROXY if there is a proxy; what is in the cache or vendored "
    "needs no network"
)

T = TypeVar("T")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@record
class DownloadRequest:
    """One file to download: `name` is for messages, `limit` the most bytes it may have.

    Where `sha256` and `size` are known, the file must have them. `check` looks at the bytes before
    they are kept.
    """

    url: str
    name: str
    limit: int
    sha256: str | None = None
    size: int | None = None
    check: Check | None = None


class HttpClient:
    """Fetches pages and files. httpx is imported, and a connection made, at the first request."""

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
        """Share connections among the requests of this block; they are closed at its end."""
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

    def fetch(self, url: str, *, limit: int) -> bytes | None:
        """A small file, whole; None when the server answers 404 or 410. SourceError otherwise."""
        self._require_network(public_url(url))
        with self.session():
            return self._retry(url, lambda: self._fetch_once(url, limit))

    def download(self, request: DownloadRequest, cache: Cache) -> bytes:
        """The bytes of a file, from the cache, or downloaded, checked and then added to it.
        SourceError when they cannot be had or are not the right ones."""
        if request.sha256 is not None and (kept := cache.get(request.sha256)) is not None:
            return kept
        self._require_network(f"{request.name} ({public_url(request.url)})")
        with self.session(), cache.partial(request.url) as partial:
            if request.sha256 is not None and (kept := cache.get(request.sha256)) is not None:
                return kept  # another process was faster
            try:
                return self._download_to_cache(request, cache, partial)
            except BaseException:
                self._progress(request.url, 0, 0)  # over
                raise

    def _download_to_cache(
        self, request: DownloadRequest, cache: Cache, partial: PartialDownload
    ) -> bytes:
        sha256, size = request.sha256, request.size
        with cache.translating_errors():
            received, note = partial.resumable()
            # Without a sha256 to check the whole, bytes of an earlier run are not trusted: a power
            # cut may have left zeros.
            if sha256 is None or note.get("sha256") != sha256 or received > (size or request.limit):
                partial.discard()
                received = 0
        while True:
            try:
                # A kill between the last byte and the rename leaves a complete file.
                continued = received == size or self._retry(
                    request.url, lambda: self._receive(request, cache, partial)
                )
                with cache.translating_errors():
                    data = partial.path.read_bytes()
                found = hashlib.sha256(data).hexdigest()
                if sha256 is not None and found != sha256:
                    if not continued:
                        raise sha256_mismatch(request.url, data, found, sha256)
                    # Perhaps the halves of two different files: once more from the start.
                    received = 0
                    with cache.translating_errors():
                        partial.discard()
                    continue
                if request.check is not None:
                    request.check(data)
            except SourceError as error:
                if sha256 is None or not isinstance(error.__cause__, TransientError):
                    # What was refused is not kept, nor anything on a full disk.
                    partial.discard()
                raise
            cache.complete(partial, found, name=request.name, url=public_url(request.url))
            return data

    def _receive(self, request: DownloadRequest, cache: Cache, partial: PartialDownload) -> bool:
        """One attempt to receive the rest of the file into `partial`; returns whether it resumed
        from bytes of an earlier attempt."""
        url, limit, size, sha256 = request.url, request.limit, request.size, request.sha256
        with cache.translating_errors():
            received, note = partial.resumable()
        etag = note.get("validator", "")
        if note.get("encoded") or not (etag or sha256):
            received = 0
        headers = {"Range": f"bytes={received}-"} if received else {}
        if received and etag:
            headers["If-Range"] = etag
        with self._open(url, headers) as response:
            if response.status_code == 416:
                with cache.translating_errors():
                    partial.discard()
                raise TransientError("the server cannot resume the download")
            if response.status_code in (404, 410):
                raise SourceError(
                    f"{public_url(url)} does not exist: the server answered {response.status_code}",
                    hint="check the URL; if the release was withdrawn, `provision lock --upgrade` "
                    "looks for another",
                )
            if response.status_code == 206:
                start, total = content_range(response.headers.get("Content-Range", ""))
                if not received or start != received:
                    with cache.translating_errors():
                        partial.discard()
                    raise TransientError(
                        "the server sent another part of the file than was asked for"
                    )
            else:
                received = 0
                total = content_length(response)
            check_size(url, total, size, limit)
            with cache.translating_errors():
                if not received:
                    partial.start(
                        {
                            "url": public_url(url),
                            "sha256": sha256 or "",
                            "validator": resume_validator(response),
                            "encoded": content_encoding(response),
                        }
                    )
                file = partial.path.open("ab" if received else "wb")
            done = received
            self._progress(url, done, total)
            # Closing may write too, and fail on a full disk.
            with cache.translating_errors(), file:
                for chunk in self._chunks(response):
                    done += len(chunk)
                    check_size(url, done if total is None else max(done, total), None, limit)
                    file.write(chunk)
                    self._progress(url, done, total)
                file.flush()
                os.fsync(file.fileno())
            if total is not None and done != total:
                raise TransientError(f"the response ended after {done} of {total} bytes")
            check_size(url, done, size, limit)
            return received > 0

    def _fetch_once(self, url: str, limit: int) -> bytes | None:
        with self._open(url, {}) as response:
            if response.status_code in (404, 410):
                return None
            total = content_length(response)
            check_size(url, total, None, limit)
            data = bytearray()
            for chunk in self._chunks(response):
                data += chunk
                check_size(url, len(data), None, limit)
            return bytes(data)

    def _retry(self, url: str, attempt: Callable[[], T]) -> T:
        settings = self._settings
        number = 1
        while True:
            try:
                return attempt()
            except TransientError as failure:
                if number >= settings.attempts:
                    raise SourceError(
                        f"{public_url(url)} cannot be fetched: {failure} "
                        f"({plural(number, 'attempt')})",
                        hint=NETWORK_HINT,
                    ) from failure
                pause = max(failure.pause, settings.backoff * 2 ** (number - 1))
                # Many stations that failed together must not retry together.
                time.sleep(min(pause * random.uniform(1, 1.5), settings.longest_pause))
                number += 1

    @contextmanager
    def _open(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The response to a GET after redirects, with status 200, 206, 404, 410 or 416."""
        import httpx

        client = self._client = self._client or self._connect()
        current = url
        for _ in range(self._settings.redirects + 1):
            check_url(current)
            with translating_errors(self._settings):
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
                raise translated_error(error, self._settings) from error
            finally:
                response.close()
        raise SourceError(
            f"{public_url(url)} redirects more than {self._settings.redirects} times",
            hint="check the URL in a browser",
        )

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        """The body; TransientError when it arrives too slowly."""
        settings = self._settings
        begun, received = time.monotonic(), 0
        # Decoded, should a server compress although it was asked not to.
        for chunk in response.iter_bytes():
            received += len(chunk)
            yield chunk
            elapsed = time.monotonic() - begun
            if elapsed >= settings.slow_window:
                if received < settings.slow_rate * elapsed:
                    raise TransientError(
                        f"the server sends too slowly, {received} bytes in {elapsed:.1f} s"
                    )
                begun, received = time.monotonic(), 0

    def _require_network(self, what: str) -> None:
        if self._offline:
            raise SourceError(
                f"{what} is neither in the cache nor vendored, and --offline is given",
                hint="run once without --offline, or run `provision vendor` on a computer with a "
                "network and copy its directory here",
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
                f"the proxy or certificate settings of the environment cannot be used: {error}",
                hint="check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE",
            ) from error


def _no_progress(url: str, done: int, total: int | None) -> None:
    """Nobody is watching."""


def system_certificates() -> ssl.SSLContext:
    """TLS with the certificates that the operating system trusts, a company's own included, and
    those that SSL_CERT_FILE and SSL_CERT_DIR name."""
    import ssl

    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or directory:
        context.load_verify_locations(cafile=file or None, capath=directory or None)
    return context
