"""Declarative provisioning of MicroPython boards: a manifest in, a matching fleet out.

`load`, `plan`, `apply` and all else that `provision.api` offers is here too. It is imported when it
is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from provision._version import __version__ as __version__

if TYPE_CHECKING:
    from provision.api import *  # noqa: F403


def __getattr__(name: str) -> object:
    if name == "__all__" or not name.startswith("_"):
        api = importlib.import_module("provision.api")
        if name == "__all__" or name in api.__all__:
            return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    api = importlib.import_module("provision.api")
    return sorted({*(name for name in globals() if name.startswith("__")), *api.__all__})
