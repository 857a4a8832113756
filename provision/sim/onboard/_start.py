# Makes a board of the unix port, then does what the chip's main program does: _boot.py, boot.py,
# main.py. The interpreter's own REPL follows.

import builtins
import gc
import io
import os
import sys
import time

import micropython
import vfs

micropython.kbd_intr(-1)

# Collecting between imports keeps what stays together at the heap's beginning.
from _link import CONFIG, leave, tell

gc.collect()
import _console

gc.collect()
import _flash

gc.collect()
import _time

gc.collect()
import _machine

gc.collect()
import _network

gc.collect()
import _esp

gc.collect()
if CONFIG["platform"] == "esp32":
    import _esp32

    gc.collect()
import flashbdev

gc.collect()
import _sys

gc.collect()

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


def _settle():
    # From here on Ctrl-C is a character again. One that was noted already comes up at a jump: here.
    micropython.kbd_intr(-1)
    try:
        for _ in range(4):
            pass
    except KeyboardInterrupt:
        pass


def _caught(action):
    try:
        action()
    except BaseException as error:
        return error


def _interruptible(action):
    # What it raised, if anything. A second Ctrl-C comes up at the next jump, while the first is
    # dealt with. To tell one exception from another is a jump, so nothing is told apart here.
    try:
        error = _caught(action)
        _settle()
    except:
        _settle()
        error = KeyboardInterrupt()
    return error


def _run(name, scope):
    # True unless it raised.
    try:
        if os.stat(name)[0] & 0x8000 == 0:
            return True
    except OSError:
        return True

    def execute():
        micropython.kbd_intr(3)
        execfile(name, scope)

    error = _interruptible(execute)
    if isinstance(error, SystemExit):
        leave(b"S")
    if error is not None:
        _print_exception(error)
    return error is None


# Milliseconds between the interrupt character and the mount: a chip imports what it needs for it.
_BOOT_TIME = 40


def _boot(setup):
    # The firmware's own _boot.py. Before 1.21 a Ctrl-C is a KeyboardInterrupt there (pyexec.c),
    # which the one of an ESP8266 takes for a filesystem that cannot be mounted.
    try:
        if CONFIG["boot_interruptible"]:
            micropython.kbd_intr(3)
            time.sleep_ms(_BOOT_TIME)
        if flashbdev.bdev:
            vfs.mount(flashbdev.bdev, "/")
    except OSError:
        setup()
    except KeyboardInterrupt:
        if CONFIG["platform"] != "esp8266":
            raise
        setup()


def _print_boot_exception(error):
    print("Traceback (most recent call last):")
    print('  File "_boot.py", line %d, in <module>' % (11 if CONFIG["platform"] == "esp8266" else 7))
    text = io.StringIO()
    _real.print_exception(error, text)
    print(text.getvalue().split("\n")[-2])


def _claiming_input(*args):
    _console.claim()
    builtins.input = _input
    return _input(*args)


_input = builtins.input


def start(scope):
    _as_module(_machine, "machine")
    _as_module(_network, "network")
    _as_module(_esp, "esp")
    _as_module(_time, "time", "utime")
    if CONFIG["platform"] == "esp32":
        _as_module(_esp32, "esp32")
    _sys.install()
    for name in list(scope):
        if name != "__name__":
            del scope[name]
    # inisetup is for the first boot alone, and the host's files are out of sight after this.
    import inisetup

    if CONFIG["hidden"]:
        _hide(CONFIG["hidden"])
    vfs.umount("/")
    os.chdir("/")
    _real.path[:] = CONFIG["path"]
    _real.argv[:] = []
    scope["gc"] = gc
    scope["vfs" if "vfs" not in CONFIG["hidden"] else "uos"] = vfs
    scope["bdev"] = flashbdev.bdev
    if CONFIG["boot_interruptible"]:
        tell(b"U")
    error = _interruptible(lambda: _boot(inisetup.setup))
    if error is not None:
        _print_boot_exception(error)
    _as_module(flashbdev, "flashbdev")  # a firmware has it frozen in
    for name in ("inisetup", "_start", "_link", "_flash", "_console", "_sys", "_machine", "_network", "_esp", "_esp32", "_time"):
        _real.modules.pop(name, None)
    gc.collect()
    if CONFIG["platform"] == "esp8266":
        gc.threshold((gc.mem_free() + gc.mem_alloc()) // 4)
    builtins.input = _claiming_input
    tell(b"V", ("%s; %s\r\n" % (_real.version.split("; ")[1], _real.implementation._machine)).encode())
    tell(b"U")
    ok = _run("boot.py", scope)
    if not CONFIG["raw"] and (ok or CONFIG["platform"] == "esp8266"):
        _run("main.py", scope)
    builtins.input = _input
    gc.collect()
    tell(b"B")
