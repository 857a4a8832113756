"""Logging in with a token that is pasted, logging out, whether the server is there, and what stands
for itself: styles and scripts."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from provision._version import __version__
from provision.web.guard import LOG_IN, LOG_OUT, Doorkeeper, form_of
from provision.web.rendering import STATIC


def routes(doorkeeper: Doorkeeper) -> Sequence[BaseRoute]:
    async def log_in(request: Request) -> Response:
        return doorkeeper.log_in(str(form_of(request).get("token", "")), "/")

    async def log_out(_request: Request) -> Response:
        return doorkeeper.log_out()

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    return [
        Route(LOG_IN, log_in, methods=["POST"]),
        Route(LOG_OUT, log_out, methods=["POST"]),
        Route("/healthz", health),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
