"""The fleet: a tile a device, filters, and what can be started with the devices that are chosen."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from provision.web.jobs import ACTIONS
from provision.web.pieces import active_jobs
from provision.web.site import Site
from provision.web.tiles import FILTERS, summary


def routes(site: Site) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        await run_in_threadpool(site.project.refresh)
        mark = site.fleet_topic.mark
        wanted = {
            name: request.query_params.get(name, "")[:100] for name in ("group", "state", "name")
        }
        tiles = site.tiles.all()
        groups = sorted({group for tile in tiles for group in tile.groups})
        return site.page(
            request,
            "fleet.html",
            tiles=[tile for tile in tiles if tile.matches(**wanted)],
            total=len(tiles),
            counts=summary(tiles),
            groups=groups,
            states=list(FILTERS),
            wanted=wanted,
            actions=ACTIONS,
            jobs=active_jobs(site.queue),
            not_started=site.not_started if not site.queue.jobs else (),
            mark=mark,
        )

    async def live(request: Request) -> Response:
        return site.stream(request, site.fleet_topic)

    return [Route("/", show), Route("/live", live)]
