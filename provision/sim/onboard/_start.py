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
import _link
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
_RP2 = CONFIG["platform"] == "rp2"
if _RP2:
    import _rp2
else:
    import _esp

    gc.collect()
    if CONFIG["platform"] == "esp32":
        import _nvs

        gc.collect()
        import _esp32

        gc.collect()
    import flashbdev

gc.collect()
import _sys

gc.collect()

_real = sys


def _as_module(module, name):
    try:
        del module.__file__
    except AttributeError:
        pass
    module.__name__ = name
    return module


try:
    import _import
except SyntaxError:
    # This machine's MicroPython makes no native code.
    with open(_link.__file__.replace("_link", "_import")) as file:
        _scope = {}
        exec(file.read().replace("@micropython.native", ""), _scope)
    class _import:
        install = staticmethod(_scope["install"])

gc.collect()


def _install_modules():
    # Before 1.21 a firmware's modules have names with a u, and others by way of those, after files.
    after_files = {
        "os": _sys.make_os(),
        "time": _as_module(_time, "time"),
        "machine": _as_module(_machine, "machine"),
    }
    own = {"u" + name: after_files[name] for name in after_files}
    own["usys"] = _sys.make_sys()
    missing = list(CONFIG["hidden"])
    if CONFIG["files_before_sys"]:
        missing.append("sys")  # the unix port's, that no file is before
        after_files["sys"] = own["usys"]
    else:
        own["sys"] = own["usys"]
    own["micropython"] = _sys.make_micropython()
    if "network" not in missing:
        own["network"] = _as_module(_network, "network")
    if _RP2:
        # rp2 is a frozen module, found before any file.
        own["rp2"] = own["_rp2"] = _as_module(_rp2, "rp2")
        own["uctypes"] = _rp2.make_uctypes()
        if CONFIG["files_before_sys"]:
            after_files["uctypes"] = own["uctypes"]
    else:
        own["esp"] = _as_module(_esp, "esp")
    if CONFIG["platform"] == "esp32":
        own["esp32"] = _as_module(_esp32, "esp32")
    _import.install(own, after_files, missing)


_reserve = None


def _reserved():
    # What follows an app is the firmware's own C on a chip, and needs no heap: here an app that took
    # all of it has left this much.
    global _reserve
    gc.collect()
    try:
        _reserve = bytearray(_RESERVE)
    except MemoryError:
        pass


def _with_reserve():
    global _reserve
    _reserve = None


_RESERVE = 4096


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
    _with_reserve()
    if isinstance(error, SystemExit):
        leave(b"S")
    if error is not None:
        _print_exception(error)
    error = error is None
    _reserved()
    return error


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


def _boot_rp2():
    # Anything that goes wrong with the mount, and there is a new filesystem.
    bdev = _rp2.Flash()
    try:
        fs = vfs.VfsLfs2(bdev, progsize=256)
    except:
        vfs.VfsLfs2.mkfs(bdev, progsize=256)
        fs = vfs.VfsLfs2(bdev, progsize=256)
    vfs.mount(fs, "/")


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
    for name in list(scope):
        if name != "__name__":
            del scope[name]
    # The host's files are out of sight after this.
    if _RP2:
        boot = _boot_rp2
    else:
        import inisetup

        boot = lambda: _boot(inisetup.setup)

    _install_modules()
    vfs.umount("/")
    os.chdir("/")
    _real.path[:] = CONFIG["path"]
    _real.argv[:] = []
    if _RP2:
        scope["machine"], scope["rp2"] = _machine, _rp2
        if not CONFIG["usb_after_boot"]:
            tell(b"E")
    else:
        scope["gc"] = gc
        scope["vfs" if "vfs" not in CONFIG["hidden"] else "uos"] = vfs
        scope["bdev"] = flashbdev.bdev
    if CONFIG["boot_interruptible"]:
        tell(b"U")
    error = _interruptible(boot)
    if error is not None:
        _print_boot_exception(error)
    if not _RP2:
        _real.modules["flashbdev"] = _as_module(flashbdev, "flashbdev")  # a firmware has it frozen in
    for name in ("inisetup", "_start", "_link", "_flash", "_console", "_sys", "_machine", "_network", "_esp", "_esp32", "_nvs", "_rp2", "_time", "_import"):
        _real.modules.pop(name, None)
    gc.collect()
    if CONFIG["platform"] == "esp8266":
        gc.threshold((gc.mem_free() + gc.mem_alloc()) // 4)
    builtins.input = _claiming_input
    tell(b"V", ("%s; %s\r\n" % (_real.version.split("; ")[1], _real.implementation._machine)).encode())
    tell(b"U")
    _reserved()
    ok = _run("boot.py", scope)
    if _RP2:
        tell(b"E")
    if not CONFIG["raw"] and (ok or CONFIG["platform"] == "esp8266"):
        _run("main.py", scope)
    builtins.input = _input
    _with_reserve()
    tell(b"B")
    _reserved()
