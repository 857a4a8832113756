"""After scan.py, where something is mounted below `/` or the flash cannot be viewed twice.

A walk stays on one filesystem, as `find -xdev` does. The listing of `/` begins with what is
mounted below it, entries of three fields where a file's have four; what the flash itself has by
such a name is out of reach. Of `mounts` those in `walked` are looked into, each for what the filter
lets through and for the trees that begin there.
"""
import os

_walk_one = _walk


class _Across:
    pass


def _ilistdir(path):
    for entry in os.ilistdir(path):
        if path == "/":
            if entry[3:] and "/" + entry[0] not in _mounts:
                yield entry
        elif path + "/" + entry[0] not in _mounts:
            yield entry


def _walk(asked, mask, parent):
    yield from _walk_one(asked, mask, parent)
    if not parent:
        for mount in _walked:
            trees = [tree for tree in asked[2] if tree.startswith(mount + "/")]
            yield from _walk_one(asked[:2] + (trees,), mask, mount)


def _scan_across(asked, wanted, mounts, walked):
    global _mounts, _walked, _view
    _mounts = mounts
    _walked = walked
    _view = _Across()
    _view.ilistdir = _ilistdir
    _view.open = open
    return _scan(asked, wanted, None)
