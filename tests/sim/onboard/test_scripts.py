"""boot.py and main.py on a virtual board: what runs when, and what keeps the REPL away."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from provision.sim.process.flash_faults import FLASH_FAULTS, put_file
from provision.sim.setup import ResetCause, ResetKind, ResetRequest
from tests.sim.bench import PROMPT, RAW, Bench

BOTH = pytest.mark.parametrize("chip", [ESP32, ESP8266])


def put(bench: Bench, **files: str) -> None:
    for name, text in files.items():
        put_file(bench.setup, bench.flash, f"/{name}.py", text.encode())


@BOTH
def test_boot_then_main_share_the_repls_names(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip) as bench:
        put(bench, boot="print('boot')\na = 1\n", main="print('main', a)\nb = 2\n")
        text = bench.boot()
        assert b"boot\r\nmain 1\r\n" in text
        assert b"\r\n3\r\n" in bench.type(b"a + b\r")


@BOTH
def test_soft_reset_runs_both_and_forgets_names(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip) as bench:
        put(bench, main="print('main runs')\n")
        bench.boot()
        bench.type(b"x = 1\r")
        text = bench.type(b"\x04")
        assert text.startswith(b"\r\nMPY: soft reboot\r\n")
        assert b"main runs\r\n" in text
        assert b"NameError" in bench.type(b"x\r")
        assert b"soft reboot" in bench.type(b"import machine; machine.soft_reset()\r")
        cause = b"5" if chip is ESP32 else b"4"
        answer = bench.type(b"import machine; machine.reset_cause()\r")
        assert b"\r\n" + cause + b"\r\n" in answer


@BOTH
def test_soft_reset_in_raw_mode_skips_main_and_stays_raw(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip) as bench:
        put(bench, boot="print('boot runs')\n", main="print('main runs')\n")
        bench.boot()
        bench.raw()
        assert bench.type(b"\x04", RAW) == b"OK\r\nMPY: soft reboot\r\nboot runs\r\n" + RAW
        assert bench.run("print(7)") == "7"


def test_what_is_sent_during_a_soft_reset_waits(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.raw()
        assert bench.type(b"\x04print(8)\x04", b"\x04>").endswith(RAW + b"OK8\r\n\x04\x04>")


def test_exceptions_print_as_the_chip_prints_them(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        put(bench, main="def f():\n    1 / 0\n\nf()\n")
        assert (
            b"Traceback (most recent call last):\r\n"
            b'  File "main.py", line 4, in <module>\r\n'
            b'  File "main.py", line 2, in f\r\n'
            b"ZeroDivisionError: divide by zero\r\nMicroPython v1.24.1"
        ) in bench.boot()


def test_main_is_skipped_on_esp32_when_boot_failed(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        put(bench, boot="syntax error here\n", main="print('main runs')\n")
        text = bench.boot()
        assert b'  File "boot.py", line 1\r\nSyntaxError: invalid syntax\r\n' in text
        assert b"main runs" not in text


def test_imports_from_lib_and_from_root(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.raw()
        bench.run("import os; os.mkdir('lib')")
        bench.run("f = open('lib/alpha.py', 'w'); f.write('x = 4'); f.close()")
        bench.run("f = open('beta.py', 'w'); f.write('from alpha import x'); f.close()")
        assert bench.run("import beta; print(beta.x)") == "4"


@pytest.mark.parametrize("fault", ["main-hog", "main-chatter"])
def test_ctrl_c_stops_a_main_that_never_yields(tmp_path: Path, fault: str) -> None:
    with Bench(tmp_path) as bench:
        FLASH_FAULTS[fault](bench.setup, bench.flash)
        put(bench, boot="print('boot ends')\n")
        bench.boot(until=b"boot ends\r\n")
        text = bench.insist(b"\r\x03")
        assert b"KeyboardInterrupt: \r\n" in text
        bench.settle(0.05)
        bench.raw()
        assert bench.run("print(1)") == "1"


def test_a_main_that_catches_keyboard_interrupt(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        FLASH_FAULTS["main-stubborn"](bench.setup, bench.flash)
        bench.boot(until=b"here\r\n")
        for _ in range(3):  # one at a time: a second could hit it between two of its loops
            bench.type(b"\x03", b"no\r\nhere\r\n")
        assert PROMPT not in bench.settle(0.05)


def test_a_main_that_is_deaf_to_ctrl_c(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        FLASH_FAULTS["main-deaf"](bench.setup, bench.flash)
        bench.boot(until=b"entry")
        bench.settle(0.2)
        bench.application.receive(b"\x03\x03\x01\x04")
        assert bench.settle(0.1) == b""
        bench.application.halt()


def test_deepsleep_at_once_leaves_the_chip_silent(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        FLASH_FAULTS["main-deepsleep"](bench.setup, bench.flash)
        bench.application.boot(ResetCause.POWER_ON)
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.DEEPSLEEP, seconds=None)
        bench.output.clear()
        bench.application.receive(b"\x03\x01")
        assert bench.settle(0.05) == b""


@BOTH
def test_deepsleep_for_a_time(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip) as bench:
        bench.boot()
        bench.type(b"import machine; machine.deepsleep(1500)\r", b"\r\n")
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.DEEPSLEEP, seconds=1.5)


def test_reset_in_main_loops_until_it_is_interrupted_early(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        text = "import time\nprint('up')\ntime.sleep_ms(300)\nimport machine\nmachine.reset()\n"
        put(bench, main=text)
        for _ in range(2):
            bench.application.boot(ResetCause.SOFTWARE)
            assert bench.until_reset_request() == ResetRequest(kind=ResetKind.RESET)
        bench.output.clear()
        bench.boot(until=b"up\r\n")
        assert b"KeyboardInterrupt" in bench.type(b"\x03")


def test_sys_exit_is_a_soft_reset(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        FLASH_FAULTS["main-soft-reset-loop"](bench.setup, bench.flash)
        bench.application.boot(ResetCause.POWER_ON)
        bench.until(b"MPY: soft reboot\r\n", count=3)
    (tmp_path / "raw").mkdir()
    with Bench(tmp_path / "raw") as bench:
        bench.boot()
        bench.raw()
        assert bench.type(b"import sys; sys.exit(3)\x04", RAW) == (
            b"OK\x04\x04MPY: soft reboot\r\n" + RAW
        )


def test_a_watchdog_that_is_not_fed_resets(tmp_path: Path) -> None:
    with Bench(tmp_path, scale="4") as bench:
        FLASH_FAULTS["main-watchdog"](bench.setup, bench.flash)
        bench.application.boot(ResetCause.POWER_ON)
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.WATCHDOG)
        bench.output.clear()
        assert b"rst:0x10 (RTCWDT_RTC_RESET)" in bench.boot(ResetCause.WATCHDOG, until=b"entry")


def test_a_watchdog_that_is_fed_does_not(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        text = (
            "import machine, time\nw = machine.WDT(timeout=200)\n"
            "for i in range(60):\n    time.sleep_ms(10)\n    w.feed()\nprint('survived')\n"
        )
        put(bench, main=text)
        bench.boot(until=b"survived\r\n")
        assert bench.reset_requests == []


def test_main_may_read_the_console(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        put(bench, main="print('name?')\nprint('hello', input())\n")
        bench.boot(until=b"name?\r\n")
        assert b"hello bob\r\n" in bench.type(b"bob\r")
        put(bench, main="import sys\nprint('bytes?')\nprint(sys.stdin.buffer.read(2))\n")
        bench.boot(until=b"bytes?\r\n")
        assert b"b'\\x00\\r'\r\n" in bench.type(b"\x00\r")


TAKES_ALL = """
def take():
    global x
    x = None
    try:
        while True: x = (x, bytearray(64))
    except MemoryError: pass
    try:
        while True: x = (x,)
    except MemoryError: print('taken')
    while True: pass
