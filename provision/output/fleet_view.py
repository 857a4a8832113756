"""What a live display shows of a fleet at one moment: one row per device.

Pure but for the clock it is given: events go in, rows come out; `live` draws them. Where not every
device has a row, as with thirty boards on a terminal of 24 lines, the active ones are shown and
the others counted.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provision.core.wording import one_line, plural
from provision.model.event import (
    BatchStarted,
    DeviceFinished,
    Event,
    ManualActionNeeded,
    Outcome,
    RunStarted,
    Stage,
    StageProgress,
    StageStarted,
)
from provision.model.language import record
from provision.output.text import STAGE_TEXTS, duration

RATE_WINDOW = 5.0  # seconds that a rate is averaged over


class RateMeter:
    """Rate and remaining time of one stage, from bytes done at moments in seconds."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """Note how many bytes are done; fewer than before begin a new measurement."""
        if self._points and done < self._points[-1][1]:
            self._points.clear()
        self._points.append((now, done))
        while len(self._points) > 2 and self._points[1][0] <= now - RATE_WINDOW:
            self._points.popleft()

    def rate(self) -> float | None:
        """Bytes per second over the last RATE_WINDOW seconds; None while too little is known."""
        if len(self._points) < 2:
            return None
        (then, before), (now, done) = self._points[0], self._points[-1]
        return (done - before) / (now - then) if now > then and done > before else None

    def seconds_left(self, total: int) -> float | None:
        """Seconds until `total` at this rate."""
        rate = self.rate()
        return None if rate is None else max(total - self._points[-1][1], 0) / rate


@record
class Row:
    """One device's line. `rate` is in bytes per second; `seconds` are those that are left or, once
    there is an `outcome`, those that it took."""

    device: str
    what: str
    percent: int | None = None
    rate: float | None = None
    seconds: float | None = None
    outcome: Outcome | None = None


@dataclass(slots=True)
class _Device:
    name: str
    stage: Stage | None = None
    detail: str = ""
    done: int = 0
    total: int = 0
    meter: RateMeter | None = None
    operator_until: float | None = None
    finished: DeviceFinished | None = None

    @property
    def active(self) -> bool:
        return self.stage is not None and self.finished is None


class FleetView:
    """The state of a run as far as a display needs it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._devices: dict[str, _Device] = {}
        self._batch = ""

    def handle(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case RunStarted():
                self._started = self._clock()
                self._devices = {name: _Device(name) for name in event.devices}
            case BatchStarted():
                self._batch = f"batch {event.number} of {event.of}"
            case StageStarted():
                device = self._device(event.device)
                device.stage, device.detail = event.stage, event.detail
                device.done = device.total = 0
                device.meter = device.operator_until = None
            case StageProgress():
                device = self._device(event.device)
                if device.stage != event.stage or device.meter is None:
                    device.stage, device.meter = event.stage, RateMeter()
                device.done, device.total = event.done, event.total
                device.meter.add(self._clock(), event.done)
            case ManualActionNeeded():
                device = self._device(event.device)
                device.stage = "manual-action"
                device.detail = event.instructions
                device.operator_until = self._clock() + event.seconds
            case DeviceFinished():
                self._device(event.device).finished = event
            case _:
                pass

    def waited(self, seconds: float) -> None:
        """Nothing was shown for so long, while somebody was asked: that is no time of the run."""
        self._started += seconds

    def rows(self, max_rows: int) -> list[Row]:
        """At most `max_rows` rows: every device while they fit; else those that are active, the
        ones that wait for a person first."""
        everyone = list(self._devices.values())
        if len(everyone) > max_rows:
            active = [device for device in everyone if device.active]
            active.sort(key=lambda device: device.operator_until is None)
            everyone = active[: max(max_rows, 0)]
        return [self._row(device) for device in everyone]

    def summary(self, shown: Sequence[Row]) -> str:
        """`12 done, 1 failed, 15 active (5 not shown), 2 waiting, 42 s`."""
        devices = self._devices.values()
        outcomes = Counter(one.finished.outcome for one in devices if one.finished is not None)
        active = [device.name for device in devices if device.active]
        hidden = len(set(active) - {row.device for row in shown})
        done = sum(outcomes[each] for each in ("ok", "changed", "pending"))
        bad = sum(
            outcomes[each]
            for each in ("failed", "rolled-back", "refused", "unreachable", "interrupted")
        )
        waiting = len(devices) - len(active) - sum(outcomes.values())
        parts = [self._batch] if self._batch else []
        parts += [f"{done} of {plural(len(devices), 'device')} done"]
        if bad:
            parts.append(f"{bad} failed")
        if active:
            parts.append(f"{len(active)} active" + (f" ({hidden} not shown)" if hidden else ""))
        if waiting:
            parts.append(f"{waiting} waiting")
        return ", ".join([*parts, duration(self._clock() - self._started)])

    def _device(self, name: str) -> _Device:
        return self._devices.setdefault(name, _Device(name))

    def _row(self, device: _Device) -> Row:
        finished = device.finished
        if finished is not None:
            what: str = finished.outcome
            if finished.error is not None:
                what += f": {one_line(finished.error)}"
            elif finished.changes:
                what += f": {plural(finished.changes, 'change')}"
            return Row(
                device=device.name, what=what, seconds=finished.seconds, outcome=finished.outcome
            )
        if device.stage is None:
            return Row(device=device.name, what="waiting")
        if device.operator_until is not None:
            left = max(device.operator_until - self._clock(), 0.0)
            what = f"by hand: {one_line(device.detail)}"
            return Row(device=device.name, what=what, seconds=left)
        what = STAGE_TEXTS[device.stage]
        if device.detail:
            what += f" ({one_line(device.detail)})"
        percent = 100 * device.done // device.total if device.total else None
        meter = device.meter
        return Row(
            device=device.name,
            what=what,
            percent=percent,
            rate=meter.rate() if meter else None,
            seconds=meter.seconds_left(device.total) if meter and device.total else None,
        )
