"""What is seen of a station, as data: each socket, what came to so far, what was said."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from provision import api
from provision.errors import UsageError
from provision.station.machine import Counts, SeenPort, SocketState, Verdict
from provision.station.shift import ShiftOptions, ShiftResult, open_shift
from provision.station.view import LiveView, SocketView, Working, socket_view

PORT = SeenPort(path="/dev/ttyUSB0")
PASS = Verdict(passed=True, seconds=10.0, number="1000", name="PV-1000", mac="aa")
FAIL = Verdict(passed=False, seconds=3.0, mac="bb", reason="no\x1b[2J answer", advice="mend\rit")
LOOK = Verdict(passed=True, seconds=0.1, number="1000", known=True, look=True)
SPOILT = Verdict(passed=False, seconds=0.1, number="1000", known=True, look=True)

SOCKETS: dict[str, tuple[SocketState, SocketView]] = {
    "empty": (SocketState(), SocketView(socket="a", phase="empty", advice="plug a board in")),
    "empty, with what became of the last board": (
        SocketState(verdict=FAIL),
        SocketView(
            socket="a", phase="empty", advice="plug a board in", last="FAIL a board: no answer"
        ),
    ),
    "asked who it is": (
        SocketState(phase="proving", port=PORT, since=95.0),
        SocketView(socket="a", phase="proving", seconds=5.0, advice="leave it in"),
    ),
    "at work": (
        SocketState(phase="working", port=PORT, since=98.0, number="1000", mac="aa"),
        SocketView(
            socket="a", phase="working", number="1000", mac="aa", seconds=2.0,
            working=Working(stage="flash", fraction=0.5), advice="leave it in",
        ),
    ),
    "passed": (
        SocketState(phase="passed", port=PORT, number="1000", mac="aa", verdict=PASS),
        SocketView(
            socket="a", phase="passed", number="1000", name="PV-1000", mac="aa", seconds=10.0,
            advice="take it away",
        ),
    ),
    "failed": (
        SocketState(phase="failed", port=PORT, verdict=FAIL),
        SocketView(
            socket="a", phase="failed", mac="bb", seconds=3.0, reason="no answer", advice="mend it"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("state", "seen"), SOCKETS.values(), ids=SOCKETS)
def test_a_socket(state: SocketState, seen: SocketView) -> None:
    working = Working(stage="flash", fraction=0.5) if state.phase == "working" else None
    assert socket_view("a", state, working, 100.0) == seen


def test_boards_that_are_only_looked_at_are_no_part_of_the_yield() -> None:
    counts = Counts()
    assert (counts.yield_percent, counts.seconds_a_unit) == (None, None)
    for verdict in (PASS, PASS, FAIL, LOOK, SPOILT, LOOK):
        counts = counts.after(verdict)
    assert (counts.total, counts.yield_percent, counts.seconds_a_unit) == (6, 66, 10.0)
    assert counts.summary == (
        "2 passed, 1 failed, yield 66 %, 10.0 s a unit, 3 only looked at (1 amiss)"
    )


def test_what_a_live_view_is_told_is_seen_at_once() -> None:
    told: list[int] = []
    view = LiveView(["a", "b"], on_change=lambda: told.append(len(view.view().notices)))
    view.said("hello\x07")
    view.changed("b", SocketState(phase="working", number="1", mac="aa"), Counts(passed=1))
    view.progress("b", "flash", 0.25)
    seen = view.view()
    assert [socket.phase for socket in seen.sockets] == ["empty", "working"]
    assert seen.sockets[1].working == Working(stage="flash", fraction=0.25)
    assert (seen.counts.passed, seen.notices) == (1, ("hello\\x07",))
    view.changed("b", SocketState(phase="passed", verdict=PASS), Counts(passed=2))
    assert view.view().sockets[1].working is None
    assert told == [1, 1, 1, 1]


@pytest.fixture
def opened(tmp_path: Path) -> api.StationManifest:
    manifest = tmp_path / "fleet.yaml"
    manifest.write_text(
        "devices: {unit: {board: esp32}}\n"
        "station: {template: unit, sockets: {left: 1-1.4}, after: {command: [true]}}\n"
    )
    return api.open_station(manifest)


def test_a_shift_is_ended_from_another_thread(opened: api.StationManifest) -> None:
    cancel, begun = api.Cancellation(), threading.Event()
    results: list[ShiftResult] = []
    with open_shift(opened, ShiftOptions(station="bench", allow_hooks=True)) as shift:
        view = LiveView(shift.sockets, on_change=begun.set)
        running = threading.Thread(target=lambda: results.append(shift.run(view, cancel=cancel)))
        running.start()
        assert begun.wait(60)
        cancel.cancel()
        running.join(60)
        assert not running.is_alive()
    assert results == [ShiftResult(counts=Counts(), cut=0)]
    assert view.view().notices[-1] == "0 passed, 0 failed"
    assert [socket.socket for socket in view.view().sockets] == ["left"]


def test_a_shift_that_may_not_begin_is_refused_before_anything_is_shown(
    opened: api.StationManifest,
) -> None:
    with (
        pytest.raises(UsageError, match="wants to run programs"),
        open_shift(opened, ShiftOptions()),
    ):
        pytest.fail("hooks that nobody has allowed")
    allowed = ShiftOptions(station="bench", allow_hooks=True)
    with open_shift(opened, allowed), pytest.raises(UsageError, match="another station"):
        open_shift(opened, allowed).__enter__()
