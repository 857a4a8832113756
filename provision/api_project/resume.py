"""What an earlier apply left to do: `api.apply` with `resume`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provision.app import run_history
from provision.core.planning.rollout import remaining
from provision.core.wording import printable
from provision.errors import UsageError
from provision.model.language import record
from provision.model.plan import Batches
from provision.output.run_log import user_key
from provision.output.saved.history import LAST, PastRun
from provision.project.fleet import Fleet


@record
class GoingOn:
    """What an earlier run, `run`, left to do: these devices, in these batches (None where it had
    none). Those that are done `again` have to be something else since."""

    run: str
    devices: tuple[str, ...]
    batches: Batches | None
    again: tuple[str, ...]


def go_on_with(fleet: Fleet, limit: Sequence[str], run: str) -> GoingOn:
    """What the apply with this id, or the "last" one of this manifest, left to do of the devices
    that `limit` selects; UsageError where there is no such run, or nothing left of it."""
    past = _past_apply(fleet, run)
    selected = {state.device for state in fleet.select(limit)}
    now = {name: state for name, state in fleet.states_now(user_key()).items() if name in selected}
    left = past.left(now)
    if not left:
        raise UsageError(
            f"nothing is left of the run {past.id}: each of these devices is done",
            hint="`provision plan` looks at their boards, `provision apply` begins anew",
        )
    return GoingOn(
        run=past.id,
        devices=left,
        batches=_batches_left(past, left),
        again=tuple(name for name in left if past.outcomes.get(name) in ("ok", "changed")),
    )


def _past_apply(fleet: Fleet, run: str) -> PastRun:
    history, manifest = run_history(), fleet.loaded.path
    last = "`provision apply --resume last` goes on with the last apply of this manifest"
    if run == LAST:
        past = history.last(manifest)
        if past is None:
            raise UsageError(
                f"there is no record of an apply of {manifest}",
                hint=f"`provision apply` begins one; records are kept in {history.directory}",
            )
        return past
    past = history.named(run)
    if past is None:
        raise UsageError(
            f"there is no record of a run {printable(run)} in {history.directory}", hint=last
        )
    if past.task != "apply":
        raise UsageError(f"the run {run} was no apply: {printable(past.task)}", hint=last)
    if past.manifest != str(manifest):
        raise UsageError(
            f"the run {run} was of another manifest, {printable(past.manifest or 'not known')}",
            hint=last,
        )
    return past


def _batches_left(past: PastRun, left: Sequence[str]) -> Batches | None:
    """The batches of a run with what is left of them. What has to be done that is in none of them
    has been done by a run before, and comes first."""
    if past.batches is None:
        return None
    planned = [device for batch in past.batches.devices for device in batch]
    batches = remaining(past.batches, [device for device in planned if device not in left])
    first = tuple(device for device in left if device not in planned)
    if not first:
        return batches
    return replace(batches, devices=(first, *batches.devices), proving=True)
