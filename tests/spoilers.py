"""What is on boards that spoil what a program uses: files in the way of the firmware's modules, and
apps that take away what a program stands on and, with `STAYS` behind them, go on."""

from __future__ import annotations

SHADOWS = ("io", "hashlib", "binascii", "os", "json", "machine", "struct", "select", "time", "vfs")
HOSTILE = ("raise ValueError(1)\n", "while True: pass\n", "print('(1, 2)')\n", "")
REBOUND = {
    "str": "import builtins\nbuiltins.str = 5\n",
    "print": "import builtins\nbuiltins.print = lambda *a, **b: None\n",
    "open": "import builtins\nbuiltins.open = None\n",
    "import": "import builtins\nbuiltins.__import__ = None\n",
    "exec": "exec = len = memoryview = bytearray = None\n",
}
FULL_HEAP = """x = []
try:
    while True:
        x.append(bytearray(64))
except MemoryError:
    pass
"""
LEFT_MOUNT = """import os
class Remote:
    def mount(self, readonly, mkfs): pass
    def chdir(self, path): pass
    def getcwd(self): return '/'
    def stat(self, path):
        while True: pass
    ilistdir = statvfs = open = umount = stat
os.mount(Remote(), '/remote')
os.chdir('/remote')
"""
"""mpremote's folder of a host that is gone."""
STAYS = "while True: pass\n"
