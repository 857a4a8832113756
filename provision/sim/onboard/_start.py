# Makes a board of the unix port, then does what the chip's main program does: _boot.py, boot.py,
# main.py. The interpreter's own REPL follows.

import builtins
import gc
import io
import os
import sys

import micropython
import vfs

micropython.kbd_intr(-1)

import _console
import _machine
import _network
import _esp
import _sys
from _link import CONFIG, leave, tell

_real = sys


def _as_module(module, *names):
    for name in ("__file__",):
        try:
            delattr(module, name)
        except AttributeError:
            pass
    module.__name__ = names[0]
    for name in names:
        _real.modules[name] = module


def _hide(names):
    # A module that this firmware is too old or too small for. Only then is there a hook: it shows
    # in tracebacks.
    real_import = builtins.__import__

    def __import__(name, *args):
        if name.split(".")[0] in names:
            raise ImportError("no module named '%s'" % name)
        return real_import(name, *args)

    builtins.__import__ = __import__


def _print_exception(error):
    text = io.StringIO()
    _real.print_exception(error, text)
    for line in text.getvalue().split("\n")[:-1]:
        if '_start.py"' not in line and '"<stdin>"' not in line:
            print(line)


def _run(name, scope):
    # True unless it raised.
    try:
        if os.stat(name)[0] & 0x8000 == 0:
            return True
    except OSError:
        return True
    try:
        micropython.kbd_intr(3)
        execfile(name, scope)
        micropython.kbd_intr(-1)
        return True
    except SystemExit:
        micropython.kbd_intr(-1)
        leave(b"S")
    except BaseException as error:
        micropython.kbd_intr(-1)
        _print_exception(error)
        return False


def _claiming_input(*args):
    _console.claim()
    builtins.input = _input
    return _input(*args)


_input = builtins.input


def start(scope):
    _as_module(_machine, "machine")
    _as_module(_network, "network")
    _as_module(_esp, "esp")
    if CONFIG["platform"] == "esp32":
        import _esp32

        _as_module(_esp32, "esp32")
    import flashbdev
    import inisetup

    _sys.install()
    if CONFIG["hidden"]:
        _hide(CONFIG["hidden"])
    for name in list(scope):
        if name != "__name__":
            del scope[name]
    vfs.umount("/")
    os.chdir("/")
    _real.path[:] = CONFIG["path"]
    _real.argv[:] = []
    scope["gc"] = gc
    scope["vfs" if "vfs" not in CONFIG["hidden"] else "uos"] = vfs
    scope["bdev"] = flashbdev.bdev
    try:
        if flashbdev.bdev:
            vfs.mount(flashbdev.bdev, "/")
    except OSError:
        try:
            inisetup.setup()
        except KeyboardInterrupt as error:
            micropython.kbd_intr(-1)
            _print_exception(error)
    for name in ("_start", "_link", "_flash", "_console", "_sys", "_machine", "_network", "_esp", "_esp32"):
        _real.modules.pop(name, None)
    gc.collect()
    builtins.input = _claiming_input
    tell(b"V", ("%s; %s\r\n" % (_real.version.split("; ")[1], _real.implementation._machine)).encode())
    tell(b"U")
    ok = _run("boot.py", scope)
    if not CONFIG["raw"] and (ok or CONFIG["platform"] == "esp8266"):
        _run("main.py", scope)
    builtins.input = _input
    gc.collect()
    tell(b"B")
