"""What whoever serves a board is given, what it tells meanwhile, and how its work may end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from provision import api
from provision.errors import ManifestError, ProvisionError
from provision.model.language import record
from provision.station.ledger import Ledger
from provision.station.numbers import Numbers


@record
class Proved:
    """A board has said who it is; its number, None where none was reserved."""

    mac: str
    number: str | None


@record
class Progress:
    """What is being done with it, and how far that is, from 0 to 1."""

    stage: str
    fraction: float | None = None


Tell = Callable[[Proved | Progress], None]


@record(slots=False)
class Orders:
    """What is done with every board. `yes`: boards may be erased; `rework`: those that are done are
    made again; `dry`: nothing is written, neither to boards nor into the ledger; `hooks`: the
    manifest's programs are run."""

    manifest: api.StationManifest
    ledger: Ledger
    numbers: Numbers
    station: str
    operator: str
    yes: bool = False
    rework: bool = False
    dry: bool = False
    hooks: bool = False
    cancel: api.Cancellation = field(default_factory=api.Cancellation)


@record(slots=False)
class Place:
    """Where a board is: at a socket, its port when it was found, and `where` that is now, for one
    that is another USB device since; None while nothing is there."""

    socket: str
    port: str
    where: Callable[[], str | None]


class Failed(Exception):
    """The board failed for this reason, with what to do next."""

    def __init__(self, reason: str, advice: str | None = None, *, cut: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice
        self.cut = cut

    @classmethod
    def of(cls, error: ProvisionError) -> Failed:
        if isinstance(error, ManifestError) and error.problems:
            return cls(str(error.problems[0]), error.problems[0].hint or error.hint)
        return cls(error.message, error.hint)


class Unknown(Exception):
    """A station that is dry comes no further, which is no fault of the board's."""


class Committed(Failed):
    """The unit is done; what failed came after."""
