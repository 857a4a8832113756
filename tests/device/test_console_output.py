"""What is shown of a console: lines, prompts, and of a failed check the app's own last words."""

from __future__ import annotations

import pytest

from provision.device.console import PROMPT, UNFINISHED, Lines, without_prompt


def test_banner_and_prompt_do_not_hide_the_traceback() -> None:
    heard = (
        "Traceback (most recent call last):\r\n"
        '  File "main.py", line 3, in <module>\r\n'
        "OSError: [Errno 2] ENOENT\r\n"
        "MicroPython v1.24.1 on 2024-11-29; Generic ESP32 module with ESP32\r\n"
        'Type "help()" for more information.\r\n'
        ">>> "
    )
    assert without_prompt(heard).endswith("OSError: [Errno 2] ENOENT")


def test_an_app_that_talks_of_micropython_is_heard() -> None:
    assert without_prompt("this is MicroPython v1\r\n") == "this is MicroPython v1"


@pytest.mark.parametrize(("text", "patience"), [(b">>> ", PROMPT), (b"half a li", UNFINISHED)])
def test_a_prompt_is_shown_sooner_than_half_a_line(text: bytes, patience: float) -> None:
    now = 100.0
    said: list[tuple[list[str], bool]] = []
    lines = Lines(lambda texts, ended: said.append(([*texts], ended)), str, clock=lambda: now)
    lines.hear(text)
    now += patience - 0.01
    lines.hear(b"")
    assert not said
    now += 0.02
    lines.hear(b"")
    assert said == [([text.decode()], False)]
