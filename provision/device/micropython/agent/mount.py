"""Have at `/` what the firmware itself mounts there when it starts, in RAM alone.

`most` is what may be done about it: nothing (0), to mount the flash where something else or
nothing is at `/` (1), or to mount it anew whatever is there, so that it can be written (2). Where
the app has the flash under another name too, that goes: two filesystems must not write the same
blocks. Prints what is at `/` now, and the names of what is mounted below it.
"""
import os
from hashlib import sha256

try:
    import vfs
except ImportError:  # before 1.23
    vfs = os


def listing(entries):
    hasher = sha256()
    for entry in entries:
        if entry[3:]:  # not a mount point
            hasher.update(repr(entry).encode())
    return hasher.digest()


def same(place, view):
    try:
        return os.statvfs(place)[:3] == view.statvfs("/")[:3] and listing(
            os.ilistdir(place)
        ) == listing(view.ilistdir("/"))
    except Exception:  # of a card that was taken out, of a filesystem of the app's own making
        return 0


def mounts():
    return tuple("/" + entry[0] for entry in os.ilistdir("/") if not entry[3:])


def _mount(most):
    view = flash = None
    try:
        from flashbdev import bdev as flash
    except ImportError:
        pass
    there = "none"
    if flash:
        for kind in ("VfsLfs2", "VfsLfs1", "VfsFat"):
            try:
                view = getattr(vfs, kind)(flash)
                break
            except Exception:
                pass
        there = "flash"
        if most == 2 or not same("/", view):
            there = "other"
    if there == "other" and most:
        for place in mounts():
            if same(place, view):
                vfs.umount(place)
        try:
            vfs.umount("/")
        except OSError:
            pass
        try:
            vfs.mount(flash, "/")
            there = "mounted"
        except OSError:
            there = "unmountable"
    print(("\x02", there, mounts()))
    return 1