take()
"""


@BOTH
@pytest.mark.parametrize("script", ["boot", "main"])
def test_an_app_that_took_all_memory_leaves_a_prompt(
    tmp_path: Path, chip: Chip, script: str
) -> None:
    with Bench(tmp_path, chip, heap="36k") as bench:
        put(bench, **{script: TAKES_ALL})
        bench.boot(until=b"taken\r\n")
        assert b"KeyboardInterrupt" in bench.type(b"\x03")
        bench.raw()
        failed = bench.type(b"len(bytearray(20000))\x04", b"\x04>")
        assert b"MemoryError" in failed


def test_what_the_repl_cannot_take_ends_an_esp8266(tmp_path: Path) -> None:
    """The line that is read grows outside of any program, which could be told."""
    with Bench(tmp_path, ESP8266) as bench:
        put(bench, main=TAKES_ALL)
        bench.boot(until=b"taken\r\n")
        bench.type(b"\x03")
        assert bench.type(b"#" * 9000, b"failed\r\n").endswith(b"#NLR jump failed\r\n")
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.WATCHDOG)


def test_rtc_memory_outlives_deep_sleep_but_not_power(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.type(b"import machine; machine.RTC().memory(b'kept')\r")
        bench.type(b"machine.deepsleep(10)\r", b"\r\n")
        bench.until_reset_request()
        bench.boot(ResetCause.DEEPSLEEP)
        assert b"b'kept'" in bench.type(b"import machine; machine.RTC().memory()\r")
        bench.boot(ResetCause.POWER_ON)
        assert b"b''" in bench.type(b"import machine; machine.RTC().memory()\r")


def test_many_interrupts_in_a_row_break_nothing(tmp_path: Path) -> None:
    """The unix port's own SIGINT handler left the heap locked about once in fifteen times."""
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.raw()
        code = (
            b"print('on')\nwhile True:\n  x = [0] * 50; f = open('x', 'w'); f.write('y'); f.close()"
        )
        for _ in range(40):
            bench.type(code + b"\x04", b"on\r\n")
            bench.application.receive(b"\x03\x03")
            assert b"KeyboardInterrupt" in bench.until(b"\x04>")
        assert bench.run("print(len([0] * 1000))") == "1000"


def interrupted_start(bench: Bench) -> str:
    """The root after soft resets amid Ctrl-C, until one of them did something, or has not often."""
    bench.boot()
    bench.raw()
    for _ in range(20):
        bench.type(b"\x04", b"soft reboot\r\n")
        bench.insist(b"\x03", RAW, every=0.005)
        root = bench.run("import os; print(os.statvfs('/')[2] > 0, os.listdir('/'))")
        if root != "True ['boot.py']":
            break
    return root


@BOTH
def test_before_1_21_ctrl_c_hits_the_firmwares_own_first_script(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip, "1.20.0") as bench:
        assert interrupted_start(bench) == "False []"
        # It is not the filesystem's fault.
        assert bench.type(b"\x04", RAW).endswith(b"soft reboot\r\n" + RAW)
        assert bench.run("import os; print(os.listdir('/'))") == "['boot.py']"


@BOTH
def test_since_1_21_ctrl_c_spares_the_firmwares_own_first_script(
    tmp_path: Path, chip: Chip
) -> None:
    with Bench(tmp_path, chip, "1.21.0") as bench:
        assert interrupted_start(bench) == "True ['boot.py']"
