"""Refusals as errors: what `core` decides as values stops a device's run here."""

from __future__ import annotations

from collections.abc import Sequence

from provision.errors import Refused
from provision.model.plan import Refusal


def refuse(refusals: Sequence[Refusal]) -> None:
    """Raise them as one error, if there are any."""
    if refusals:
        raise refused(*refusals)


def refused(*refusals: Refusal) -> Refused:
    """At least one refusal as an error, to be raised."""
    return Refused("; ".join(each.message for each in refusals), hint=refusals[0].hint)
