"""Declarative provisioning of MicroPython boards: a manifest in, a matching fleet out.

`load`, `plan` and `apply` are the Python API, documented in `provision.api`; they are imported
when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from provision._version import __version__

__all__ = ["__version__", "apply", "load", "plan"]

if TYPE_CHECKING:
    from provision.api import apply, load, plan


def __getattr__(name: str) -> object:
    if name in ("apply", "load", "plan"):
        return getattr(importlib.import_module("provision.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
