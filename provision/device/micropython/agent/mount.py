"""Have at `/` what the firmware itself mounts there when it starts, in RAM alone.

`most` is what may be done about it: nothing (0), to mount the flash where something else or
nothing is at `/` (1), or to mount it anew whatever is there, so that it can be written (2). Where
the app has the flash under another name too, that goes: two filesystems must not write the same
blocks. Prints what is at `/` now, and the names of what is mounted below it.
"""
import uos
from uhashlib import sha256


def listing(entries):
    hasher = sha256()
    for entry in entries:
        hasher.update(repr(entry).encode())
    return hasher.digest()


def same(place, view):
    try:
        return uos.statvfs(place)[:3] == view.statvfs("/")[:3] and listing(
            uos.ilistdir(place if place[1:] else b"/.")
        ) == listing(view.ilistdir(b"/"))
    except Exception:  # of a card that was taken out, of a filesystem of the app's own making
        return 0


def mounts():
    # They come first, entries of three fields; a file has four, or a name that is no text.
    found = []
    try:
        for entry in uos.ilistdir(b"/"):
            if entry[3:]:
                break
            found.append(b"/" + entry[0])
    except UnicodeError:
        pass
    return tuple(found)


def _mount(most):
    view = flash = None
    kinds = ("VfsLfs2", "VfsLfs1", "VfsFat")
    options = {}
    try:
        from flashbdev import bdev as flash
    except ImportError:
        try:
            from rp2 import Flash

            flash = Flash()
            kinds = kinds[:1]
            options["progsize"] = 256  # its flash takes nothing less
        except ImportError:
            pass
    there = "none"
    if flash:
        for kind in kinds:
            try:
                view = getattr(uos, kind)(flash, **options)
                break
            except Exception:
                pass
        there = "flash"
        if most == 2 or not same(b"/", view):
            there = "other"
    if there == "other" and most:
        for place in mounts():
            if same(place, view):
                uos.umount(place.decode())
        try:
            uos.umount("/")
        except OSError:
            pass
        try:
            uos.mount(options and uos.VfsLfs2(flash, **options) or flash, "/")
            there = "mounted"
        except OSError:
            there = "unmountable"
    print(("\x02", there, mounts()))
    return 1
