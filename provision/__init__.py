"""Declarative provisioning of MicroPython boards: a manifest in, a matching fleet out.

`load`, `plan`, `apply` and the rest of the Python API, documented in `provision.api`, are imported
when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from provision._version import __version__

if TYPE_CHECKING:
    from provision.api import (
        Cancellation,
        apply,
        build_image,
        discover,
        facts,
        load,
        lock,
        plan,
        stream,
        validate,
        vendor,
    )

__all__ = [
    "Cancellation",
    "__version__",
    "apply",
    "build_image",
    "discover",
    "facts",
    "load",
    "lock",
    "plan",
    "stream",
    "validate",
    "vendor",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(importlib.import_module("provision.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
