# The chip's clock: it counts from the port's epoch, from the moment the chip was given power, until
# a program sets it. Whole seconds, and tuples of eight.

import time as _real

from _link import CONFIG, tell

_EPOCH = CONFIG["epoch"]  # in the unix port's seconds
_START = CONFIG["clock_start"]  # what the clock shows when the chip is given power
_zero = CONFIG["clock"]  # when that was, in the unix port's seconds


def time():
    return int(_real.time() - _zero) + _START


def time_ns():
    return _real.time_ns() - int(_zero * 1000) * 1000000 + _START * 1000000000


def gmtime(seconds=None):
    return _real.gmtime((time() if seconds is None else seconds) + _EPOCH)[:8]


localtime = gmtime


def mktime(date):
    return int(_real.mktime(tuple(date[:8]) + (0,))) - _EPOCH


def set_clock(seconds):
    global _zero
    _zero = int(_real.time()) - seconds + _START
    tell(b"C", str(_zero).encode())


sleep, sleep_ms, sleep_us = _real.sleep, _real.sleep_ms, _real.sleep_us
ticks_ms, ticks_us, ticks_cpu = _real.ticks_ms, _real.ticks_us, _real.ticks_cpu
ticks_add, ticks_diff = _real.ticks_add, _real.ticks_diff
