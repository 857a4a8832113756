# NVS in real pages of the nvs partition, as ESP-IDF 5 keeps it: what any other tool reads there, and
# what a flasher finds. Written from the format's description, and apart from the reader that the
# tool has of it (provision/core/nvs_format.py), so that each proves the other.
#
# Nothing is remembered between two calls: a Ctrl-C may come up anywhere in here, where a chip runs
# C code, and leaves what a power cut leaves, which loading mends.

import struct
from binascii import crc32

import _flash
from _link import CONFIG

_PAGE, _ITEM, _ITEMS, _FIRST = 4096, 32, 126, 64
_EMPTY, _WRITTEN, _ERASED = 3, 2, 0
_ACTIVE, _FULL, _FREEING = 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8
_VERSION = 0xFE
U8, I32, BLOB, PIECE, INDEX = 0x01, 0x14, 0x41, 0x42, 0x48
_ANY = 0xFF  # the piece of what has none

NOT_FOUND, NAME_TOO_LONG, NO_SPACE, BAD_LENGTH = 0x1102, 0x1109, 0x1105, 0x110C
_NAMES = {
    0x1101: "ESP_ERR_NVS_NOT_INITIALIZED",
    NOT_FOUND: "ESP_ERR_NVS_NOT_FOUND",
    NAME_TOO_LONG: "ESP_ERR_NVS_KEY_TOO_LONG",
    NO_SPACE: "ESP_ERR_NVS_NOT_ENOUGH_SPACE",
    BAD_LENGTH: "ESP_ERR_NVS_INVALID_LENGTH",
}


def failed(code):
    return OSError(-code, _NAMES[code])


def _crc(data):
    return crc32(data, 0xFFFFFFFF)


