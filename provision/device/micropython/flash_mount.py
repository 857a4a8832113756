"""The flash's own filesystem at `/`, whatever the app of a board has made of its mounts.

A manifest's paths mean the filesystem that the firmware mounts at `/` when it starts. An app may
have unmounted it, moved it to another name, mounted it read-only, or put a RAM disk in its place;
and before MicroPython 1.21 a Ctrl-C of ours may have ended the firmware's own first script before
it mounted anything. None of that is "no filesystem". agent/mount.py sees what is at `/` and mounts
the flash there, in RAM alone: the app finds its own mounts again after the soft reset that ends
such a session (`RawRepl.interrupted`). Only where the firmware itself cannot mount its flash is
there none.

A thread of the app goes on when its main program was interrupted, and may hold files open in a
filesystem that is unmounted under it: it would write on, by its own idea of which blocks are free,
while we write by another. So nothing is mounted under a running app. It gets a fresh interpreter
first, which ends its threads and timers: a soft reset that stays at the raw REPL, where boot.py
runs and main.py does not. What is left is a thread that boot.py itself starts and that writes, to a
file opened before we mount: between its start and our own mounting it has the time that a look
takes. boot.py is run rather than kept out, since to keep it out it would have to be renamed, which
is a write, through the very mount that is in doubt. Where the firmware's first script was cut short
nothing of the app has run, and nothing need be ended.
"""

from __future__ import annotations

from typing import Protocol

from provision.device.micropython.raw_repl import RawRepl
from provision.device.micropython.replies import MountReply, read_mount_reply, retry
from provision.device.transport.buffered_serial import Tracer
from provision.errors import BoardError

LOOK, MOUNT, MOUNT_ANEW = range(3)
"""What agent/mount.py may do."""
TIMEOUT = 60.0  # seconds: it counts the blocks of a filesystem twice, as slowly as an ESP8266 does


class RunAgent(Protocol):
    """`BoardRepl.run`."""

    def __call__(self, *names: str, call: str, arguments: bytes, timeout: float) -> str: ...


class FlashMount:
    """What one session knows and has done of the mounts of its board. `mounts` are the names of
    what is mounted below `/`, once that was asked; `writable` tells whether the flash was mounted
    anew."""

    def __init__(self, raw: RawRepl, run: RunAgent, trace: Tracer) -> None:
        self.mounts: tuple[str, ...] | None = None
        self.writable = False
        self._raw = raw
        self._run = run
        self._trace = trace

    def have(self, *, writable: bool) -> None:
        """See to it that the flash is at `/`; with `writable` it is mounted anew, so that it can
        be written."""
        self.writable = writable
        if writable:
            self._trace(1, "mounting the flash anew, to be written")
            self._raw.restart_interpreter()
            self.mounts = self._ask(MOUNT_ANEW).mounts
            return
        seen = self._look()
        if seen is None or not seen.settled:
            self._trace(1, "what is at / is not the flash: mounting it for this session")
            seen = self._ask(MOUNT) if self._raw.start_up_cut else None
        if seen is None or not seen.settled:
            self._raw.restart_interpreter()
            seen = self._ask(MOUNT)
        if not seen.settled:
            self._trace(1, "the firmware cannot mount its flash")
        self.mounts = seen.mounts

    def _look(self) -> MountReply | None:
        try:
            return self._ask(LOOK)
        except BoardError:  # the app left no memory, or has replaced a module
            return None

    def _ask(self, most: int) -> MountReply:
        arguments = b"%d" % most
        return retry(
            self._raw,
            lambda: read_mount_reply(
                self._run("mount", call="_mount", arguments=arguments, timeout=TIMEOUT)
            ),
        )
