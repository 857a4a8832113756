"""`/metrics`, in Prometheus' text format: devices by state, runs and their seconds, and of a
station its units and yield. A scraper sends its token as `Authorization: Bearer TOKEN`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from provision._version import __version__
from provision.web.site import Site
from provision.web.tiles import summary

CONTENT = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]


def routes(site: Site) -> Sequence[Route]:
    async def show(_request: Request) -> Response:
        text = await run_in_threadpool(lambda: "".join(metrics(site)))
        return Response(text, headers={"content-type": CONTENT})

    return [Route("/metrics", show)]


def metrics(site: Site) -> Iterator[str]:
    """All of them, as lines."""
    site.project.refresh()
    tiles = site.tiles.all()
    yield from metric("provision_info", "The version that serves.", [({"version": __version__}, 1)])
    states = [({"state": name}, float(number)) for name, number in summary(tiles).items()]
    yield from metric("provision_devices", "Devices by state.", states)
    drifted = sum(tile.drifted for tile in tiles)
    yield from metric(
        "provision_devices_drifted", "Devices that are not as the manifest says.", [({}, drifted)]
    )
    unplugged = sum(tile.unplugged for tile in tiles)
    yield from metric("provision_devices_unplugged", "Devices without a port.", [({}, unplugged)])
    applied = [({"device": tile.device}, tile.applied) for tile in tiles if tile.applied]
    yield from metric(
        "provision_device_applied_timestamp_seconds", "When a device was last as applied.", applied
    )
    waiting = sum(job.view.state == "queued" for job in site.queue.jobs)
    running = float(site.queue.running is not None)
    jobs: list[Sample] = [({"state": "waiting"}, waiting), ({"state": "running"}, running)]
    yield from metric("provision_jobs", "Jobs of this server by state.", jobs)
    yield from _runs(site)
    yield from metric("provision_event_streams", "Pages that are live.", [({}, site.streams.open)])
    yield from _station(site)


def _runs(site: Site) -> Iterator[str]:
    """The last run of each kind that has ended."""
    last = {run.task: run for run in reversed(site.recorded()) if run.seconds is not None}
    seconds = [({"task": task}, run.seconds or 0.0) for task, run in last.items()]
    yield from metric("provision_last_run_seconds", "How long it took.", seconds)
    started = [({"task": task}, run.started) for task, run in last.items()]
    yield from metric("provision_last_run_timestamp_seconds", "When it began.", started)
    codes = [
        ({"task": task}, float(run.exit_code))
        for task, run in last.items()
        if run.exit_code is not None
    ]
    yield from metric("provision_last_run_exit_code", "Its exit code, 0 when all went well.", codes)


def _station(site: Site) -> Iterator[str]:
    with site.open_ledger() as ledger:
        totals = ledger.totals() if ledger is not None else None
    if totals is not None:
        units = [({"state": state}, float(number)) for state, number in totals.units.items()]
        yield from metric("provision_units", "Units of the ledger by state.", units)
        attempts = [
            ({"kind": kind, "outcome": outcome}, float(number))
            for (kind, outcome), number in totals.attempts.items()
        ]
        yield from metric("provision_attempts", "Attempts of the ledger.", attempts)
        yield from metric(
            "provision_units_made_seconds", "Seconds of all that passed.", [({}, totals.seconds)]
        )
        if totals.yield_ratio is not None:
            yield from metric(
                "provision_yield_ratio", "Attempts to make a unit that passed, of all that ended.",
                [({}, totals.yield_ratio)],
            )  # fmt: skip
    if site.has_station:
        running = float(site.desk.running)
        yield from metric(
            "provision_station_running", "Whether the station runs here.", [({}, running)]
        )


def metric(name: str, help: str, samples: Sequence[Sample]) -> Iterator[str]:
    """One gauge: nothing where it has no sample."""
    if not samples:
        return
    yield f"# HELP {name} {help}\n# TYPE {name} gauge\n"
    for labels, value in samples:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{f'{{{told}}}' if told else ''} {float(value)!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
