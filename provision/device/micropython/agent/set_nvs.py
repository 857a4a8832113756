"""Set one entry of NVS, and nothing else of it; `gone` where one of another type has the name."""
from ubinascii import unhexlify


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
