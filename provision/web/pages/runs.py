"""Runs: the list of them, and the page of one: its progress a device, failures first, the questions
that it asks; and what starts, answers and cancels one.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from provision.errors import UsageError
from provision.web.guard import Rejected, form_of
from provision.web.jobs import ACTIONS, Job
from provision.web.live import GoneAnswer
from provision.web.site import Site


def routes(site: Site) -> Sequence[Route]:
    async def index(request: Request) -> Response:
        recorded = await run_in_threadpool(site.recorded)
        jobs = site.queue.jobs
        known = {job.id for job in jobs}
        return site.page(
            request,
            "runs.html",
            jobs=jobs,
            recorded=[run for run in recorded if run.id not in known],
        )

    async def start(request: Request) -> Response:
        form = form_of(request)
        chosen = [str(each) for each in form.getlist("device")]
        return await run_in_threadpool(_started, site, form.get("action"), chosen)

    async def again(request: Request) -> Response:
        view = await run_in_threadpool(site.view, request.path_params["run"])
        if view is None:
            raise _no_such_run()
        failed = [row.device for row in view.failures] if view.task != "plan" else []
        action = form_of(request).get("action")
        return await run_in_threadpool(_started, site, action, failed or view.devices)

    async def show(request: Request) -> Response:
        run = request.path_params["run"]
        job = site.queue.job(run)
        mark = site.run_topic(job).mark if job is not None else ""
        view = job.view if job is not None else await run_in_threadpool(site.view, run)
        if view is None:
            raise _no_such_run()
        return site.page(request, "run.html", view=view, job=job, mark=mark)

    async def live(request: Request) -> Response:
        job = site.queue.job(request.path_params["run"])
        return GoneAnswer() if job is None else site.stream(request, site.run_topic(job))

    async def answer(request: Request, agreed: bool) -> Response:
        job = _job(site, request)
        questions = str(form_of(request).get("question", "")).split()
        if not await run_in_threadpool(job.answer, questions, agreed):
            raise Rejected(
                409,
                "that question is no longer asked",
                "somebody has answered it meanwhile, or the run has ended: look at its page",
            )
        return RedirectResponse(f"/runs/{job.id}", 303)

    async def agree(request: Request) -> Response:
        return await answer(request, True)

    async def decline(request: Request) -> Response:
        return await answer(request, False)

    async def cancel(request: Request) -> Response:
        job = _job(site, request)
        await run_in_threadpool(site.queue.stop, job)
        return RedirectResponse(f"/runs/{job.id}", 303)

    return [
        Route("/runs", index),
        Route("/runs", start, methods=["POST"]),
        Route("/runs/{run}", show),
        Route("/runs/{run}/live", live),
        Route("/runs/{run}/again", again, methods=["POST"]),
        Route("/runs/{run}/agree", agree, methods=["POST"]),
        Route("/runs/{run}/decline", decline, methods=["POST"]),
        Route("/runs/{run}/cancel", cancel, methods=["POST"]),
    ]


def _started(site: Site, wanted: object, chosen: Sequence[str]) -> Response:
    """Queue a job, and go to its page. Its record is begun, on a disk that may be slow."""
    action = next((each for each in ACTIONS if each == wanted), None)
    if action is None:
        raise Rejected(400, "there is no such action", "use the buttons of the page")
    names = frozenset(chosen)
    devices = [device for device in site.project.devices if device in names]  # in manifest order
    if not devices:
        raise Rejected(
            400, "no device was chosen", "tick the devices that are meant, then press again"
        )
    try:
        job = site.queue.submit(action, devices)
    except UsageError as error:
        raise Rejected(409, error.message, error.hint) from error
    return RedirectResponse(f"/runs/{job.id}", 303)


def _job(site: Site, request: Request) -> Job:
    job = site.queue.job(request.path_params["run"])
    if job is None:
        raise _no_such_run()
    return job


def _no_such_run() -> Rejected:
    return Rejected(
        404,
        "there is no such run",
        "the last hundred of this computer are kept; the page Runs lists those of this manifest",
    )
