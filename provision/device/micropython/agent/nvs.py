"""Print what NVS holds, as it lies in flash: MicroPython's own would make each namespace anew that
is not there.

Of the namespaces in `wanted` (None for all) the items with what they span, of those in `hidden` the
items without their values: four bytes of a page's number, then the item, in a line of base64 each.
At last the first bytes of the sha256 of all. What has a wrong CRC is left out, as the chip does.

`_set_nvs` sets one entry, and nothing else; `gone` where one of another type has its name.
"""
from ubinascii import b2a_base64, crc32, unhexlify
from uhashlib import sha256


def _nvs(module, wanted, hidden):
    try:
        part = __import__(module).Partition.find(1, label="nvs")[0]
    except (ImportError, AttributeError, IndexError):
        print("\x02none")
        return 1
    hasher = sha256()
    shown = {}  # by the number of a namespace: whether its values are asked for
    head = bytearray(64)
    item = bytearray(32)
    print("\x02")
    for naming in (True, False):  # the namespaces first, wherever they are
        for number in range(part.info()[3] // 4096):
            part.readblocks(number, head, 0)
            whole = crc32(head[4:28], 0xFFFFFFFF) == int.from_bytes(head[28:32], "little")
            index = 0 if whole and head[0] in (254, 252, 248) else 126
            while index < 126:
                part.readblocks(number, item, 64 + 32 * index)
                size = max(item[2], 1)
                whole = crc32(item[:4] + item[8:], 0xFFFFFFFF) == int.from_bytes(item[4:8], "little")
                for i in range(index, index + size):
                    whole = whole and i < 126 and head[32 + i // 4] >> i % 4 * 2 & 3 == 2
                if not whole:
                    index += 1
                    continue
                space = item[0]
                if naming and not space:
                    name = bytes(item[8:24]).rstrip(b"\0")
                    if wanted is None or name in wanted:
                        shown[item[24]] = name not in hidden
                if (item[24] if not space else space) in shown and naming == (not space):
                    data = head[4:8] + item
                    if not space or shown[space]:
                        more = bytearray(32 * size - 32)
                        if more:
                            part.readblocks(number, more, 96 + 32 * index)
                        data += more
                    else:
                        data = data[:28]
                    hasher.update(data)
                    print(str(b2a_base64(data), "ascii"), end="")
                index += size
    print(str(b2a_base64(hasher.digest()[:9]), "ascii"), end="")
    return 1


def _set_nvs(module, namespace, key, number, data, gone):
    try:
        make = __import__(module).NVS
    except (ImportError, AttributeError):
        print("\x02none")
        return 1
    store = make(namespace)
    while gone:
        try:
            store.erase_key(key)
        except OSError:
            break
    if data is None:
        store.set_i32(key, number)
    else:
        store.set_blob(key, unhexlify(data))
    store.commit()
    print("\x02set")
    return 1
