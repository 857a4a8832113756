"""The pages joined into one ASGI application, behind the guard."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from provision.web.guard import Doorkeeper, Guard, Rejected
from provision.web.pages import access, device, fleet, ledger, metrics, runs, station
from provision.web.site import Site


def create_app(site: Site, doorkeeper: Doorkeeper) -> ASGIApp:
    """The application of a site; who is let in says the doorkeeper."""

    async def rejected(request: Request, error: Exception) -> Response:
        assert isinstance(error, Rejected)
        return site.rejected(request, error)

    async def bug(request: Request, error: Exception) -> Response:
        return site.rejected(
            request,
            Rejected(
                500,
                f"that is a mistake of this tool: {type(error).__name__}",
                "the terminal that `provision serve` runs in says more; jobs go on",
            ),
        )

    async def no_page(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = "there is no such page" if error.status_code == 404 else error.detail
        return site.rejected(request, Rejected(error.status_code, message))

    routes: list[BaseRoute] = [
        *access.routes(doorkeeper),
        *fleet.routes(site),
        *runs.routes(site),
        *device.routes(site),
        *station.routes(site),
        *ledger.routes(site),
        *metrics.routes(site),
    ]
    pages = Starlette(
        routes=routes,
        exception_handlers={Rejected: rejected, HTTPException: no_page, Exception: bug},
    )
    pages.router.redirect_slashes = False
    return Guard(pages, doorkeeper, show=site.rejected, tell_bug=site.tell_bug)
