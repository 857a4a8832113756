"""Starts the unix port of MicroPython in this process; run as a script, alone, by `interpreter`.

Three things that its command line cannot do are set through the library's own symbols: the mode
the REPL starts in, a signal that does what a chip's UART interrupt does on the interrupt
character (note a KeyboardInterrupt, to be raised at the next safe point: the port's own SIGINT
handler jumps out of whatever runs, the memory allocator included), and an exit code that tells
the mode the REPL was left in. Uses nothing but the standard library, so that it starts fast.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

LEFT_RAW = 64
LEFT_FRIENDLY = 65
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Arguments: the library, "raw" or "friendly", then those of the `micropython` command."""
    path, mode, *arguments = sys.argv[1:]
    loader = ExtensionFileLoader("micropython_run", path)
    spec = spec_from_loader("micropython_run", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    library = ctypes.CDLL(path)
    libc = ctypes.CDLL(None)
    if sys.platform == "linux":
        # A board that is killed leaves no MicroPython behind.
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal.restype = ctypes.c_void_p
    note_interrupt = ctypes.cast(library.mp_sched_keyboard_interrupt, ctypes.c_void_p)
    libc.signal(int(signal.SIGUSR1), note_interrupt)
    libc.siginterrupt(int(signal.SIGUSR1), 1)
    # Its last words when it crashes are not the chip's.
    with contextlib.suppress(ValueError):
        libc.fopen.restype = ctypes.c_void_p
        ctypes.c_void_p.in_dll(libc, "stderr").value = libc.fopen(b"/dev/null", b"w")
    repl_mode = ctypes.c_int.in_dll(library, "pyexec_mode_kind")
    repl_mode.value = 1 if mode == "raw" else 0
    module.run_main(["micropython", *arguments])
    os._exit(LEFT_RAW if repl_mode.value else LEFT_FRIENDLY)


if __name__ == "__main__":
    main()
