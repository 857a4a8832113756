"""The station at work: looks at its sockets again and again, has each board served on a thread of
its own, and tells what changes.

Everything is decided by `machine.py` on the one thread that runs this; those that serve boards only
send what they found.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from types import MappingProxyType

from provision.core.planning.port_choice import matching
from provision.interfaces import PortInfo
from provision.model.language import record
from provision.model.state import PortSelector
from provision.station import machine
from provision.station.machine import GRACE, Counts, SeenPort, SocketState, Verdict
from provision.station.orders import Orders, Place, Progress, Proved
from provision.station.telling import Lines, Teller, ending
from provision.station.worker import serve

LOOK = 0.25  # seconds between two looks at the ports, which no event tells of

BRIDGES = frozenset({"0403", "067b", "10c4", "1a86"})
"""USB vendors of UART bridges: FTDI, Prolific, Silicon Labs, WCH. Their serial numbers tell nothing
of a board: that of a CP2102 is 0001 on most."""

Ports = Callable[[], Sequence[PortInfo]]


@record
class Layout:
    """Where boards are plugged in: at named sockets, or (`anywhere`) at any port that appears and
    is not of a board among those `left_alone`, each with the time when it was last there."""

    sockets: Mapping[str, PortSelector]
    left_alone: Mapping[SeenPort, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def anywhere(self) -> bool:
        return not self.sockets

    def seen(self, ports: Sequence[PortInfo]) -> dict[str, SeenPort]:
        """What is at each socket that has something; two ports at one socket are the first."""
        if self.anywhere:
            alone = {port.serial or port.path for port in self.left_alone}
            return {
                port.location or port.path: seen_port(port)
                for port in ports
                if (seen_port(port).serial or port.path) not in alone
            }
        found = {}
        for name, selector in self.sockets.items():
            at = matching(selector, ports)
            if at:
                found[name] = seen_port(at[0])
        return found

    def after(self, ports: Sequence[PortInfo], now: float) -> Layout:
        """The layout once these ports were seen: where a bridge that was left alone has been away
        for `GRACE` seconds, the next board may come. A chip's own USB is known by its number, and
        may be away for as long as the board sleeps."""
        there = {port.path for port in ports}
        last = {
            port: now if port.path in there else before for port, before in self.left_alone.items()
        }
        return replace(
            self,
            left_alone={
                port: before
                for port, before in last.items()
                if port.serial is not None or now - before < GRACE
            },
        )


def _unheard(_line: str) -> None:
    """What nobody is told."""


def seen_port(port: PortInfo) -> SeenPort:
    """A port as the machine knows it."""
    vendor = port.usb_id[:4] if port.usb_id is not None else None
    return SeenPort(path=port.path, serial=None if vendor in BRIDGES else port.serial_number)


class Station:
    """A station that runs. `stop_after`: it ends by itself once so many boards were done."""

    def __init__(
        self,
        orders: Orders,
        layout: Layout,
        ports: Ports,
        teller: Teller,
        *,
        stop_after: int | None = None,
    ) -> None:
        self._orders = orders
        self._layout = layout
        self._ports = ports
        self._teller = teller
        self._stop_after = stop_after
        self._states: dict[str, SocketState] = {name: SocketState() for name in layout.sockets}
        self._said: queue.SimpleQueue[tuple[str, Proved | Progress | Verdict]]
        self._said = queue.SimpleQueue()
        self._busy: set[str] = set()
        self.counts = Counts()
        self.cut = 0

    def run(self) -> None:
        """Until it is cancelled, or interrupted by Ctrl-C: then what has begun on a board ends
        where no half-written flash is left behind, as before whatever else ends this: output that
        nobody reads any more, or a mistake. A second Ctrl-C is passed on at once."""
        try:
            while not self._done():
                self._look()
                self._listen(LOOK)
            if self._busy and not self._orders.cancel.cancelled():
                self._teller.said("that is all; the boards that are at work are finished")
                self._finish()
        except KeyboardInterrupt:
            self._orders.cancel.cancel()
        except Exception:
            self._orders.cancel.cancel()
            self._teller = Lines(_unheard)  # it may be what has failed
            self._finish()
            raise
        if self._busy:
            self._teller.said("stopping: finishing writes in progress; press Ctrl-C again to abort")
            self._finish()
        self._teller.said(ending(self.counts, self.cut))

    def _finish(self) -> None:
        while self._busy:
            self._listen(LOOK)

    def _done(self) -> bool:
        if self._orders.cancel.cancelled():
            return True
        return self._stop_after is not None and self.counts.total >= self._stop_after

    def _look(self) -> None:
        try:
            ports = self._ports()
        except OSError:  # what is unplugged while it is listed; the next look sees what is left
            return
        now = time.monotonic()
        self._layout = self._layout.after(ports, now)
        seen = self._layout.seen(ports)
        for socket in [*self._states, *(name for name in seen if name not in self._states)]:
            before = self._states.get(socket, SocketState())
            after, begin = machine.looked(before, seen.get(socket), now)
            self._put(socket, before, after)
            if begin:
                assert after.port is not None
                self._begin(socket, after.port, after.perhaps)

    def _begin(self, socket: str, port: SeenPort, perhaps: Verdict | None) -> None:
        self._busy.add(socket)

        def tell(said: Proved | Progress) -> None:
            self._said.put((socket, said))

        def work() -> None:
            place = Place(socket=socket, port=port.path, where=lambda: self._port_at(socket))
            verdict = serve(self._orders, place, tell, perhaps)
            self._said.put((socket, verdict))

        # A second Ctrl-C must not wait for it.
        threading.Thread(target=work, name=f"socket {socket}", daemon=True).start()

    def _port_at(self, socket: str) -> str | None:
        """What is at a socket just now, for whoever serves its board."""
        try:
            seen = self._layout.seen(self._ports())
        except OSError:
            return None
        return seen[socket].path if socket in seen else None

    def _listen(self, seconds: float) -> None:
        """Take in what the threads say, for so long or until one has ended."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                socket, said = self._said.get(timeout=left)
            except queue.Empty:
                return
            before = self._states[socket]
            now = time.monotonic()
            match said:
                case Progress():
                    self._teller.progress(socket, said.stage, said.fraction)
                case Proved():
                    after = machine.proved(before, number=said.number, mac=said.mac, now=now)
                    self._put(socket, before, after)
                case Verdict():
                    self._busy.discard(socket)
                    self.counts = self.counts.after(said)
                    self.cut += said.cut and not said.again
                    self._put(socket, before, machine.ended(before, said, now))
                    return

    def _put(self, socket: str, before: SocketState, after: SocketState) -> None:
        self._states[socket] = after
        if after.phase != before.phase:
            self._teller.changed(socket, after, self.counts)
        if self._layout.anywhere and after.phase == "empty" and after.verdict is None:
            del self._states[socket]
