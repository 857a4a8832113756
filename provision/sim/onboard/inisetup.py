# What the ports do at the first boot: format, and write a boot.py.

import time

import micropython
import vfs
from flashbdev import bdev
from _link import CONFIG, tell

_ESP8266 = CONFIG["platform"] == "esp8266"


def check_bootsec():
    buffer = bytearray(bdev.SEC_SIZE)
    bdev.readblocks(0, buffer)
    if buffer.count(b"\xff") == len(buffer):
        return True
    fs_corrupted()


def fs_corrupted():
    # This loop can be stopped with Ctrl-C.
    micropython.kbd_intr(3)
    tell(b"U")
    while True:
        if _ESP8266:
            print(
                "The filesystem starting at sector %d with size %d sectors looks corrupt.\n"
                "You may want to make a flash snapshot and try to recover it. Otherwise,\n"
                "format it with vfs.VfsLfs2.mkfs(bdev), or completely erase the flash and\n"
                "reprogram MicroPython.\n" % (bdev.start_sec, bdev.blocks)
            )
        else:
            print(
                "The filesystem appears to be corrupted. If you had important data there, you\n"
                "may want to make a flash snapshot to try to recover it. Otherwise, perform\n"
                "factory reprogramming of MicroPython firmware (completely erase flash, followed\n"
                "by firmware programming).\n"
            )
        time.sleep(3)  # as the firmware's own inisetup.py


def setup():
    check_bootsec()
    print("Performing initial setup")
    vfs.VfsLfs2.mkfs(bdev)
    vfs.mount(vfs.VfsLfs2(bdev), "/")
    with open("boot.py", "w") as f:
        f.write(CONFIG["boot_py"])
    return vfs
