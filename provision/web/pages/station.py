"""The station for a monitor on the wall: a tile a socket, PASS and FAIL to be read from three
metres; and what starts and ends it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from provision.errors import ProvisionError
from provision.station.shift import ShiftOptions
from provision.web.guard import Rejected, form_of
from provision.web.site import Site


def routes(site: Site) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        _must_be_there(site)
        mark = site.station_topic.mark
        return site.page(request, "station.html", desk=site.desk, mark=mark)

    async def live(request: Request) -> Response:
        return site.stream(request, site.station_topic)

    async def start(request: Request) -> Response:
        _must_be_there(site)
        form = form_of(request)
        options = ShiftOptions(
            ledger=site.ledger,
            operator=str(form.get("operator", "")).strip()[:100] or None,
            yes="yes" in form,
            rework="rework" in form,
            dry="dry" in form,
            allow_hooks=site.allow_hooks,
        )
        try:
            await run_in_threadpool(site.desk.start, options)
        except ProvisionError as error:
            raise Rejected(409, error.message, error.hint) from error
        return RedirectResponse("/station", 303)

    async def stop(_request: Request) -> Response:
        site.desk.stop()
        return RedirectResponse("/station", 303)

    return [
        Route("/station", show),
        Route("/station/live", live),
        Route("/station/start", start, methods=["POST"]),
        Route("/station/stop", stop, methods=["POST"]),
    ]


def _must_be_there(site: Site) -> None:
    if not site.has_station:
        raise Rejected(
            404, "the manifest has no station", "docs/station.md has a `station:` to begin with"
        )
