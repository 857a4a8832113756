"""What an HTTP response, or its absence, means: go on, retry (TransientError), or a SourceError."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from provision.errors import SourceError
from provision.model.language import record

if TYPE_CHECKING:
    import httpx

CHANGED_HINT = (
    "if the file was replaced on purpose, `provision lock --upgrade` locks the new one; "
    "if not, ask the server's owner"
)

_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})


@record
class HttpSettings:
    """Times are in seconds. A response slower than `slow_rate` bytes per second over `slow_window`
    counts as stalled."""

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    slow_rate: float = 500.0
    slow_window: float = 30.0
    attempts: int = 5
    backoff: float = 0.5
    longest_pause: float = 30.0
    redirects: int = 10


class TransientError(Exception):
    """A failure that a retry may cure; `pause` is the seconds that the server asked to wait."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


def public_url(url: str) -> str:
    """A URL as it may be shown and stored: without user name, password and query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return "(a malformed URL)"
    if ":" in host:
        host = f"[{host}]"
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))


def check_url(url: str) -> None:
    """SourceError for anything but an http or https URL."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in url):
        raise SourceError(
            f"{url!r} is not a URL to download from",
            hint="only http:// and https:// URLs are downloaded; use `file:` for a file on this "
            "computer",
        )


def check_redirect(url: str, current: str, target: str) -> None:
    """SourceError for a redirect from `current` to `target` that is not followed."""
    scheme = urlsplit(target).scheme.lower()
    if scheme not in ("http", "https"):
        raise SourceError(
            f"{public_url(url)} redirects to a {scheme or 'malformed'} URL, which is not followed",
            hint="check the URL in a browser",
        )
    if scheme == "http" and urlsplit(current).scheme.lower() == "https":
        raise SourceError(
            f"{public_url(url)} redirects from https to unencrypted http, which is not followed",
            hint="a network that wants a login does this: log in with a browser, then run again",
        )


def check_status(url: str, response: httpx.Response) -> None:
    """Return for a usable status; TransientError or SourceError for any other."""
    status = response.status_code
    if status in (200, 404, 410):
        return
    asked = "Range" in response.request.headers
    if status in (206, 416) and asked:
        return
    words = f"the server answered {status} {response.reason_phrase}".rstrip()
    if status in _RETRYABLE:
        raise TransientError(words, _retry_after(response.headers.get("Retry-After", "")))
    hint = "check the URL in a browser"
    if status in (401, 403):
        hint = "the server wants a login; download the file yourself and name it with `file:`"
    if status == 407:
        hint = "the proxy wants a login: put it in HTTPS_PROXY as http://user:password@host:port"
    raise SourceError(f"{public_url(url)} cannot be fetched: {words}", hint=hint)


def check_size(url: str, found: int | None, locked: int | None, limit: int) -> None:
    """SourceError when a size in bytes, if known, is not the locked one or over the limit."""
    if found is None:
        return
    if locked is not None and found != locked:
        raise SourceError(
            f"{public_url(url)} has {found} bytes, but fleet.lock says {locked}: the file was "
            "replaced, or a proxy or login page answered instead; nothing was kept",
            hint=CHANGED_HINT,
        )
    if found > limit:
        raise SourceError(
            f"{public_url(url)} is larger than {limit} bytes, the limit for such a file",
            hint="check the URL",
        )


def sha256_mismatch(url: str, data: bytes, found: str, expected: str) -> SourceError:
    """The error for a complete download with another sha256 than expected."""
    what = "a web page" if looks_like_html(data) else f"content with the sha256 {found}"
    return SourceError(
        f"{public_url(url)} sent {what}, but the sha256 {expected} was expected; nothing was kept",
        hint=CHANGED_HINT,
    )


def looks_like_html(data: bytes) -> bool:
    """Whether these bytes are a web page rather than a file."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype", b"<html", b"<head", b"<?xml"))


def content_length(response: httpx.Response) -> int | None:
    """The bytes to come; None where the server does not say, or compresses them."""
    text = response.headers.get("Content-Length", "")
    proper = text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if proper and not content_encoding(response) else None


def content_encoding(response: httpx.Response) -> str:
    """How the body is compressed, "" when it is not."""
    encoding: str = response.headers.get("Content-Encoding", "")
    return "" if encoding.lower() == "identity" else encoding


def content_range(text: str) -> tuple[int, int | None]:
    """First byte and size in all (None if unknown) of a Content-Range; (-1, None) if malformed."""
    match = re.fullmatch(r"bytes ([0-9]{1,19})-[0-9]{1,19}/([0-9]{1,19}|\*)", text.strip())
    if match is None:
        return -1, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


def resume_validator(response: httpx.Response) -> str:
    """What `If-Range` may hold: a strong ETag. A date is too coarse to prove anything."""
    etag: str = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else ""


def _retry_after(text: str) -> float:
    """Seconds of a Retry-After header; its other form, a date, is ignored."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


@contextmanager
def translating_errors(settings: HttpSettings) -> Iterator[None]:
    """Turn an httpx error of the block into a TransientError or SourceError."""
    import httpx

    try:
        yield
    except httpx.InvalidURL as error:
        raise SourceError(f"malformed URL: {error}", hint="check the URL in a browser") from error
    except httpx.HTTPError as error:
        raise translated_error(error, settings) from error


def translated_error(error: httpx.HTTPError, settings: HttpSettings) -> Exception:
    """The TransientError or SourceError for an exception of httpx."""
    import httpx

    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return TransientError(f"no connection within {settings.connect_timeout:g} s")
        case httpx.TimeoutException():
            return TransientError(f"no data for {settings.read_timeout:g} s")
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError() | httpx.TooManyRedirects():
            return SourceError(f"the request is impossible: {error}", hint="check the URL")
        case httpx.DecodingError():
            return TransientError(f"the response cannot be decompressed: {error}")
        case httpx.ProxyError():
            return SourceError(
                f"the proxy refused: {error}", hint="check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
            )
        case _ if _certificate_fault(error):
            return SourceError(
                f"the server's certificate is not trusted: {error}",
                hint="check this computer's clock; behind a company's proxy, add the proxy's "
                "certificate to the system's or name it in SSL_CERT_FILE",
            )
        case httpx.ConnectError():
            return TransientError(f"no connection: {error}")
        case httpx.RemoteProtocolError() | httpx.NetworkError():
            return TransientError(f"the connection broke: {error}")
        case _:
            return TransientError(f"{type(error).__name__}: {error}")


def _certificate_fault(error: BaseException) -> bool:
    import ssl  # as httpx has it already; a run that asks no server need not

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
