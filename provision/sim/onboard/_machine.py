# The chip's machine module: what a program can do without hardware, it can do; pins and buses
# accept use and answer as if nothing were connected.

import struct
import time

import _console
import _time
import umachine
from _link import CONFIG, leave, not_modelled, tell

_ESP32 = CONFIG["platform"] == "esp32"

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = (
    (1, 2, 3, 4, 5) if _ESP32 else (0, 6, 1, 5, 4)
)
DEEPSLEEP = 4 if not _ESP32 else 7


class _Registers:
    # The eFuses, and the registers that set the console's rate; this process has no others, and its
    # own memory is nobody's to look at.

    def __getitem__(self, address):
        for registers in (CONFIG["uart"], CONFIG["fuses"]):
            value = registers.get(str(address))
            if value is not None:
                return value
        not_modelled("register", address)

    def __setitem__(self, address, value):
        name = str(address)
        if name not in CONFIG["uart"]:
            not_modelled("register", address)
        value &= 0xFFFFFFFF
        if address != CONFIG["uart_commit"]:  # which clears itself
            CONFIG["uart"][name] = value
        tell(b"A", struct.pack("<II", address, value))


mem32 = _Registers()
idle = umachine.idle
soft_reset = umachine.soft_reset
Signal = umachine.Signal
_frequency = 160000000 if _ESP32 else 80000000
_cause = {
    "power-on": PWRON_RESET,
    "external": HARD_RESET if not _ESP32 else PWRON_RESET,
    "software": HARD_RESET if _ESP32 else SOFT_RESET,
    "watchdog": WDT_RESET,
    "deepsleep": DEEPSLEEP_RESET,
    "soft": SOFT_RESET,
}[CONFIG["cause"]]


def reset():
    leave(b"R")


def bootloader(timeout=0):
    leave(b"L")


# Only some chips can be told to start in download mode.
if not CONFIG["bootloader"]:
    del bootloader


def deepsleep(time_ms=None):
    # On an ESP8266 the time comes from the RTC's alarm.
    if time_ms is None:
        time_ms = RTC._alarm
    leave(b"D", b"" if time_ms is None else struct.pack("<Q", time_ms))


def lightsleep(time_ms=None):
    if time_ms is None:
        while True:  # nothing of a virtual board's wakes it; a reset ends the process
            time.sleep(1)
    time.sleep_ms(time_ms)


sleep = lightsleep


def reset_cause():
    return _cause


def wake_reason():
    return 4 if _cause == DEEPSLEEP_RESET else 0


def unique_id():
    return bytes(CONFIG["unique_id"])


def freq(*value):
    global _frequency
    if value:
        _frequency = value[0]
    return _frequency


def disable_irq():
    return 0


def enable_irq(state):
    pass


def time_pulse_us(pin, level, timeout_us=1000000):
    return -2


class WDT:
    def __init__(self, id=0, timeout=5000):
        self._timeout = timeout
        self._told = time.ticks_ms()
        tell(b"T", struct.pack("<I", timeout))

    def feed(self):
        # The supervisor hears of it at most every eighth of the timeout, and allows for that.
        now = time.ticks_ms()
        if time.ticks_diff(now, self._told) >= self._timeout // 8:
            self._told = now
            tell(b"T", struct.pack("<I", self._timeout))


class RTC:
    ALARM0 = 0
    _alarm = None
    _memory = bytes(CONFIG["rtc"])

    def __init__(self, id=0):
        pass

    def memory(self, *data):
        if data:
            RTC._memory = bytes(data[0])
            tell(b"M", RTC._memory)
        else:
            return RTC._memory

    def alarm(self, id, time=0, repeat=False):
        RTC._alarm = time

    def alarm_left(self, id=0):
        return RTC._alarm or 0

    def irq(self, trigger=0, handler=None, wake=0):
        pass

    def datetime(self, *value):
        if value:
            year, month, day, _, hour, minute, second = value[0][:7]
            date = (year, month, day, hour, minute, second, 0, 0)
            _time.set_clock(_time.mktime(date))
        else:
            now = _time.gmtime()
            return now[:3] + (now[6],) + now[3:6] + (0,)

    def init(self, value):
        self.datetime(value[:3] + (0,) + value[3:6])


class Pin(umachine.PinBase):
    IN, OUT, OPEN_DRAIN = (1, 3, 7) if _ESP32 else (0, 1, 2)
    PULL_UP = 2 if _ESP32 else 1
    PULL_DOWN = 1
    IRQ_RISING, IRQ_FALLING = 1, 2
    WAKE_LOW, WAKE_HIGH = 4, 5
    DRIVE_0, DRIVE_1, DRIVE_2, DRIVE_3 = 0, 1, 2, 3
    _levels = {}

    def __init__(self, id, mode=-1, pull=-1, *, value=None, **other):
        if isinstance(id, Pin):
            id = id._id
        if not isinstance(id, int) or not 0 <= id < 55:
            raise ValueError("invalid pin")
        self._id = id
        if value is not None:
            Pin._levels[id] = int(bool(value))
        elif pull == self.PULL_UP and id not in Pin._levels:
            Pin._levels[id] = 1

    init = __init__

    def value(self, *level):
        if level:
            Pin._levels[self._id] = int(bool(level[0]))
        else:
            return Pin._levels.get(self._id, 0)

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    high, low = on, off

    def irq(self, handler=None, trigger=3, **other):
        return handler

    def __repr__(self):
        return "Pin(%d)" % self._id


class _Peripheral:
    # Accepts any construction; configuration is remembered and read back.

    def __init__(self, *args, **options):
        self._options = options

    def init(self, *args, **options):
        self._options.update(options)

    def deinit(self):
        pass

    def _option(self, name, *value):
        if value:
            self._options[name] = value[0]
        else:
            return self._options.get(name, 0)


class PWM(_Peripheral):
    def freq(self, *value):
        return self._option("freq", *value)

    def duty(self, *value):
        return self._option("duty", *value)

    def duty_u16(self, *value):
        return self._option("duty_u16", *value)

    def duty_ns(self, *value):
        return self._option("duty_ns", *value)


class ADC(_Peripheral):
    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = 0, 1, 2, 3
    WIDTH_9BIT, WIDTH_10BIT, WIDTH_11BIT, WIDTH_12BIT = 9, 10, 11, 12

    def read(self):
        return 512

    def read_u16(self):
        return 32768

    def read_uv(self):
        return 1650000

    def atten(self, value):
        pass

    def width(self, value):
        pass


class I2C(_Peripheral):
    def scan(self):
        return []

    def readfrom(self, *args):
        raise OSError(19)

    readfrom_into = writeto = writevto = readfrom
    readfrom_mem = readfrom_mem_into = writeto_mem = readfrom


SoftI2C = I2C


class SPI(_Peripheral):
    MSB, LSB = 0, 1

    def read(self, size, write=0):
        return bytes(size)

    def readinto(self, buffer, write=0):
        for i in range(len(buffer)):
            buffer[i] = 0

    def write(self, data):
        pass

    def write_readinto(self, data, buffer):
        self.readinto(buffer)


SoftSPI = SPI


class UART(_Peripheral):
    def any(self):
        return 0

    def read(self, *size):
        return None

    readline = read

    def readinto(self, *buffer):
        return None

    def write(self, data):
        # UART(0) is the console itself.
        return _console.stdout.write(data) if self._options.get("id") == 0 else len(data)

    def __init__(self, id, *args, **options):
        options["id"] = id
        self._options = options


class Timer(_Peripheral):
    ONE_SHOT, PERIODIC = 0, 1

    def value(self):
        return 0
