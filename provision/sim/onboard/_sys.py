# The modules sys and os as the chip has them, over those of the unix port.

import os as _os
import sys as _real

import _console
import micropython
from _link import CONFIG, tell

try:
    from collections import namedtuple
except ImportError:
    from ucollections import namedtuple

_LIVE = ("path", "ps1", "ps2", "tracebacklimit")
_NAMES = (
    "argv", "byteorder", "implementation", "maxsize", "modules", "path", "platform",
    "print_exception", "ps1", "ps2", "stderr", "stdin", "stdout", "version", "version_info", "exit",
)  # fmt: skip


class _Sys:
    # Not a module: sys.path and its like live in the interpreter and must go on doing so.

    def __init__(self):
        for name in _NAMES:
            if name not in _LIVE:
                object.__setattr__(self, name, _own[name] if name in _own else getattr(_real, name))

    def __getattr__(self, name):
        if name in _LIVE:
            return getattr(_real, name)
        raise AttributeError("'module' object has no attribute '%s'" % name)

    def __setattr__(self, name, value):
        if name not in _LIVE:
            raise AttributeError("'module' object has no attribute '%s'" % name)
        setattr(_real, name, value)

    def __repr__(self):
        return "<module 'sys'>"


def _tuple(fields):
    # Named fields in a tuple whose repr is the chip's: without a type's name.
    kind = namedtuple("", [key for key, _ in fields])
    return kind(*[tuple(value) if isinstance(value, list) else value for _, value in fields])


_own = {
    "__name__": "sys",
    "implementation": _tuple(CONFIG["implementation"]),
    "platform": CONFIG["platform"],
    "version": CONFIG["sys_version"],
    "stdin": _console.stdin,
    "stdout": _console.stdout,
}

_uname = _tuple(CONFIG["uname"])


class _Os:
    def __repr__(self):
        return "<module 'os'>"

    def uname(self):
        return _uname

    def dupterm(self, stream, index=0):
        return None

    def __setattr__(self, name, value):
        raise AttributeError("'module' object has no attribute '%s'" % name)


def make_os():
    module = _Os()
    for name in ("chdir", "getcwd", "ilistdir", "listdir", "mkdir", "remove", "rename", "rmdir",
                 "stat", "statvfs", "unlink", "urandom", "VfsFat", "VfsLfs2", "mount", "umount"):  # fmt: skip
        object.__setattr__(module, name, getattr(_os, name))
    if CONFIG["platform"] != "esp8266":
        object.__setattr__(module, "sep", "/")
    return module


class _MicroPython:
    def __repr__(self):
        return "<module 'micropython'>"

    def kbd_intr(self, character):
        tell(b"K", bytes((character & 255,)))
        micropython.kbd_intr(character)

    def alloc_emergency_exception_buf(self, size):
        pass


def make_micropython():
    module = _MicroPython()
    for name in ("const", "heap_lock", "heap_unlock", "mem_info", "opt_level",
                 "qstr_info", "schedule", "stack_use", "RingIO"):  # fmt: skip
        if name != "RingIO" or CONFIG["ring_io"]:
            setattr(module, name, getattr(micropython, name))
    return module


def make_sys():
    return _Sys()
