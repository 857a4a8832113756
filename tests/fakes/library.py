"""A library that needs no network and no compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provision.core.manifest.resolve.packages import LibraryFile
from provision.errors import SourceError
from provision.model.chip import Chip
from provision.model.state import Content, FirmwareSource


class FakeLibrary:
    """Packages are what it was given; bytecode says what it was made from. `asked` remembers
    every question."""

    def __init__(self, packages: Mapping[str, Mapping[str, bytes]] | None = None) -> None:
        self.packages = packages or {}
        self.asked: list[tuple[str, str | None]] = []

    def package(self, request: str, firmware: FirmwareSource | None) -> Sequence[LibraryFile]:
        self.asked.append((request, firmware.version if firmware is not None else None))
        if request not in self.packages:
            raise SourceError(f"no package {request}", hint="ask for another one")
        return [
            LibraryFile(path, Content(data=data)) for path, data in self.packages[request].items()
        ]

    def compiled(
        self, name: str, content: Content, firmware: FirmwareSource, chip: Chip
    ) -> Content:
        self.asked.append((name, firmware.version))
        if b"syntax error" in content.data:
            raise SourceError(f"{name} does not compile", hint="correct it")
        made = f"{name} for {firmware.version} on {chip}: ".encode() + content.data
        return Content(data=made, secrets=content.secrets)
