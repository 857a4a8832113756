"""In which batches the devices of a run are begun, and when no further one is.

Pure. Each batch has to end well before the next begins, so that a bad change meets few boards: the
first batch may not lose one of its devices, later ones no more than `max_failures` of all.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from provision.core.wording import plural
from provision.model.plan import Batches, Rollout, Share
from provision.model.state import DesiredState


def draw_batches(states: Sequence[DesiredState], rollout: Rollout) -> Batches:
    """The batches of a run over these devices, each in their order. Groups and boards that are
    drawn from are in the first batches, as far as these have room."""
    kinds = {
        state.device: frozenset([*(f"@{group}" for group in state.groups), state.board.name])
        for state in states
    }
    return Batches(
        devices=in_batches(list(kinds), draw(kinds), rollout.batches),
        max_failures=rollout.max_failures.of(len(kinds)),
    )


def in_batches(
    devices: Sequence[str], drawn: Sequence[str], sizes: Sequence[Share]
) -> tuple[tuple[str, ...], ...]:
    """The devices as they were `drawn`, in batches of these sizes, of which the last one counts
    until none is left; within a batch they are in their own order. A size is never less than one
    device."""
    places = {device: place for place, device in enumerate(devices)}
    batches: list[tuple[str, ...]] = []
    begun = 0
    while begun < len(drawn):
        size = max(1, sizes[min(len(batches), len(sizes) - 1)].of(len(devices)))
        batches.append(tuple(sorted(drawn[begun : begun + size], key=places.__getitem__)))
        begun += size
    return tuple(batches)


def draw(kinds: Mapping[str, frozenset[str]]) -> list[str]:
    """The devices in the order in which they are begun, by what each is one of: its groups, its
    board. First come those that bring the most that was not there yet, until everything is; then
    one after the other of each sort of devices."""
    sorts: dict[frozenset[str], deque[str]] = {}
    for device, of in kinds.items():
        sorts.setdefault(of, deque()).append(device)
    drawn = [sorts[of].popleft() for of in _covering(list(sorts))]
    left = [waiting for waiting in sorts.values() if waiting]
    while left:
        drawn += [waiting.popleft() for waiting in left]
        left = [waiting for waiting in left if waiting]
    return drawn


def _covering(sorts: Sequence[frozenset[str]]) -> Iterable[frozenset[str]]:
    """Of these sets, some that hold together all that all hold: the one that adds the most, the
    first of equals, again and again. What a set adds only becomes less, so that one is looked at
    anew only where it might be next."""
    covered: set[str] = set()
    ahead = [(-len(of), place) for place, of in enumerate(sorts)]
    heapq.heapify(ahead)
    while ahead:
        before, place = heapq.heappop(ahead)
        adds = len(sorts[place] - covered)
        if adds == 0:
            continue
        if adds < -before:
            heapq.heappush(ahead, (-adds, place))
            continue
        covered |= sorts[place]
        yield sorts[place]


def remaining(batches: Batches, done: Collection[str]) -> Batches:
    """What is left of the batches of a run in which these devices are done. Its first batch is no
    longer one to prove the change by where that has been done whole."""
    left = tuple(
        tuple(device for device in batch if device not in done) for batch in batches.devices
    )
    return Batches(
        devices=tuple(batch for batch in left if batch),
        max_failures=batches.max_failures,
        proving=batches.proving and bool(left) and bool(left[0]),
    )


def stopped_because(batches: Batches, number: int, failed: int) -> str | None:
    """Why no further device is begun once so many have failed, while the batch of this number, from
    0, is at work or has ended; None where the run goes on."""
    if failed <= batches.may_fail(number):
        return None
    bad = f"{plural(failed, 'device')} failed"
    if batches.proves(number):
        return f"{bad} in the first batch, which has to converge whole"
    most = f"at most {batches.max_failures}" if batches.max_failures else "none"
    return f"{bad}, and {most} of {sum(map(len, batches.devices))} may (max_failures)"
