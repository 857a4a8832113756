"""The ledger of the station: its units, searched and one by one, and all of it to be saved."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from provision.core.wording import harmless_line
from provision.errors import LedgerError
from provision.station.records import Attempt, Unit, ledger_json, unit_data, units_csv
from provision.web.guard import Rejected
from provision.web.site import Site

STATES = ("done", "reserved", "free", "scrapped")
ON_A_PAGE = 200
_SEARCHED = ("number", "name", "mac", "station", "socket", "operator", "reason")


def routes(site: Site) -> Sequence[Route]:
    def units() -> list[Unit]:
        with site.open_ledger() as ledger:
            return ledger.units() if ledger is not None else []

    def unit(number: str) -> tuple[Unit, list[Attempt]]:
        with site.open_ledger() as ledger:
            if ledger is None:
                raise Rejected(404, "there is no ledger yet", "a station makes it when it starts")
            try:
                found = ledger.unit(number)
            except LedgerError as error:
                raise Rejected(404, error.message, "search for it on the page Ledger") from error
            return found, ledger.attempts(found.number)

    async def show(request: Request) -> Response:
        text = request.query_params.get("search", "")[:100]
        state = request.query_params.get("state", "")[:20]
        known = await run_in_threadpool(units)
        found = [one for one in known if matches(one, text, state)]
        pages = max(1, -(-len(found) // ON_A_PAGE))
        page = min(max(1, _number(request.query_params.get("page", ""))), pages)
        return site.page(
            request,
            "ledger.html",
            units=found[ON_A_PAGE * (page - 1) : ON_A_PAGE * page],
            found=len(found),
            total=len(known),
            search=text,
            state=state,
            states=STATES,
            number=page,
            pages=pages,
        )

    async def one(request: Request) -> Response:
        found, attempts = await run_in_threadpool(unit, request.query_params.get("number", ""))
        facts = {
            name.replace("_", " "): harmless_line(str(value))
            for name, value in unit_data(found).items()
            if value is not None and not isinstance(value, (dict, list)) and name != "counter"
        }
        return site.page(request, "unit.html", unit=found, facts=facts, attempts=attempts)

    async def as_csv(_request: Request) -> Response:
        text = units_csv(await run_in_threadpool(units))
        return _file(text, "ledger.csv", "text/csv")

    async def as_json(_request: Request) -> Response:
        def everything() -> str:
            with site.open_ledger() as ledger:
                if ledger is None:
                    return ledger_json([], [])
                return ledger_json(ledger.units(), ledger.attempts())

        return _file(await run_in_threadpool(everything), "ledger.json", "application/json")

    return [
        Route("/ledger", show),
        Route("/ledger/unit", one),
        Route("/ledger/ledger.csv", as_csv),
        Route("/ledger/ledger.json", as_json),
    ]


def matches(unit: Unit, text: str, state: str) -> bool:
    """Whether a search finds a unit; empty words leave nothing out."""
    words = [str(getattr(unit, name) or "").lower() for name in _SEARCHED]
    return (not state or unit.state == state) and any(text.lower() in word for word in words)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else 1


def _file(text: str, name: str, kind: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(text, headers=headers, media_type=kind)
