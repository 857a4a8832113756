# The chip's esp module.

import struct

import _flash
from _link import CONFIG, leave

LOG_NONE, LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_VERBOSE = 0, 1, 2, 3, 4, 5
SLEEP_NONE, SLEEP_LIGHT, SLEEP_MODEM = 0, 1, 2


def flash_size():
    # From the header of the image, as the chip has it.
    return CONFIG["header_size"]


def flash_user_start():
    return CONFIG["user_start"]


def flash_id():
    return CONFIG["flash_id"]


def flash_read(offset, buffer):
    # An ESP8266 also takes a size; an ESP32 wants a buffer.
    if isinstance(buffer, int):
        if CONFIG["platform"] != "esp8266":
            raise TypeError("object with buffer protocol required")
        data = bytearray(buffer)
        flash_read(offset, data)
        return bytes(data)
    _flash.check(offset, len(buffer))
    _flash.settle()
    _flash.read(offset, buffer)


def flash_write(offset, data):
    _flash.check(offset, len(data))
    _flash.write(offset, data, _flash.file_of(offset))


def flash_erase(sector):
    _flash.check(sector * _flash.SECTOR, _flash.SECTOR)
    _flash.erase(sector, _flash.file_of(sector * _flash.SECTOR))


def osdebug(*level):
    pass


def check_fw():
    return True


def deepsleep(time_us=0, option=0):
    leave(b"D", struct.pack("<Q", time_us // 1000) if time_us else b"")


def sleep_type(*kind):
    return SLEEP_NONE


def freemem():
    return 28000
