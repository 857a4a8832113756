# The virtual board's side of the link to its supervisor (provision/sim/app/application.py).
#
# Runs under the unix port of MicroPython. Standard output carries what the program prints and,
# between, frames for the supervisor: a mark that no text contains, a letter, a length, a payload.
# Every frame goes out in one write, small enough for the pipe to take it whole.

import json
import os
import sys
import time

import micropython

CONFIG = json.loads(os.getenv("VIRTUAL_BOARD"))
os.unsetenv("VIRTUAL_BOARD")

_out = sys.stdout.buffer
_MARK = bytes([int(CONFIG["mark"][i : i + 2], 16) for i in range(0, len(CONFIG["mark"]), 2)])
LARGEST = 2048


def tell(kind, payload=b""):
    n = len(payload)
    _out.write(_MARK + kind + bytes((n & 255, n >> 8)) + payload)


def leave(kind, payload=b""):
    # The supervisor ends this process; nothing the program does keeps it alive.
    micropython.kbd_intr(-1)
    tell(kind, payload)
    while True:
        time.sleep(3600)  # the supervisor kills it


def not_modelled(what, address):
    # An error, since an invented value would let a program pass that no chip runs so.
    raise NotImplementedError("%s %#x" % (what, address))
