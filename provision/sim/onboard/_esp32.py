# The ESP32's esp32 module: partitions as the table in the flash says, and NVS (_nvs.py).

import _flash
import _nvs
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


_store = _nvs.Store()
_store.start()


class NVS:
    def __init__(self, namespace):
        self._namespace = _store.namespace(namespace)

    def set_i32(self, key, value):
        _store.set_i32(self._namespace, key, value)

    def get_i32(self, key):
        return _store.get_i32(self._namespace, key)

    def set_blob(self, key, value):
        _store.set_blob(self._namespace, key, bytes(value))

    def get_blob(self, key, buffer):
        data = _store.get_blob(self._namespace, key)
        if len(data) > len(buffer):
            raise _nvs.failed(_nvs.BAD_LENGTH)
        buffer[: len(data)] = data
        return len(data)

    def erase_key(self, key):
        _store.erase_key(self._namespace, key)

    def commit(self):
        pass  # every write is in flash when it returns
