"""Joins a run that keeps boards in step to the project on disk: a thread of its own reads the
project again whenever something that it hangs on has changed.

Beside `app.py`, the place where adapters are built. The system tells of changes; should it not, the
state of all files is compared every second. An edit that leaves the project invalid is told, and
boards keep what they have until the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from provision.app import run_task
from provision.core.wording import listed
from provision.engine.cancellation import Cancellation
from provision.engine.watch.edits import Edits
from provision.engine.watch.task import WatchTask
from provision.errors import ProvisionError, UsageError
from provision.interfaces import Images
from provision.model.event import EditFailed, Event, Notice
from provision.model.firmware import Firmware
from provision.model.kept import KnownImage
from provision.model.report import RunReport
from provision.model.state import FirmwareSource
from provision.output.scrub import scrub
from provision.project.fleet import Fleet
from provision.project.parts.main_file import STDIN_FILE
from provision.project.watching.changes import Changes
from provision.project.watching.places import Places, Stamp, stamp, unsettled

COMPARE_EVERY = 1.0  # seconds
MID_SAVE = 0.15
"""Seconds that an editor is given which has emptied or removed a file, or left something invalid:
most write a file in a few milliseconds."""
MOST_PASSES = 5  # of reading again while places come up that were not looked at before


def watch_fleet(
    fleet: Fleet,
    reload: Callable[[], Fleet],
    *,
    reset: bool,
    limit: Sequence[str],
    on_event: Callable[[Event], None] | None,
    cancel: Cancellation | None,
) -> RunReport:
    """Keep the boards of a fleet in step with what `reload` makes of its manifest, until `cancel`
    says so. A fault of the reading itself ends the run as well, and is raised then: nobody would
    follow a save any more."""
    if fleet.loaded.file == STDIN_FILE:
        raise UsageError(
            "a manifest on standard input cannot be watched", hint="name its file with --manifest"
        )
    edits, cancel = Edits(), cancel or Cancellation()
    reader = ProjectReader(fleet, reload, edits, on_event or _ignore, end_run=cancel.cancel)
    thread = threading.Thread(target=reader.run, name="provision-project", daemon=True)
    thread.start()
    try:
        report = run_task(
            fleet,
            WatchTask(edits=edits, reset=reset),
            cancel,
            limit=limit,
            on_event=on_event,
        )
    finally:
        reader.stop()
        thread.join()
    if reader.fault is not None:
        raise reader.fault
    return report


def _ignore(_event: Event) -> None:
    """Nobody listens."""


class ProjectReader:
    """Reads the project of a run again when it changes, and publishes what devices must be."""

    def __init__(
        self,
        fleet: Fleet,
        reload: Callable[[], Fleet],
        edits: Edits,
        emit: Callable[[Event], None],
        *,
        end_run: Callable[[], None],
    ) -> None:
        self.fault: Exception | None = None  # what has ended it, if not `stop`
        self._end_run = end_run
        self._first = fleet
        self._reload = reload
        self._edits = edits
        self._emit = emit
        self._stop = threading.Event()
        self._changes = Changes(self._stop)
        self._places = places_of(fleet)
        self._seen: Mapping[str, Stamp] = {}
        self._images = UnchangedImages()
        self._failed: EditFailed | None = None
        self._told = set(fleet.warnings)

    def stop(self) -> None:
        """End soon; called from another thread."""
        self._stop.set()

    def run(self) -> None:
        """Until it is stopped, or by a fault of its own, which ends the run; never raises."""
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - raised again where the run has ended
            self._first.redactor.mask_error(error)
            self.fault = error
            self._end_run()

    def _follow(self) -> None:
        while not self._edits.begun.wait(0.1):
            if self._stop.is_set():
                return
        try:
            self._read(self._edits.now())  # what was edited since the manifest was read
            compared = time.monotonic()
            while not self._stop.is_set():
                concerned = self._places.concern(self._changes.wait())
                now = time.monotonic()
                due = now - compared >= COMPARE_EVERY
                if due:
                    compared = now
                    if not self._changes.watching:
                        concerned = self._watch() or concerned
                if concerned or (due and (self._failed or self._places.stamps() != self._seen)):
                    self._read(self._edits.now())
        finally:
            self._changes.close()

    def _read(self, noticed: float) -> None:
        """Read the project once more than something in it changes meanwhile."""
        if unsettled(self._seen, self._places.stamps()):
            self._stop.wait(MID_SAVE)
        seen = self._seen
        for _ in range(MOST_PASSES):
            self._watch()
            seen = self._places.stamps()
            fleet = self._load(noticed)
            if fleet is None:
                break
            before, self._places = self._places, places_of(fleet)
            if not self._watch() and self._places == before:
                break
            # Of what was not looked at before, nobody knows whether it changed while it was read.
        self._seen = seen

    def _watch(self) -> bool:
        """Watch the places as they are now; whether some were not watched before."""
        new = self._changes.watch(self._places.directories)
        if new and self._changes.problem is not None:
            self._once(
                f"the system does not tell of changes ({self._changes.problem}); they are looked "
                "for every second"
            )
        return new

    def _load(self, noticed: float) -> Fleet | None:
        """The fleet as it is now, whose states are published; None where it is invalid, which is
        told when it has not changed for a moment: amid a save nobody wants to know why."""
        found = self._attempt(noticed)
        for _ in range(MOST_PASSES):
            if isinstance(found, Fleet):
                return found
            if found == self._failed or self._stop.wait(MID_SAVE):
                return None
            before, found = found, self._attempt(noticed)
            if found == before:
                break
        if isinstance(found, Fleet):
            return found
        self._failed = found
        self._emit(scrub(found, self._first.masked))
        return None

    def _attempt(self, noticed: float) -> Fleet | EditFailed:
        try:
            return self._publish(noticed)
        except ProvisionError as error:
            self._first.redactor.mask_error(error)
            return EditFailed.of(error)
        except OSError as error:  # a file or a folder that vanishes while it is read
            return EditFailed(error=str(error), hint="save again when it is there", code="manifest")

    def _publish(self, noticed: float) -> Fleet:
        fleet = self._reload()
        self._first.redactor.learn(fleet.redactor)  # before a board can say it
        states = fleet.states
        self._edits.publish(states, self._images.of(fleet), noticed)
        if self._failed is not None:
            self._failed = None
            self._notice("the project is valid again")
        for warning in fleet.warnings:
            self._once(f"warning: {warning}", warning)
        there = {state.device for state in states}
        gone = [device for device in self._edits.devices if device not in there]
        new = sorted(there.difference(self._edits.devices, self._first.devices))
        if gone:
            verb = "is" if len(gone) == 1 else "are"
            self._once(f"{listed(gone)} {verb} no longer in the manifest, and left as last seen")
        if new:
            self._once(f"new in the manifest: {listed(new)}; start `provision watch` again for it")
        return fleet

    def _once(self, text: str, key: str | None = None) -> None:
        key = text if key is None else key
        if key not in self._told:
            self._told.add(key)
            self._notice(text)

    def _notice(self, text: str) -> None:
        self._emit(scrub(Notice(message=text), self._first.masked))


def places_of(fleet: Fleet) -> Places:
    """What a fleet hangs on."""
    return Places(*fleet.loaded.looked_at)


class UnchangedImages:
    """Implements `Images`: an image is read again when its source is another, its file or the lock
    has changed."""

    def __init__(self) -> None:
        self._images: Images | None = None
        self._folder = Path()
        self._lock = Path()
        self._known: dict[tuple[object, ...], Firmware] = {}

    def of(self, fleet: Fleet) -> UnchangedImages:
        """Those of this fleet from now on."""
        self._images = fleet.images
        self._folder, self._lock = fleet.loaded.folder, fleet.loaded.lock_path
        return self

    def firmware(self, source: FirmwareSource) -> Firmware:
        """As `Images.firmware`."""
        assert self._images is not None, "of which fleet?"
        file = self._folder / source.file if source.file is not None else self._lock
        key = (source, stamp(file), stamp(self._lock))
        if key not in self._known:
            image = self._images.firmware(source)
            self._known = {one: kept for one, kept in self._known.items() if one[0] != source}
            self._known[key] = image
        return self._known[key]

    def known(self, image: KnownImage) -> Firmware | None:
        """As `Images.known`."""
        assert self._images is not None, "of which fleet?"
        return self._images.known(image)
