"""What a failed check shows of the console: the app's own last words."""

from __future__ import annotations

from provision.device.console import without_prompt


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
