"""A web server on the loopback interface that serves what a test tells it to, and misbehaves.

Routes are functions that answer one request; `Site.requests` remembers what was asked for.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        site = self.site
        with site.turn:
            site.requests.append((self.path, dict(self.headers)))
        route = site.routes.get(self.path, status(404))
        with suppress(BrokenPipeError, ConnectionResetError):
            route(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, or did not like our certificate, is no news."""


Route = Callable[[Handler], None]


class Site:
    """Routes by path. `stopping` is set when the server goes, so that no route outlives it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.routes: dict[str, Route] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.turn = threading.Lock()
        self.stopping = threading.Event()

    def url(self, path: str) -> str:
        return self.base + path

    def serve(self, path: str, route: Route | bytes) -> str:
        """Add a route, or plain content; returns its URL."""
        self.routes[path] = content(route) if isinstance(route, bytes) else route
        return self.url(path)

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of each request for a path."""
        return [headers for asked, headers in self.requests if asked == path]


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A running server on a port of its own; gone, with its threads, when the block ends."""

    class Bound(Handler):
        pass

    server = Server(("127.0.0.1", 0), Bound)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    site = Site(f"{scheme}://127.0.0.1:{server.server_address[1]}")
    Bound.site = site
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    try:
        yield site
    finally:
        site.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _head(handler: Handler, code: int, headers: dict[str, str]) -> None:
    handler.send_response(code)
    for name, value in {"Connection": "close", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.flush()
    handler.close_connection = True


def content(data: bytes, *, etag: str = "", ranges: bool = True, kind: str = "") -> Route:
    """The data, or the part of it that is asked for; an `If-Range` of another etag gets all."""

    def route(handler: Handler) -> None:
        asked = handler.headers.get("Range", "")
        valid = handler.headers.get("If-Range", etag) == etag
        headers = {"ETag": f"{etag}"} if etag else {}
        headers["Content-Type"] = kind or "application/octet-stream"
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        if asked and ranges and start >= len(data):
            _head(handler, 416, {"Content-Length": "0"})
            return
        if asked and ranges and valid:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            _head(handler, 206, {**headers, "Content-Length": str(len(data) - start)})
            handler.wfile.write(data[start:])
            return
        _head(handler, 200, {**headers, "Content-Length": str(len(data))})
        handler.wfile.write(data)

    return route


def status(code: int, **headers: str) -> Route:
    def route(handler: Handler) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        _head(handler, code, {"Content-Length": "0", **names})

    return route


def redirect(target: str, code: int = 302) -> Route:
    return status(code, Location=target)


def cut(data: bytes, after: int, *, etag: str = "", chunked: bool = False) -> Route:
    """All is promised, and the connection closed after some bytes."""

    def route(handler: Handler) -> None:
        headers = {"ETag": etag} if etag else {}
        if chunked:
            _head(handler, 200, {**headers, "Transfer-Encoding": "chunked"})
            handler.wfile.write(b"%x\r\n" % after + data[:after] + b"\r\n")
        else:
            _head(handler, 200, {**headers, "Content-Length": str(len(data))})
            handler.wfile.write(data[:after])

    return route


def wrong_length(data: bytes, declared: int) -> Route:
    def route(handler: Handler) -> None:
        _head(handler, 200, {"Content-Length": str(declared)})
        handler.wfile.write(data)

    return route


def endless(*, declared: bool = False) -> Route:
    """Zeros for as long as anybody reads them."""

    def route(handler: Handler) -> None:
        _head(handler, 200, {"Content-Length": str(1 << 40)} if declared else {})
        while not handler.site.stopping.is_set():
            handler.wfile.write(bytes(65536))

    return route


def drip(data: bytes) -> Route:
    """One byte at a time, steadily."""

    def route(handler: Handler) -> None:
        _head(handler, 200, {"Content-Length": str(len(data))})
        for position in range(len(data)):
            handler.wfile.write(data[position : position + 1])
            handler.wfile.flush()
            if handler.site.stopping.wait(0.01):
                return

    return route


def stall(data: bytes, after: int) -> Route:
    """Some bytes, then nothing, the connection open."""

    def route(handler: Handler) -> None:
        _head(handler, 200, {"Content-Length": str(len(data))})
        handler.wfile.write(data[:after])
        handler.wfile.flush()
        handler.site.stopping.wait()

    return route


def turns(*routes: Route) -> Route:
    """Each request gets the next answer, those after the last one the last again."""
    waiting = list(routes)

    def route(handler: Handler) -> None:
        with handler.site.turn:
            current = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        current(handler)

    return route
