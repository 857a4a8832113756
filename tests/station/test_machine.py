"""The state machine of a socket, as data: what is seen and done, and the phase after each."""

from __future__ import annotations

import pytest

from provision.station.machine import (
    GRACE,
    Counts,
    SeenPort,
    SocketState,
    Verdict,
    ended,
    looked,
    proved,
)

BRIDGE = SeenPort(path="/dev/ttyUSB0")
OTHER = SeenPort(path="/dev/ttyUSB1")
NATIVE = SeenPort(path="/dev/ttyACM0", serial="AA")
RENAMED = SeenPort(path="/dev/ttyACM1", serial="AA")
OTHER_NATIVE = SeenPort(path="/dev/ttyACM0", serial="BB")
MAC_NATIVE = SeenPort(path="/dev/ttyACM0", serial="F4:12:FA:00:00:01")
PASS = Verdict(passed=True, seconds=1.0, number="1", mac="f4:12:fa:00:00:01")
FAIL = Verdict(passed=False, seconds=1.0, number="1", reason="the check failed")

# Looks are a second apart. A port is a look that sees it, None one that sees nothing; "P" is a
# board that has said who it is, a Verdict the end of the work. "proving!" is where it is begun.
Seen = SeenPort | Verdict | str | None
CASES: dict[str, list[tuple[Seen, str]]] = {
    "a board is made and taken away": [
        (None, "empty"), (BRIDGE, "found"), (BRIDGE, "proving!"), (BRIDGE, "proving"),
        ("P", "working"), (BRIDGE, "working"), (PASS, "passed"), (BRIDGE, "passed"),
        (None, "passed"), (None, "passed"), (None, "passed"), (None, "empty"), (None, "empty"),
    ],
    "a port that is gone before its second look was none": [
        (BRIDGE, "found"), (None, "empty"), (BRIDGE, "found"), (BRIDGE, "proving!"),
    ],
    "a port that becomes another one is looked at anew": [
        (BRIDGE, "found"), (OTHER, "found"), (OTHER, "proving!"),
    ],
    "a board that nobody can talk to fails": [
        (BRIDGE, "found"), (BRIDGE, "proving!"), (FAIL, "failed"), (BRIDGE, "failed"),
    ],
    "a port that comes and goes while it is worked on is the work's own business": [
        (NATIVE, "found"), (NATIVE, "proving!"), (None, "proving"), (RENAMED, "proving"),
        ("P", "working"), (None, "working"), (None, "working"), (None, "working"),
        (None, "working"), (RENAMED, "working"), (PASS, "passed"),
    ],
    "a chip's own USB that comes back at once is the same board": [
        (NATIVE, "found"), (NATIVE, "proving!"), ("P", "working"), (PASS, "passed"),
        (None, "passed"), (RENAMED, "passed"), (None, "passed"), (NATIVE, "passed"),
    ],
    "another number at once is another board": [
        (NATIVE, "found"), (NATIVE, "proving!"), ("P", "working"), (PASS, "passed"),
        (OTHER_NATIVE, "found"), (OTHER_NATIVE, "proving!"),
    ],
    "one that comes back with its MAC for a number is the same board": [
        (NATIVE, "found"), (NATIVE, "proving!"), ("P", "working"), (PASS, "passed"),
        (None, "passed"), (MAC_NATIVE, "passed"), (MAC_NATIVE, "passed"), (None, "passed"),
        (MAC_NATIVE, "passed"),
    ],
    "a bridge that comes back was plugged in by a hand": [
        (BRIDGE, "found"), (BRIDGE, "proving!"), ("P", "working"), (PASS, "passed"),
        (None, "passed"), (BRIDGE, "found"), (BRIDGE, "proving!"),
    ],
    "so was one with another name, however quick the hand": [
        (BRIDGE, "found"), (BRIDGE, "proving!"), ("P", "working"), (PASS, "passed"),
        (OTHER, "found"), (OTHER, "proving!"),
    ],
    "so was one that had failed": [
        (BRIDGE, "found"), (BRIDGE, "proving!"), ("P", "working"), (FAIL, "failed"),
        (None, "failed"), (BRIDGE, "found"), (BRIDGE, "proving!"),
    ],
    "unplugged in the middle": [
        (BRIDGE, "found"), (BRIDGE, "proving!"), ("P", "working"), (None, "working"),
        (FAIL, "failed"), (None, "failed"), (None, "failed"), (None, "empty"),
    ],
    "unplugged in the middle, plugged in again before that is told": [
        (BRIDGE, "found"), (BRIDGE, "proving!"), ("P", "working"), (None, "working"),
        (BRIDGE, "working"), (FAIL, "failed"), (BRIDGE, "failed"),
    ],
    "taken away while its label is printed, and the next one plugged in": [
        (BRIDGE, "found"), (BRIDGE, "proving!"), ("P", "working"), (None, "working"),
        (BRIDGE, "working"), (PASS, "passed"), (BRIDGE, "found"), (BRIDGE, "proving!"),
        ("P", "working"), (PASS, "passed"), (BRIDGE, "passed"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
def test_a_socket(steps: list[tuple[Seen, str]]) -> None:
    assert 2 < GRACE < 4  # the looks that the cases count on
    state, now = SocketState(), 0.0
    for seen, expected in steps:
        begin = False
        match seen:
            case Verdict():
                state = ended(state, seen, now)
            case str():
                state = proved(state, number="1", mac="aa", now=now)
            case _:
                now += 1.0
                state, begin = looked(state, seen, now)
        assert state.phase + ("!" if begin else "") == expected


def test_a_board_with_another_number_may_be_the_one_before() -> None:
    """Whoever asks it is told what became of that one: of a chip's own USB, within `GRACE`."""
    for back, perhaps in ((OTHER_NATIVE, PASS), (OTHER, None)):
        state = SocketState()
        for port in (NATIVE, NATIVE):
            state, begin = looked(state, port, 0.0)
        state = ended(proved(state, number="1", mac="aa", now=0.0), PASS, 0.0)
        for port in (None, back, back):
            state, begin = looked(state, port, 1.0)
        assert (begin, state.phase, state.perhaps) == (True, "proving", perhaps)
        told = Verdict(passed=True, seconds=1.0, again=True)
        state = ended(state, told, 2.0)
        assert (state.phase, Counts().after(told)) == ("passed", Counts())
        state, begin = looked(state, back, 3.0)
        assert (begin, state.phase) == (False, "passed")


def test_the_last_verdict_is_seen_until_the_next_board_is_begun() -> None:
    state = SocketState()
    for _ in range(2):
        state, _begin = looked(state, BRIDGE, 0.0)
    state = ended(state, FAIL, 1.0)
    for now in (2.0, 2.0 + GRACE):
        state, _begin = looked(state, None, now)
    assert (state.phase, state.verdict) == ("empty", FAIL)
    state, _begin = looked(state, BRIDGE, 9.0)
    assert state.verdict == FAIL
    state, _begin = looked(state, BRIDGE, 10.0)
    assert state.verdict is None
