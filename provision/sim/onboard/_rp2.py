# The chip's rp2 module, and what its machine and uctypes have otherwise than Espressif's ports.

import struct
import time

import _flash
import _machine
import uctypes as _uctypes
from _link import CONFIG, leave, not_modelled

_BASE = CONFIG["flash_base"]
_place = CONFIG["filesystem"] or (0, 0)


class Flash(_flash.Region):
    # Of the filesystem's part of the flash alone.

    def __init__(self, start=-1, len=-1):
        if start == -1:
            start = 0
        elif not (0 <= start < _place[1] and start % 4096 == 0):
            raise ValueError
        if len == -1:
            len = _place[1] - start
        elif not (0 < len and start + len <= _place[1] and len % 4096 == 0):
            raise ValueError
        super().__init__(_place[0] + start, len)


def bootsel_button():
    return 0


class PIO:
    IN_LOW, IN_HIGH, OUT_LOW, OUT_HIGH = 0, 1, 2, 3
    SHIFT_LEFT, SHIFT_RIGHT = 0, 1
    JOIN_NONE, JOIN_TX, JOIN_RX = 0, 1, 2

    def __init__(self, id):
        self._id = id

    def add_program(self, program):
        pass

    def remove_program(self, program=None):
        pass

    def state_machine(self, id, *args, **options):
        return StateMachine(id)


class StateMachine(_machine._Peripheral):
    def active(self, *value):
        return self._option("active", *value)

    def exec(self, instruction):
        pass

    def put(self, value, shift=0):
        pass

    def get(self, buffer=None, shift=0):
        return 0

    def rx_fifo(self):
        return 0

    tx_fifo = rx_fifo


class DMA(_machine._Peripheral):
    pass


def asm_pio(**options):
    return lambda function: function


def country(*code):
    return "XX"


class _Memory:
    # Of what a chip has in its address space, this process has the flash.

    def __init__(self, form):
        self._form = form
        self._data = bytearray(struct.calcsize(form))

    def __getitem__(self, address):
        _read(address, self._data)
        return struct.unpack(self._form, self._data)[0]

    def __setitem__(self, address, value):
        # A chip faults at a write to its flash; its peripherals are not modelled.
        not_modelled("address", address)


def _read(address, buffer):
    offset = address - _BASE
    if not 0 <= offset <= _flash.SIZE - len(buffer):
        not_modelled("address", address)
    _flash.read(offset, buffer)


class _Uctypes:
    def __repr__(self):
        return "<module 'uctypes'>"

    def bytearray_at(self, address, size):
        data = bytearray(size)
        _read(address, data)
        return data

    def bytes_at(self, address, size):
        return bytes(self.bytearray_at(address, size))


def make_uctypes():
    module = _Uctypes()
    for name in dir(_uctypes):
        if name[0] != "_" and name not in ("bytearray_at", "bytes_at"):
            setattr(module, name, getattr(_uctypes, name))
    return module


_PIN = _machine.Pin
_NAMED = {"LED": 25, "WL_GPIO0": 32, "WL_GPIO1": 33, "WL_GPIO2": 34}


class Pin(_PIN):
    def __init__(self, id, *args, **options):
        if isinstance(id, str):
            if id not in _NAMED and not (id[:2] == "GP" and id[2:].isdigit()):
                raise ValueError("unknown named pin \"%s\"" % id)
            id = _NAMED[id] if id in _NAMED else int(id[2:])
        super().__init__(id, *args, **options)


_WATCHDOG = _machine.WDT
_frequency = CONFIG["frequency"]


class WDT(_WATCHDOG):
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT(%d) doesn't exist" % id)
        if timeout > CONFIG["longest_watchdog"]:
            raise ValueError("timeout exceeds %d" % CONFIG["longest_watchdog"])
        super().__init__(id, timeout)


def _freq(*value):
    global _frequency
    if value:
        if not 10000000 <= value[0] <= 300000000:
            raise ValueError("cannot change frequency")
        _frequency = value[0]
    else:
        return _frequency


def _deepsleep(time_ms=None):
    # A light sleep, then a reset; without a time the USB is off, and nothing ends it.
    if time_ms is None:
        leave(b"D")
    time.sleep_ms(time_ms)
    _machine.reset()


def _adapt():
    machine = _machine
    for name in ("HARD_RESET", "DEEPSLEEP_RESET", "SOFT_RESET", "DEEPSLEEP", "wake_reason", "sleep"):
        delattr(machine, name)
    machine.PWRON_RESET, machine.WDT_RESET = 1, 3
    machine._cause = 1 if CONFIG["cause"] in ("power-on", "external") else 3
    machine.mem8, machine.mem16, machine.mem32 = _Memory("<B"), _Memory("<H"), _Memory("<I")
    machine.WDT, machine.Pin, machine.freq, machine.deepsleep = WDT, Pin, _freq, _deepsleep


_adapt()
del _adapt
