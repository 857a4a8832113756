"""What a MicroPython says of itself on every chip: its banner, sys.implementation, os.uname."""

from __future__ import annotations

import re
from collections.abc import Iterable

from provision.model.language import record
from provision.model.state import FirmwareIdentity

# The sub-version of the bytecode's format 6, and the first release with it.
_SUB_VERSIONS = ((1, 23), 3), ((1, 22), 2), ((1, 20), 1)


@record(kw_only=False)
class Said:
    """By the identity that was flashed."""

    identity: FirmwareIdentity

    @property
    def version(self) -> tuple[int, ...]:
        """(1, 24, 1); a build without numbers counts as a recent one."""
        match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", self.identity.version)
        if match is None:
            return (1, 26, 0)
        return (int(match[1]), int(match[2]), int(match[3] or 0))

    @property
    def tag(self) -> str:
        return f"v{self.identity.version} on {self.identity.date}"

    @property
    def banner(self) -> bytes:
        """As the REPL prints it, line end included."""
        return f"MicroPython {self.tag}; {self.identity.machine}\r\n".encode()

    @property
    def sys_version(self) -> str:
        return f"3.4.0; MicroPython {self.tag}"

    def bytecode(self, architecture: int) -> int:
        """sys.implementation._mpy: format 6, its sub-version and the native architecture."""
        sub = next((sub for first, sub in _SUB_VERSIONS if self.version[:2] >= first), 0)
        return 6 | sub << 8 | architecture << 10

    def implementation(
        self, *, architecture: int, build: str, thread: str | None
    ) -> list[tuple[str, object]]:
        """The fields of sys.implementation, in order; `thread` is None for a firmware without."""
        version: list[object] = list(self.version)
        if self.version >= (1, 22):
            version.append("preview" if "preview" in self.identity.version else "")
        fields: list[tuple[str, object]] = [("name", "micropython"), ("version", version)]
        if self.version >= (1, 19):
            fields.append(("_machine", self.identity.machine))
        fields.append(("_mpy" if self.version >= (1, 19) else "mpy", self.bytecode(architecture)))
        if self.version >= (1, 25):
            fields.append(("_build", build))
        if self.version >= (1, 26) and thread is not None:
            fields.append(("_thread", thread))
        return fields

    def build(self, releases: Iterable[tuple[tuple[str, str | None], str]]) -> str:
        """The release's name, "ESP8266_GENERIC-FLASH_1M", by name and variant of each, and what it
        calls its board."""
        for (board, variant), machine in releases:
            if machine == self.identity.machine:
                return f"{board}-{variant}" if variant else board
        return re.sub(r"\W+", "_", self.identity.machine.split(" with ")[0]).upper()

    def uname(self, platform: str, release: str | None = None) -> list[tuple[str, object]]:
        """The fields of os.uname(), in order; `release` where that is not MicroPython's own."""
        return [
            ("sysname", platform),
            ("nodename", platform),
            ("release", release or self.identity.version),
            ("version", self.tag),
            ("machine", self.identity.machine),
        ]


class SpeakingPort:
    """What a port of MicroPython says of itself, by the `identity` that was flashed."""

    __slots__ = ()
    identity: FirmwareIdentity

    @property
    def said(self) -> Said:
        return Said(self.identity)

    @property
    def version(self) -> tuple[int, ...]:
        return self.said.version

    @property
    def banner(self) -> bytes:
        return self.said.banner
