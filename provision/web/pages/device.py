"""One device: what it is and was, its plan with reasons, its runs and backups, what lies on its
board, and what that prints.

To look into a board interrupts its app for a moment, and takes its port: that is a job of the queue
like any other, started by whoever may operate. What came of it is shown to whoever may look,
secrets masked; a file as it is on the board goes to whoever may operate.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from provision.errors import UsageError
from provision.web.device_pieces import last_look, last_row
from provision.web.guard import Rejected, form_of, require_operate
from provision.web.jobs import Look
from provision.web.site import Site

HISTORY = 20  # runs that the page lists
_LOOKS: dict[str, Look] = {"facts": "facts", "list": "ls", "read": "cp"}


def routes(site: Site) -> Sequence[Route]:
    async def show(request: Request) -> Response:
        await run_in_threadpool(site.project.refresh)  # the device may be new, or gone
        device = _device(site, request)
        topic = site.device_topic(device)
        mark = topic.mark
        desired, tile = site.project.devices[device], site.tiles.tile(device)
        plugged = site.project.status.get(device)
        recorded = await run_in_threadpool(site.recorded)
        runs = [run for run in recorded if device in run.devices]
        row, run = await run_in_threadpool(last_row, site.queue, device, runs, site.view)
        backups = await run_in_threadpool(site.backups_of, device)
        return site.page(
            request,
            "device.html",
            device=device,
            desired=desired,
            plugged=plugged,
            tile=tile,
            row=row,
            row_run=run,
            facts=site.notes.facts(device),
            listing=site.notes.listing(device),
            look=last_look(site.queue, device),
            jobs=[job for job in site.queue.jobs if device in job.devices and not job.view.over],
            runs=runs[:HISTORY],
            backups=backups,
            console=site.consoles.state(device),
            mark=mark,
        )

    async def live(request: Request) -> Response:
        return site.stream(request, site.device_topic(_device(site, request)))

    async def look(request: Request) -> Response:
        device = _device(site, request)
        what: str = request.path_params["what"]
        if what not in _LOOKS:
            raise Rejected(404, "there is no such action", "use the buttons of the page")
        place, path = f"/devices/{device}", None
        if what == "read":
            file = str(form_of(request).get("file", ""))
            entry = site.notes.entry(device, file)
            if entry is None:
                raise _no_such_file(device)
            path, place = entry.path, f"{place}/files/{file}"
        try:
            await run_in_threadpool(site.queue.submit, _LOOKS[what], [device], path=path)
        except UsageError as error:
            raise Rejected(409, error.message, error.hint) from error
        return RedirectResponse(place if what == "read" else f"{place}#{what}", 303)

    async def file(request: Request) -> Response:
        device, file = _device(site, request), request.path_params["file"]
        mark = site.device_topic(device).mark
        entry, found = site.notes.entry(device, file), site.notes.file(device, file)
        if entry is None and found is None:
            raise _no_such_file(device)
        return site.page(
            request,
            "file.html",
            device=device,
            id=file,
            path=found.path if found is not None else entry.path if entry is not None else "",
            file=found,
            look=last_look(site.queue, device),
            mark=mark,
        )

    async def save(request: Request) -> Response:
        """As it is on the board: for whoever may read the board anyway."""
        require_operate(request)
        device = _device(site, request)
        found = site.notes.file(device, request.path_params["file"])
        if found is None:
            raise _no_such_file(device)
        headers = {"content-disposition": f"attachment; filename*=utf-8''{quote(found.name)}"}
        return Response(found.data, headers=headers, media_type="application/octet-stream")

    async def console(request: Request) -> Response:
        device = _device(site, request)
        topic = site.consoles.topic(device)
        mark = topic.mark
        return site.page(
            request,
            "console.html",
            device=device,
            state=site.consoles.state(device),
            pieces=topic.pieces(),
            mark=mark,
        )

    async def open_console(request: Request) -> Response:
        device = _device(site, request)
        await run_in_threadpool(site.consoles.open, device)
        return RedirectResponse(f"/devices/{device}/console", 303)

    async def close_console(request: Request) -> Response:
        device = _device(site, request)
        site.consoles.close(device)
        return RedirectResponse(f"/devices/{device}/console", 303)

    async def live_console(request: Request) -> Response:
        device = _device(site, request)
        return _Watched(site, device, site.stream(request, site.consoles.topic(device)))

    return [
        Route("/devices/{device}", show),
        Route("/devices/{device}/live", live),
        Route("/devices/{device}/console", console),
        Route("/devices/{device}/console/live", live_console),
        Route("/devices/{device}/console/open", open_console, methods=["POST"]),
        Route("/devices/{device}/console/close", close_console, methods=["POST"]),
        Route("/devices/{device}/files/{file}", file),
        Route("/devices/{device}/files/{file}/save", save),
        Route("/devices/{device}/look/{what}", look, methods=["POST"]),
    ]


class _Watched(Response):
    """A stream of a console; the console knows that somebody looks while it lasts."""

    def __init__(self, site: Site, device: str, stream: Response) -> None:
        super().__init__()
        self._site = site
        self._device = device
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._site.consoles.watching(self._device):
            await self._stream(scope, receive, send)


def _device(site: Site, request: Request) -> str:
    device: str = request.path_params["device"]
    if device not in site.project.devices:
        raise Rejected(404, "the manifest has no such device", "the page Fleet lists all of them")
    return device


def _no_such_file(device: str) -> Rejected:
    return Rejected(
        404,
        "no such file of this board is known here",
        f"list the files of {device} again, on its page",
    )
