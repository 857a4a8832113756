# The import statement as this firmware has it.
#
# A chip holds its built-in modules outside sys.modules, and looks for a file first for most of them:
# a file os.py on the board is what `import os` gives, and `import uos` the firmware's own. Native
# code leaves no line in tracebacks.

import builtins
import os
import sys

import micropython

_real = builtins.__import__
_stat = os.stat
_modules = sys.modules
_path = sys.path


class _File:
    # A module from a file, of a name under which the unix port would find its own.

    def __init__(self, name, path):
        scope = {"__name__": name}
        _modules[name] = self
        with open(path) as file:
            exec(file.read(), scope)
        for key in scope:
            setattr(self, key, scope[key])


def _found(name):
    # What the interpreter comes upon first, a folder or a file, in the folders of sys.path.
    for place in _path:
        if place != ".frozen":
            base = place + "/" + name if place else name
            for ending in ("", ".py", ".mpy"):
                try:
                    if (_stat(base + ending)[0] & 0x4000 == 0) == (ending != ""):
                        return base + ending
                except OSError:
                    pass


def install(own, after_files, missing):
    # `own` are the modules that no file is before, `after_files` those that a file of their name
    # is; `missing` are names that this firmware does not have.

    @micropython.native
    def __import__(name, *args):
        if name in _modules or (len(args) > 3 and args[3]):
            return _real(name, *args)
        if name in own:
            return own[name]
        if name in after_files or name in missing:
            path = _found(name)
            if path is None:
                if name in after_files:
                    return after_files[name]
                raise ImportError("no module named '%s'" % name)
            if name in missing and path.endswith(".py"):
                return _File(name, path)
        return _real(name, *args)

    builtins.__import__ = __import__