class _Page:
    def __init__(self, place):
        self.place = place
        head = self._read(0, 32)
        self.state, self.number = struct.unpack("<II", head)
        self.used = (
            self.state in (_ACTIVE, _FULL, _FREEING)
            and _crc(head[4:28]) == struct.unpack_from("<I", head, 28)[0]
        )
        self.table = bytearray(self._read(32, 32)) if self.used else None

    def _read(self, offset, size):
        data = bytearray(size)
        _flash.read(self.place + offset, data)
        return data

    def begin(self, number):
        if self._read(0, _PAGE) != b"\xff" * _PAGE:
            _flash.erase(self.place // _flash.SECTOR)
        rest = struct.pack("<IB", number, _VERSION) + b"\xff" * 19
        _flash.write(self.place, struct.pack("<I", _ACTIVE) + rest + struct.pack("<I", _crc(rest)))
        self.__init__(self.place)

    def set_state(self, state):
        self.state = state
        _flash.write(self.place, struct.pack("<I", state))

    def erase(self):
        _flash.erase(self.place // _flash.SECTOR)
        self.used = False

    def state_of(self, index):
        return self.table[index // 4] >> index % 4 * 2 & 3

    def mark(self, first, count, state):
        for index in range(first, first + count):
            self.table[index // 4] &= ~(3 << index % 4 * 2) | state << index % 4 * 2
        start, end = first // 4, (first + count - 1) // 4 + 1
        _flash.write(self.place + 32 + start, bytes(self.table[start:end]))

    def free(self):
        # The first item that nothing was written to. What was begun there is given up.
        index = 0
        for i in range(_ITEMS):
            if self.state_of(i) != _EMPTY:
                index = i + 1
        while index < _ITEMS and self._read(_FIRST + _ITEM * index, _ITEM) != b"\xff" * _ITEM:
            self.mark(index, 1, _ERASED)
            index += 1
        return index

    def items(self):
        # Index, and the item itself, of each that is whole.
        index = 0
        while index < _ITEMS:
            span = 1
            if self.state_of(index) == _WRITTEN:
                head = self._read(_FIRST + _ITEM * index, _ITEM)
                if _crc(head[:4] + head[8:]) == struct.unpack_from("<I", head, 4)[0]:
                    end = index + max(1, head[2])
                    # One that was cut short is not there.
                    if end <= _ITEMS and all(self.state_of(i) == _WRITTEN for i in range(index, end)):
                        span = end - index
                        yield index, bytes(head)
            index += span

    def data(self, index, head):
        size, _, crc = struct.unpack_from("<HHI", head, 24)
        data = bytes(self._read(_FIRST + _ITEM * (index + 1), size))
        return data if _crc(data) == crc else None

    def append(self, index, items):
        # The item itself, then what it spans: as the chip writes them, each marked when it is there.
        _flash.write(self.place + _FIRST + _ITEM * index, items[:_ITEM])
        self.mark(index, 1, _WRITTEN)
        if len(items) > _ITEM:
            _flash.write(self.place + _FIRST + _ITEM * (index + 1), items[_ITEM:])
            self.mark(index + 1, len(items) // _ITEM - 1, _WRITTEN)

    def whole(self, index, head):
        return bytes(self._read(_FIRST + _ITEM * index, _ITEM * max(1, head[2])))


def _text(head):
    return bytes(head[8:24]).split(b"\0", 1)[0].decode()


class Store:
    def __init__(self):
        found = [p for p in CONFIG["partitions"] if p[0] == 1 and p[1] == 2]
        self._place = found[0] if found else None

    def start(self):
        # What a chip does when it starts: NVS is usable then, whatever was there before.
        if self._place:
            self._load()

    def _load(self):
        # The pages in use, in the order of writing, and the others.
        if not self._place:
            raise failed(0x1101)
        start, size = self._place[2], self._place[3]
        pages = [_Page(start + _PAGE * i) for i in range(size // _PAGE)]
        self.pages = sorted((p for p in pages if p.used), key=lambda page: page.number)
        self.unused = [p for p in pages if not p.used]
        if not self.pages:
            self._begin_page()
        for page in self.pages:
            if page.state == _FREEING:  # the power failed amid it
                if self.pages[-1].state == _ACTIVE and self.pages[-1] is not page:
                    self.pages[-1].erase()
                    self.unused.append(self.pages.pop())
                self._begin_page()
                self._move(page)
                break
        self._drop_older()

    def _drop_older(self):
        # The power failed between the writing of an item and the erasing of its predecessor.
        last = None
        for last in self.pages[-1].items():
            pass
        if last is None or last[1][1] == PIECE:
            return
        for page, index, head in self._find(last[1][0], last[1][1], _text(last[1])):
            if page is not self.pages[-1] or index != last[0]:
                page.mark(index, max(1, head[2]), _ERASED)

    def _begin_page(self):
        if not self.unused:
            raise failed(NO_SPACE)
        page = self.unused.pop(0)
        page.begin(self.pages[-1].number + 1 if self.pages else 0)
        self.pages.append(page)

    def _move(self, page):
        free = 0
        for index, head in page.items():
            self.pages[-1].append(free, page.whole(index, head))
            free += max(1, head[2])
        page.erase()
        self.pages.remove(page)
        self.unused.append(page)

    def _next_page(self):
        self.pages[-1].set_state(_FULL)
        if len(self.unused) < 2:  # one is kept to move to
            def lost(page):
                return sum(page.state_of(i) != _WRITTEN for i in range(_ITEMS))

            most = max(self.pages, key=lost)
            if not lost(most):
                raise failed(NO_SPACE)
            most.set_state(_FREEING)
            self._begin_page()
            self._move(most)
        else:
            self._begin_page()

    def _find(self, namespace, kind, key):
        for page in self.pages:
            for index, head in page.items():
                if head[0] == namespace and kind in (None, head[1]) and _text(head) == key:
                    yield page, index, head

    def _write(self, namespace, kind, key, value, data=None, piece=_ANY):
        span = 1 if data is None else 1 + (len(data) + _ITEM - 1) // _ITEM
        free = self.pages[-1].free()
        if free + span > _ITEMS:
            self._next_page()
            free = self.pages[-1].free()
            if free + span > _ITEMS:
                raise failed(NO_SPACE)
        name = key.encode()
        rest = name + bytes(16 - len(name)) + value
        head = bytes((namespace, kind, span, piece))
        items = head + struct.pack("<I", _crc(head + rest)) + rest
        if data is not None:
            items += data + b"\xff" * (-len(data) % _ITEM)
        self.pages[-1].append(free, items)

    def _erase(self, namespace, kinds, key, but=None):
        # The items but those of the pieces that are named.
        for kind in kinds:
            for page, index, head in list(self._find(namespace, kind, key)):
                if but is None or head[3] not in but:
                    page.mark(index, max(1, head[2]), _ERASED)

    def namespace(self, name):
        self._load()
        if not 0 < len(name) < 16:
            raise failed(NAME_TOO_LONG)
        used = {0}
        for page in self.pages:
            for _, head in page.items():
                if head[0] == 0:
                    if _text(head) == name:
                        return head[24]
                    used.add(head[24])
        number = min(set(range(1, 255)) - used)
        self._write(0, U8, name, bytes((number,)) + b"\xff" * 7)
        return number

    def set_i32(self, namespace, key, value):
        self._load()
        _check(key)
        data = struct.pack("<i", value) + b"\xff" * 4
        old = list(self._find(namespace, I32, key))
        if old and old[-1][2][24:28] == data[:4]:
            return
        self._write(namespace, I32, key, data)
        self._erase_older(namespace, I32, key)

    def _erase_older(self, namespace, kind, key):
        # Looked for anew: to make room the others may have been moved to another page.
        found = list(self._find(namespace, kind, key))
        for page, index, head in found[:-1]:
            page.mark(index, max(1, head[2]), _ERASED)

    def get_i32(self, namespace, key):
        self._load()
        found = list(self._find(namespace, I32, key))
        if not found:
            raise failed(NOT_FOUND)
        return struct.unpack_from("<i", found[-1][2], 24)[0]

    def set_blob(self, namespace, key, data):
        self._load()
        _check(key)
        old = list(self._find(namespace, INDEX, key))
        if self.get_blob(namespace, key, none=True) == data:
            return
        first = 0 if not old or old[-1][2][29] else 0x80
        count = at = 0
        while count == 0 or at < len(data):
            room = (_ITEMS - self.pages[-1].free() - 1) * _ITEM
            if room <= 0:
                self._next_page()
                room = (_ITEMS - self.pages[-1].free() - 1) * _ITEM
            part = data[at : at + max(room, _ITEM)]
            value = struct.pack("<HHI", len(part), 0xFFFF, _crc(part))
            self._write(namespace, PIECE, key, value, part, first + count)
            count += 1
            at += len(part)
        self._write(namespace, INDEX, key, struct.pack("<IBBH", len(data), count, first, 0xFFFF))
        self._erase_older(namespace, INDEX, key)
        self._erase(namespace, (PIECE,), key, but=range(first, first + count))

    def get_blob(self, namespace, key, none=False):
        if not none:
            self._load()
        found = list(self._find(namespace, INDEX, key))
        if found:
            size, count, first = struct.unpack_from("<IBB", found[-1][2], 24)
            pieces = {}
            for page, index, head in self._find(namespace, PIECE, key):
                pieces[head[3]] = page.data(index, head)
            parts = [pieces.get(first + i) for i in range(count)]
            if None not in parts:
                return b"".join(parts)
        if none:
            return None
        raise failed(NOT_FOUND)

    def erase_key(self, namespace, key):
        self._load()
        found = [head[1] for _, _, head in self._find(namespace, None, key)]
        if not found:
            raise failed(NOT_FOUND)
        kind = found[0] if found[0] not in (PIECE, INDEX) else None
        self._erase(namespace, (PIECE, INDEX) if kind is None else (kind,), key)


def _check(key):
    if not 0 < len(key) < 16:
        raise failed(NAME_TOO_LONG)
