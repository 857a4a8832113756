"""What a hint tells a user to type so that a package reaches this very installation.

A plain `pip` may be another Python's: an environment need not be activated, and pipx and uv keep
one for each tool. Which of them it is, is told by the paths that the interpreter knows of itself.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import PurePath

from provision.model.language import record

DISTRIBUTION = "micropython-provision"


@record
class Installation:
    """The environment that provision runs in; `activated`, if `pip` is the one of it."""

    prefix: str
    executable: str
    activated: bool

    @classmethod
    def running(cls) -> Installation:
        return cls(
            prefix=sys.prefix,
            executable=sys.executable,
            activated=sys.prefix in {sys.base_prefix, os.environ.get("VIRTUAL_ENV")}
            or sys.platform == "win32",  # where a path would be quoted by another shell's rules
        )

    def _kept_in(self, folder: str) -> bool:
        path = PurePath(self.prefix)
        return path.name == DISTRIBUTION and path.parent.name == folder

    def install(self, arguments: str) -> str:
        """`pip install ARGUMENTS`, as it is done here."""
        if self._kept_in("venvs"):
            return f"pipx runpip {DISTRIBUTION} install {arguments}"
        if self._kept_in("tools"):
            return f"uv pip install --python {shlex.quote(self.prefix)} {arguments}"
        if self.activated:
            return f"pip install {arguments}"
        return f"{shlex.quote(self.executable)} -m pip install {arguments}"

    def install_extra(self, extra: str) -> str:
        """What has one of our extras installed, and keeps it when provision itself is updated."""
        requirement = f"'{DISTRIBUTION}[{extra}]'"
        if self._kept_in("venvs"):
            return f"pipx inject {DISTRIBUTION} {requirement}"
        if self._kept_in("tools"):
            return f"uv tool install {requirement}"
        return self.install(requirement)


def install_command(arguments: str) -> str:
    """`pip install ARGUMENTS`, for the environment that runs."""
    return Installation.running().install(arguments)


def install_extra_command(extra: str) -> str:
    """What installs one of our extras into the environment that runs."""
    return Installation.running().install_extra(extra)
