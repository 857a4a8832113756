# The chip's clock: it counts from 2000, from the moment the chip was given power, until a program
# sets it. Whole seconds, and tuples of eight.

import time as _real

from _link import CONFIG, tell

_EPOCH = 946684800  # 2000-01-01 in the unix port's seconds
_zero = CONFIG["clock"]  # when the chip's clock stood at nought, in the unix port's seconds


def time():
    return int(_real.time() - _zero)


def time_ns():
    return _real.time_ns() - int(_zero * 1000) * 1000000


def gmtime(seconds=None):
    return _real.gmtime((time() if seconds is None else seconds) + _EPOCH)[:8]


localtime = gmtime


def mktime(date):
    return int(_real.mktime(tuple(date[:8]) + (0,))) - _EPOCH


def set_clock(seconds):
    global _zero
    _zero = int(_real.time()) - seconds
    tell(b"C", str(_zero).encode())


sleep, sleep_ms, sleep_us = _real.sleep, _real.sleep_ms, _real.sleep_us
ticks_ms, ticks_us, ticks_cpu = _real.ticks_ms, _real.ticks_us, _real.ticks_cpu
ticks_add, ticks_diff = _real.ticks_add, _real.ticks_diff
