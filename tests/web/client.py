"""A browser without a window: requests to an application in this process, with a jar of cookies.

Its event loop has a thread of its own: that of a test may have one already, of the real browser.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
from starlette.types import ASGIApp

T = TypeVar("T")


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """In a thread of its own: a worker that has run the real browser has a loop already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, asyncio.wait_for(scene(), 60)).result()


class Client:
    """Sends one request after the other; nobody follows redirects."""

    def __init__(self, app: ASGIApp, base_url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=base_url, follow_redirects=False
        )

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        return self._run(self._client.request(method, url, **options))

    def _run(self, what: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(self._loop.run_until_complete, what).result()

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self.request("POST", url, **options)

    def close(self) -> None:
        self._run(self._client.aclose())
        self._run(self._loop.shutdown_default_executor())
        self._thread.shutdown()
        self._loop.close()
