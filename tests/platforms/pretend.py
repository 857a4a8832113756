"""`python -m tests.platforms.pretend win32 plan`: runs `provision` as if on another system.

The standard library and other people's packages are what they are here: they are imported first.
Then `sys.platform` says otherwise, and what that system's Python lacks is missing for our own
modules, so that its branches of ours are what runs. Paths, locks and the console stay those here.
"""

from __future__ import annotations

import asyncio
import builtins
import importlib
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

# Of the standard library: modules that Python for Windows has not.
MISSING = {
    "win32": frozenset({"fcntl", "termios", "tty", "pty", "pwd", "grp", "resource"}),
    "darwin": frozenset(),
}
SIGNALS = {"win32": ("SIGHUP", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGUSR1"), "darwin": ()}
CTRL_BREAK = 21
"""The number of Windows' SIGBREAK."""

# What chooses by `sys.platform` when it is imported, and is imported late.
_LATE = (
    "asyncio", "click._termui_impl", "concurrent.futures.thread", "ctypes.util", "esptool.cmds",
    "filelock", "http.server", "httpx", "jinja2.sandbox", "jsonschema", "littlefs",
    "mpremote.console", "mpremote.transport_serial", "multiprocessing", "pathspec", "platformdirs",
    "psutil", "rich.live", "rich.progress", "rich.table", "serial.rfc2217",
    "serial.tools.list_ports", "serial.urlhandler.protocol_rfc2217",
    "serial.urlhandler.protocol_socket", "shutil", "sqlite3", "ssl", "tempfile", "truststore",
    "starlette.applications", "starlette.staticfiles", "urllib.request", "uuid", "uvicorn",
    "uvicorn.protocols.http.h11_impl", "watchfiles", "yaml", "zoneinfo",
)  # fmt: skip


def pretend(system: str) -> None:
    """Have this process be on that system, as far as our own modules see; there is no way back."""
    for name in _LATE:
        importlib.import_module(name)
    for name in SIGNALS[system]:
        delattr(signal, name)
    if system == "win32":
        sys.modules["msvcrt"] = _keyboard()
        signal.SIGBREAK = signal.Signals(CTRL_BREAK)  # type: ignore[attr-defined]
        asyncio.ProactorEventLoop = asyncio.SelectorEventLoop  # type: ignore[attr-defined]
    builtins.__import__ = _import_for(system)
    sys.platform = system


def _keyboard() -> ModuleType:
    """Of Windows' `msvcrt`: whether a key was pressed that nobody has read."""
    made = ModuleType("msvcrt")
    made.kbhit = lambda: bool(select.select([sys.stdin], [], [], 0)[0])  # type: ignore[attr-defined]
    return made


def _import_for(system: str) -> object:
    real = builtins.__import__

    def imported(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        importer = str((globals or {}).get("__name__", ""))
        if (
            level == 0
            and name in MISSING[system]
            and importer.split(".", maxsplit=1)[0] == "provision"
        ):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, globals, locals, fromlist or (), level)

    return imported


if __name__ == "__main__":
    pretend(sys.argv[1])
    sys.argv = ["provision", *sys.argv[2:]]
    from provision.__main__ import main

    main()
