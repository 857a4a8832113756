# The ESP32's esp32 module: partitions as the table in the flash says, and NVS kept in the nvs
# partition (in a layout of its own: a word, a length, JSON).

import json
import struct

import _flash
from _link import CONFIG

WAKEUP_ALL_LOW, WAKEUP_ANY_HIGH = 0, 1
HEAP_DATA, HEAP_EXEC = 4, 1


def raw_temperature():
    return 128


def mcu_temperature():
    return 42


def idf_heap_info(kind):
    return [(140000, 60000, 50000, 40000)]


def wake_on_ext0(*args, **options):
    pass


wake_on_ext1 = wake_on_touch = wake_on_ulp = gpio_deep_sleep_hold = wake_on_ext0


class Partition(_flash.Region):
    TYPE_APP, TYPE_DATA = 0, 1
    BOOT, RUNNING = 0, 1

    def __init__(self, id, block_size=4096):
        if isinstance(id, int):
            found = [p for p in CONFIG["partitions"] if p[4] == CONFIG["running"]]
        else:
            found = [p for p in CONFIG["partitions"] if p[4] == id]
        if not found:
            raise OSError(2)
        self._info = tuple(found[0])
        super().__init__(self._info[2], self._info[3])

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=4096):
        return [
            Partition(p[4])
            for p in CONFIG["partitions"]
            if p[0] == type and subtype in (0xFF, p[1]) and label in (None, p[4])
        ]

    def info(self):
        return self._info

    def get_next_update(self):
        slots = [p for p in CONFIG["partitions"] if p[0] == 0 and p[1] & 0xF0 == 0x10]
        for i, p in enumerate(slots):
            if p[4] == self._info[4]:
                return Partition(slots[(i + 1) % len(slots)][4])
        if slots:
            return Partition(slots[0][4])
        raise OSError(2)

    def set_boot(self):
        raise OSError(22)

    @staticmethod
    def mark_app_valid_cancel_rollback():
        pass

    def __repr__(self):
        return "<Partition type=%d, subtype=%d, address=%d, size=%d, label=%s, encrypted=%d>" % (
            self._info
        )


class _Store:
    MAGIC = b"vNVS"

    def __init__(self):
        found = [p for p in CONFIG["partitions"] if p[0] == 1 and p[1] == 2]
        self._place = found[0] if found else None
        self.values = {}
        if not found:
            return
        try:
            self.values = self._load()
        except ValueError:
            # A chip makes NVS usable when it starts, whatever was there: nothing yet, or half of
            # what was being written when the power failed.
            self.save()

    def _load(self):
        head = bytearray(8)
        _flash.read(self._place[2], head)
        size = struct.unpack("<I", head[4:])[0]
        if head[:4] != self.MAGIC or size > self._place[3] - 8:
            raise ValueError
        text = bytearray(size)
        _flash.read(self._place[2] + 8, text)
        return json.loads(bytes(text))

    def save(self):
        if not self._place:
            raise OSError(-0x1101)
        text = json.dumps(self.values).encode()
        if len(text) + 8 > self._place[3]:
            raise OSError(-0x1105)
        sector = self._place[2] // _flash.SECTOR
        for i in range((len(text) + 8 + _flash.SECTOR - 1) // _flash.SECTOR):
            _flash.erase(sector + i)
        _flash.write(self._place[2], self.MAGIC + struct.pack("<I", len(text)) + text)


_store = _Store()


class NVS:
    def __init__(self, namespace):
        self._namespace = namespace + "/"

    def _get(self, key, kind):
        value = _store.values.get(self._namespace + key)
        if value is None or value[0] != kind:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        return value[1]

    def set_i32(self, key, value):
        _store.values[self._namespace + key] = ["i32", value]

    def get_i32(self, key):
        return self._get(key, "i32")

    def set_blob(self, key, value):
        _store.values[self._namespace + key] = ["blob", list(bytes(value))]

    def get_blob(self, key, buffer):
        data = bytes(self._get(key, "blob"))
        if len(data) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(data)] = data
        return len(data)

    def erase_key(self, key):
        if _store.values.pop(self._namespace + key, None) is None:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        _store.save()
