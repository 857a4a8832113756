"""What a board prints at its prompt is shown as it is, and its secrets are not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.redact import Redactor
from provision.device import console
from provision.device.console import MaskedScreen

SECRET = "wifi-password"


def shown(pieces: Sequence[bytes], secrets: Sequence[str] = (SECRET,)) -> bytes:
    """What has been shown when these pieces have come, one right after the other."""
    said: list[bytes] = []
    screen = MaskedScreen(said.append, Redactor(secrets).text, clock=lambda: 0.0)
    for piece in pieces:
        screen.hear(piece)
    screen.close()
    return b"".join(said)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.binary(), st.lists(st.integers(0, 1000)))
def test_every_byte_is_shown(data: bytes, places: list[int]) -> None:
    assert shown(cut(data, places), ()) == data


@given(st.lists(st.integers(0, 1000)))
def test_a_secret_is_masked_wherever_a_read_ends(places: list[int]) -> None:
    data = f">>> print(wifi)\r\n{SECRET}\r\n\x1b[31mand {SECRET} again\x1b[0m\r\n>>> ".encode()
    assert shown(cut(data, places)) == data.replace(SECRET.encode(), b"***")


def test_a_prompt_and_the_echo_of_a_key_wait_for_a_silence_and_no_longer() -> None:
    said: list[bytes] = []
    now = 0.0
    screen = MaskedScreen(said.append, Redactor([SECRET]).text, clock=lambda: now)
    screen.hear(b"MicroPython v1.24.1\r\n>>> ")
    assert said == [b"MicroPython v1.24.1\r\n"]
    assert screen.waiting
    screen.hear(b"")
    assert screen.waiting
    now += console.HOLD
    screen.hear(b"")
    assert said[1:] == [b">>> "]
    assert not screen.waiting


def test_parts_of_a_secret_on_both_sides_of_a_silence_are_masked() -> None:
    said: list[bytes] = []
    screen = MaskedScreen(said.append, Redactor([SECRET]).text, clock=lambda: 0.0)
    for piece in (b">>> it is wifi-pas", b"sword.\r\n"):
        screen.hear(piece)
        screen.flush()
    assert b"".join(said) == b">>> it is ******.\r\n"


class Unplugged:
    """A port whose board says something and is gone."""

    timeout: float | None = None
    in_waiting = 1

    def __init__(self) -> None:
        self._said = [f"OSError: not {SECRET}".encode()]

    def read(self, _size: int) -> bytes:
        if not self._said:
            raise OSError("device disconnected")
        return self._said.pop()

    def write(self, _data: bytes) -> None:
        """Nobody answers."""


class Shows:
    """A terminal on which nobody types."""

    def __init__(self) -> None:
        self.shown = b""

    def show(self, data: bytes) -> None:
        self.shown += data

    def typed(self) -> bytes:
        return b""


def test_the_last_words_of_a_board_that_is_unplugged_are_shown() -> None:
    terminal = Shows()
    with pytest.raises(OSError, match="disconnected"):
        console.interact(
            Unplugged(),  # type: ignore[arg-type]
            terminal,  # type: ignore[arg-type]
            lambda: False,
            Redactor([SECRET]).text,
        )
    assert terminal.shown == b"OSError: not ***"


def test_a_line_without_an_end_is_not_held_for_ever() -> None:
    said: list[bytes] = []
    screen = MaskedScreen(said.append, Redactor([SECRET]).text, clock=lambda: 0.0)
    screen.hear(b"." * (console.LONGEST_LINE + 1))
    assert not screen.waiting
