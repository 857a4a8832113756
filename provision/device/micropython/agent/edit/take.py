"""Around receive.py, in one program: take files on the board that is meant, then read them back.

Before the first byte: this board has the MAC, and what is at `/` is its flash, as a second view of it
shows (scan.py says why). After the last: each file of `expected` has the sha256 that it must have, by
a view that was made after it was written. Whatever is not so raises, and nothing more is known.
"""
import uos
import umachine
from uhashlib import sha256
from flashbdev import bdev


def _take(mac, expected, *how):
    found = umachine.unique_id()
    if len(found) < 6:  # an ESP8266 gives a chip id of four bytes
        import network

        found = network.WLAN().config("mac")
    view = uos.VfsLfs2(bdev, readsize=256)
    if found != mac or list(uos.ilistdir("/")) != list(view.ilistdir("/")):
        raise
    _receive(*how)
    view = uos.VfsLfs2(bdev, readsize=256)
    for path, digest in expected:
        hasher = sha256()
        with view.open(path, "rb") as file:
            block = path
            while block:
                block = file.read(512)
                hasher.update(block)
        if hasher.digest() != digest:
            raise
    return 1
