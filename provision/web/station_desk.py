"""A station that is started and ended from its page: one at a time, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from provision import api
from provision.errors import ProvisionError, UsageError
from provision.station.shift import ShiftOptions, open_shift
from provision.station.view import LiveView, StationView


class StationDesk:
    """The station of one server. `on_change` is called from any thread, and must be quick;
    `tell_bug` is told of a mistake of this tool, which ends the shift."""

    def __init__(
        self,
        load: Callable[[], api.StationManifest],
        *,
        on_change: Callable[[], None],
        tell_bug: Callable[[Exception], None],
    ) -> None:
        self._load = load
        self._on_change = on_change
        self._tell_bug = tell_bug
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._cancel = api.Cancellation()
        self._running = False
        self._closed = False
        self._live: LiveView | None = None
        self._name = ""

    @property
    def running(self) -> bool:
        return self._running

    @property
    def stopping(self) -> bool:
        """Whether it was told to end, and finishes what it has begun."""
        return self.running and self._cancel.cancelled()

    @property
    def name(self) -> str:
        """What the ledger calls it; "" before the first start."""
        return self._name

    def view(self) -> StationView | None:
        """How it looks, or looked when it ended; None where there was none."""
        return self._live.view() if self._live is not None else None

    def start(self, options: ShiftOptions) -> None:
        """Begin a shift; an error of `open_shift`, or of its manifest, where that cannot be."""
        begun: Future[None] = Future()
        with self._lock:
            if self._closed:
                raise UsageError("this server is stopping", hint="start it again, and try again")
            if self.running:
                raise UsageError(
                    "the station is running already", hint="load its page anew to see it"
                )
            self._cancel = api.Cancellation()
            self._running = True
            self._thread = threading.Thread(
                target=self._work, args=(options, begun), name="provision-station", daemon=True
            )
            self._thread.start()
        begun.result()

    def stop(self) -> None:
        """No further board is begun; those at work are finished."""
        self._cancel.cancel()
        self._on_change()

    def close(self) -> None:
        """The server ends."""
        with self._lock:
            self._closed = True
        self._cancel.cancel()

    def join(self) -> None:
        """Wait until what was begun is finished."""
        if self._thread is not None:
            self._thread.join()

    def _work(self, options: ShiftOptions, begun: Future[None]) -> None:
        try:
            with open_shift(self._load(), options) as shift:
                live = LiveView(shift.sockets, on_change=self._on_change)
                self._live, self._name = live, shift.station
                begun.set_result(None)
                shift.run(live, cancel=self._cancel)
        except Exception as error:  # noqa: BLE001 - whoever has pressed the button is told
            if begun.done():
                self._failed(error)
            else:
                begun.set_exception(error)
        finally:
            self._running = False
            self._on_change()

    def _failed(self, error: Exception) -> None:
        """What ended the shift is said where the station is shown."""
        said = f"internal: {type(error).__name__}: {error}"
        if isinstance(error, ProvisionError):
            said = f"{error.message}; {error.hint}"
        else:
            self._tell_bug(error)
        if self._live is not None:
            self._live.said(said)
