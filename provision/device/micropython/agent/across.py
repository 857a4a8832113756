"""After scan.py, where something is mounted below `/` or the flash cannot be viewed twice.

A walk stays on one filesystem, as `find -xdev` does. What the flash itself has by the name of a
mount is out of reach. Of `mounts` those in `walked` are looked into, each for what the filter
lets through and for the trees that begin there.
"""
_walk_one = _walk


class _Across:
    pass


def _ilistdir(path):
    if path[1:] or uos.statvfs("/")[0]:  # zeros where nothing is at the root
        # The listing of "/" itself begins with mounts and is text.
        for entry in uos.ilistdir(path[:-1] or b"/."):
            if path + entry[0] not in _mounts:
                yield entry


def _walk(asked, mask, parent):
    yield from _walk_one(asked, mask, parent)
    if parent == b"/":
        for mount in _walked:
            trees = [tree for tree in asked[2] if tree.startswith(mount + b"/")]
            yield from _walk_one(asked[:2] + (trees,), mask, mount + b"/")


def _scan_across(asked, wanted, mounts, walked):
    global _mounts, _walked, _view
    _mounts = mounts
    _walked = walked
    _view = _Across()
    _view.ilistdir = _ilistdir
    _view.open = open
    return _scan(asked, wanted, None)
