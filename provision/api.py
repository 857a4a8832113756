"""The Python API: what the command line does, in three calls with typed results.

>>> from provision import load, plan, apply          # doctest: +SKIP
>>> fleet = load("fleet.yaml")                        # doctest: +SKIP
>>> plan(fleet).pending                               # doctest: +SKIP
True
>>> report = apply(fleet, yes=True)                   # doctest: +SKIP
>>> report.exit_code()                                # doctest: +SKIP
0

`load` raises ManifestError with every problem of the manifest. `plan` and `apply` return a
`RunReport` with one `DeviceReport` a device, in manifest order; errors of single devices are in
their reports, never raised. Events arrive at `on_event` as they happen, from many threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from provision.app import Project, converge, open_project
from provision.engine.context import Options
from provision.model.event import Event, HandsNeeded
from provision.model.plan import Plan
from provision.model.report import RunReport

__all__ = ["Event", "HandsNeeded", "Plan", "Project", "RunReport", "apply", "load", "plan"]


def load(
    manifest: str | Path = "fleet.yaml", *, secrets: Path | None = None, offline: bool = False
) -> Project:
    """Read and check a manifest with all its devices; ManifestError names every problem."""
    return open_project(manifest, secrets=secrets, offline=offline)


def plan(
    fleet: Project,
    *,
    limit: Sequence[str] = (),
    forks: int = 0,
    on_event: Callable[[Event], None] | None = None,
) -> RunReport:
    """Observe the boards and say what would change; nothing does.

    `limit` selects devices as `--limit` does; `forks` is how many at once, 0 for all.
    """
    return converge(
        fleet,
        Options(change=False, forks=forks),
        command="plan",
        limit=limit,
        emit=on_event or _ignore,
        hands=False,
        confirm=None,
    )


def apply(
    fleet: Project,
    *,
    limit: Sequence[str] = (),
    yes: bool = False,
    forks: int = 0,
    fail_fast: bool = False,
    accept_new_boards: Sequence[str] = (),
    hands: bool = False,
    hands_timeout: float = 120.0,
    confirm: Callable[[str, Plan], bool] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> RunReport:
    """Make the boards match.

    Boards that would be erased and are not in fleet.lock are refused, unless `yes`, or
    `confirm(device, plan)` says so. With `hands`, a board that needs a person is waited for
    `hands_timeout` seconds; `on_event` gets a `HandsNeeded` with the instructions every second.
    """
    return converge(
        fleet,
        Options(
            change=True,
            yes=yes,
            forks=forks,
            fail_fast=fail_fast,
            accept_new=frozenset(accept_new_boards),
            hands_timeout=hands_timeout,
        ),
        command="apply",
        limit=limit,
        emit=on_event or _ignore,
        hands=hands,
        confirm=None if confirm is None else lambda device, plan, _stopping: confirm(device, plan),
    )


def _ignore(_event: Event) -> None:
    """Nobody listens."""
