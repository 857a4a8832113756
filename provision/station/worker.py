"""One board at one socket, from "who are you" to the verdict: what a thread of the station does.

The order is what keeps the ledger true: the MAC is read, the number reserved, the board made, the
unit committed. Whatever goes wrong before the first write gives the number back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from traceback import extract_tb
from typing import Any

from provision import api
from provision.core.wording import listed, plural
from provision.errors import DeviceError, LedgerError, ProvisionError
from provision.model.event import DeviceFinished, StageProgress, StageStarted
from provision.station.hooks import run_hook
from provision.station.ledger import Reservation, Visit
from provision.station.machine import Verdict
from provision.station.numbers import Table
from provision.station.orders import (
    Committed,
    Failed,
    Orders,
    Place,
    Progress,
    Proved,
    Tell,
    Unknown,
)
from provision.station.records import Evidence, Unit, UnitResult, unit_data

_BACK_WITHIN = 60.0  # seconds: a first start makes a filesystem, on a computer that may be busy
_LOOK = 0.1
_STOPPED = ("the station was stopped", "start it again, and plug this board in")


def serve(orders: Orders, place: Place, tell: Tell, perhaps: Verdict | None = None) -> Verdict:
    """Do all of it with the board at a port; never raises. Where it is the board that was told of
    just now, nothing is done, and that is told `again`."""
    return _Visit(orders, place, tell, perhaps).verdict()


class _Visit:
    def __init__(self, orders: Orders, place: Place, tell: Tell, perhaps: Verdict | None) -> None:
        self.orders = orders
        self.socket = place.socket
        self.port = place.port
        self.where = place.where
        self.tell = tell
        self.perhaps = perhaps
        self.started = time.monotonic()
        self.mac: str | None = None
        self.reserved: Reservation | None = None
        self.number: str | None = None
        self.name: str | None = None
        self.known = False
        self.look = orders.dry
        self.wrote = False
        self.declined: api.Plan | None = None
        self.evidence = Evidence()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def verdict(self) -> Verdict:
        passed, reason, advice, cut = False, None, None, False
        try:
            self.mac = self._ask()
            if self.perhaps is not None and self.perhaps.mac == self.mac:
                return replace(self.perhaps, again=True)
            reason = self._all(self.mac)
            passed = True
        except Unknown as unknown:
            passed, reason = True, str(unknown)
        except Failed as failed:
            reason, advice, cut = failed.reason, failed.advice, failed.cut
        except ProvisionError as error:  # of the ledger
            reason, advice = error.message, error.hint
        except Exception as error:  # noqa: BLE001 - one socket's bug must not take the others down
            internal = self._internal(error)
            reason, advice = internal.reason, internal.advice
        return Verdict(
            passed=passed,
            seconds=self.seconds,
            number=self.number,
            name=self.name,
            mac=self.mac,
            reason=reason,
            advice=advice,
            known=self.known,
            look=self.look,
            cut=cut,
        )

    def _all(self, mac: str) -> str | None:
        if self.orders.dry:
            return self._dry(mac)
        ledger = self.orders.ledger
        visit = Visit(
            mac=mac,
            station=self.orders.station,
            socket=self.socket,
            operator=self.orders.operator,
        )
        self.reserved = ledger.reserve(visit, self.orders.numbers, rework=self.orders.rework)
        unit = self.reserved.unit
        self.number, self.known = unit.number, self.reserved.known
        self.tell(Proved(mac=mac, number=self.number))
        self.look = unit.state == "done"
        try:
            return self._look(unit) if self.look else self._make(unit)
        except Committed:
            raise
        except Failed as failed:
            self._close(failed)
            raise
        except ProvisionError as error:  # an image that cannot be read, a ledger that is held
            self._close(Failed.of(error))
            raise
        except Exception as error:  # nobody knows how far that came: the number stays the board's
            with suppress(LedgerError):  # that it had passed before
                reason = self._internal(error).reason
                ledger.fail(self.reserved.attempt, reason, seconds=self.seconds)
            raise

    def _internal(self, error: Exception) -> Failed:
        """A mistake of this tool, with the place where it is: there is no terminal to show all."""
        at = extract_tb(error.__traceback__)[-1]
        what = self.orders.manifest.masked(f"{type(error).__name__}: {error}")
        return Failed(
            f"internal: {what} ({Path(at.filename).name}:{at.lineno})",
            "report this line; the other sockets go on",
        )

    def _close(self, failed: Failed) -> None:
        """Write down how it ended, unless it was over before: then only a hook has failed."""
        assert self.reserved is not None
        ledger, attempt = self.orders.ledger, self.reserved.attempt
        if self.look:
            ledger.looked(attempt, passed=False, reason=failed.reason, seconds=self.seconds)
        elif self.wrote:
            ledger.fail(
                attempt,
                failed.reason,
                seconds=self.seconds,
                interrupted=failed.cut,
                evidence=self.evidence,
            )
        else:  # and no certificate has got to the board
            evidence = replace(self.evidence, certificate=None)
            ledger.release(attempt, failed.reason, seconds=self.seconds, evidence=evidence)

    # -- the steps -----------------------------------------------------------------------------

    def _ask(self) -> str:
        """The board's MAC. Asked as the template's board is; nothing is written."""
        fleet = self.orders.manifest.prober(self.port)
        report = self._good(api.facts(fleet, on_event=self._hear, cancel=self.orders.cancel))
        actual = report.actual
        (wanted,) = (state.board for state in fleet.states)
        if actual is not None and actual.chip is not None and actual.chip != wanted.chip:
            raise Failed(
                f"this is an {actual.chip.label}, and the station makes {wanted.chip.label} boards",
                "take it away: it is of another kind",
            )
        mac = actual.mac if actual is not None else None
        return mac if mac is not None else self._ask_its_firmware(actual)

    def _ask_its_firmware(self, actual: api.ActualState | None) -> str:
        """The MAC of a board that tells it only while its firmware runs, as a blank RP2040: it is
        given that first, with nothing of a unit's, and no number is reserved yet. Nobody can look
        at what such a board holds."""
        what = actual.description if actual is not None and actual.description else "this board"
        if self.orders.dry:
            raise Unknown(f"{what}: it would get its firmware first, and say then who it is")
        fleet = self.orders.manifest.bare_firmware(self.port)
        if fleet is None:
            raise Failed(
                f"{what} tells no MAC, and the template has no firmware to give it",
                "give the template a `firmware:`; a unit has to be told from others by its MAC",
            )
        if not self.orders.yes:
            raise Failed(
                f"{what} does not say who it is, and nobody can look at what it holds",
                "start the station with --yes if boards may lose what they hold",
            )
        self._good(api.apply(fleet, yes=True, on_event=self._hear, cancel=self.orders.cancel))
        self.wrote = False  # nothing of a unit's
        self.port = self._port_again()
        prober = self.orders.manifest.prober(self.port)
        report = self._good(api.facts(prober, on_event=self._hear, cancel=self.orders.cancel))
        mac = report.actual.mac if report.actual is not None else None
        if mac is None:
            raise Failed(
                "this board tells no MAC though its firmware runs",
                "a unit has to be told from others by its MAC",
            )
        return mac

    def _port_again(self) -> str:
        """Where the board is, once its USB is back from its last reset."""
        deadline = time.monotonic() + _BACK_WITHIN
        while (port := self.where()) is None:
            if time.monotonic() >= deadline:
                raise Failed(
                    f"its firmware is written, and its port is not back after {_BACK_WITHIN:.0f} s",
                    "plug it in again; where that is no help, `provision discover` tells what is "
                    "there",
                )
            if self.orders.cancel.wait(_LOOK):  # no event, on all systems, for a port that comes
                raise Failed(*_STOPPED, cut=True)
        return port

    def _dry(self, mac: str) -> str:
        known = self.orders.ledger.known(mac)
        number = known.number if known is not None else self.orders.ledger.next_number(
            self.orders.numbers
        )  # fmt: skip
        if number is None:
            raise Failed("there is no further number", "give the station more in the manifest")
        self.number, self.known = number, known is not None
        self.tell(Proved(mac=mac, number=number))
        plan = self._plan(number, mac)
        return f"would be made: {plural(plan.change_count if plan is not None else 0, 'change')}"

    def _look(self, unit: Unit) -> str:
        """A unit that is done is looked at, and nothing else."""
        assert self.reserved is not None
        assert unit.mac is not None
        plan = self._plan(unit.number, unit.mac)
        if plan is not None and plan.change_count:
            raise Failed(
                f"{unit.number} was done, and is not as it was made: "
                f"{plural(plan.change_count, 'change')} to come",
                "start the station with --rework to make it again",
            )
        self.orders.ledger.looked(
            self.reserved.attempt, passed=True, reason=None, seconds=self.seconds
        )
        return "done before"

    def _plan(self, number: str, mac: str) -> api.Plan | None:
        fleet = self._unit(number, mac)
        report = self._good(api.plan(fleet, on_event=self._hear, cancel=self.orders.cancel))
        return report.plan

    def _make(self, unit: Unit) -> str | None:
        assert self.reserved is not None
        assert unit.mac is not None
        notes = [self._hook("before", unit)]
        fleet = self._unit(unit.number, unit.mac)
        run = api.apply(
            fleet,
            yes=self.orders.yes,
            confirm=self._decline,
            on_event=self._hear,
            cancel=self.orders.cancel,
        )
        self.evidence = evidence_of(run.devices[0])  # also of a board that fails
        self._good(run)
        made = self.orders.manifest.made_of(fleet)
        done = self.orders.ledger.commit(
            self.reserved.attempt,
            UnitResult(
                commit=made.commit,
                firmware_version=made.firmware_version,
                firmware_sha256=made.firmware_sha256,
                files=made.files,
                evidence=self.evidence,
            ),
            name=self.name or unit.number,
            seconds=self.seconds,
        )
        try:
            notes.append(self._hook("after", done))
        except Failed as failed:
            self.orders.ledger.note(self.reserved.attempt, failed.reason)
            raise Committed(
                f"{unit.number} is made and in the ledger, but {failed.reason}", failed.advice
            ) from None
        return "; ".join(note for note in notes if note) or None

    def _unit(self, number: str, mac: str) -> api.Fleet:
        try:
            fleet = self.orders.manifest.unit(
                serial=number, mac=mac, station=self.orders.station, port=self.port
            )
        except ProvisionError as error:
            raise Failed.of(error) from error
        (self.name,) = (state.device for state in fleet.states)
        return fleet

    def _hook(self, which: str, unit: Unit) -> str | None:
        """What is to be told of it, though it went well."""
        settings = self.orders.manifest.settings
        hook = settings.before if which == "before" else settings.after
        if hook is None or not self.orders.hooks:
            return None
        self.tell(Progress(stage=f"hook {which}"))
        try:
            return run_hook(
                which, hook, self._row(unit), self.orders.manifest.folder,
                self.orders.manifest.masked,
            )  # fmt: skip
        except DeviceError as error:
            raise Failed.of(error) from error

    def _row(self, unit: Unit) -> Mapping[str, Any]:
        table = self.orders.numbers
        columns = table.columns(unit.number) if isinstance(table, Table) else {}
        return {
            "version": 1,
            "fleet": self.orders.manifest.fleet,
            "columns": dict(columns),
            **unit_data(unit),
        }

    # -- a run's end -----------------------------------------------------------------------------

    def _good(self, run: api.RunReport) -> api.DeviceReport:
        """The report of the one device, if it went well."""
        (report,) = run.devices
        if report.outcome in ("ok", "changed", "pending"):
            return report
        if report.outcome in ("interrupted", "skipped"):
            raise Failed(*_STOPPED, cut=True)
        if self.declined is not None:
            lost = listed(self.declined.losses)
            what = f"{lost} of this board would be lost" if lost else "this board would be erased"
            raise Failed(what, "start the station with --yes if boards may lose what they hold")
        error = report.error
        assert error is not None
        raise Failed(error.message, error.hint)

    def _decline(self, _device: str, plan: api.Plan) -> bool:
        self.declined = plan
        return False

    def _hear(self, event: api.Event) -> None:
        match event:
            case DeviceFinished():
                self.wrote = self.wrote or bool(event.changes or event.partly)
            case StageStarted():
                self.tell(Progress(stage=event.stage))
            case StageProgress() if event.total:
                self.tell(Progress(stage=event.stage, fraction=event.done / event.total))
            case _:
                pass


def evidence_of(report: api.DeviceReport) -> Evidence:
    """What a run has seen of its board, as the ledger keeps it."""
    certificate = report.certificate
    return Evidence(
        checks=tuple(asdict(result) for result in report.measured),
        certificate=asdict(certificate) if certificate is not None else None,
    )
