"""The manifest behind the pages: read when the server starts, and anew whenever it has changed on
disk; while it is invalid the pages go on with what it was, and say why.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from provision import api
from provision.api import DeviceStatus, Fleet
from provision.errors import ProvisionError
from provision.model.event import RunFailed
from provision.model.state import DesiredState

FRESH = 2.0  # seconds that a look at ports and records holds: pages are loaded by the dozen


class Project:
    """One manifest. Safe to use from any thread; `refresh` and `reload` may take seconds.

    `fleet` is the last that was valid, `devices` what each of it must be and `status` what is
    remembered of each, by name and in manifest order; `commit` is what its git checkout is at.
    """

    def __init__(self, load: Callable[[], Fleet], clock: Callable[[], float] = time.monotonic):
        """Reads it; ManifestError with every problem."""
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self.problem: RunFailed | None = None
        self._take(load())
        self._look()

    @property
    def path(self) -> Path:
        return self.fleet.loaded.path

    @property
    def name(self) -> str:
        return self.fleet.name

    def reload(self) -> Fleet:
        """The fleet as it is on disk now, for a run; ManifestError with every problem."""
        with self._lock:
            self._read()
            return self.fleet

    def refresh(self, *, now: bool = False) -> None:
        """Have what the pages show be as it is now: at most every FRESH seconds, or `now`. What is
        wrong with a manifest that was edited becomes the `problem`."""
        with self._lock:
            if not now and self._clock() < self._looked + FRESH:
                return
            try:
                if self.problem is not None or self.fleet.changed():
                    self._read()
            except ProvisionError as error:
                self.problem = RunFailed.of(error)
            self._look()

    def _read(self) -> None:
        try:
            self._take(self._load())
        except ProvisionError as error:
            self.problem = RunFailed.of(error)
            raise
        self.problem = None

    def _take(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.devices: Mapping[str, DesiredState] = {one.device: one for one in fleet.states}

    def _look(self) -> None:
        # A manifest may have a station alone.
        found = api.status(self.fleet) if self.fleet.states else None
        devices = found.devices if found is not None else ()
        self.status: Mapping[str, DeviceStatus] = {one.device: one for one in devices}
        self.commit = found.commit if found is not None else None
        self._looked = self._clock()
