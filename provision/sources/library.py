"""Files of a manifest's devices from outside its folder: locked packages and compiled source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from provision.core.manifest.resolve.packages import LibraryFile
from provision.model.state import Content
from provision.sources.bytecode import package_bytecode

if TYPE_CHECKING:
    from provision.model.chip import Chip
    from provision.model.state import FirmwareSource
    from provision.sources.images import ImageStore
    from provision.sources.mpy_cross import Compiler
    from provision.sources.packages import PackageStore


class ProjectLibrary:
    """Implements `core.manifest.resolve.packages.Library` by the lock, the cache and mpy-cross."""

    def __init__(self, images: ImageStore, packages: PackageStore, compiler: Compiler) -> None:
        self._images = images
        self._packages = packages
        self._compiler = compiler
        self._files: dict[tuple[str, str], Sequence[LibraryFile]] = {}

    def package(self, request: str, firmware: FirmwareSource | None) -> Sequence[LibraryFile]:
        """The files of a package; as source where no firmware says which bytecode is right."""
        bytecode = package_bytecode(
            self._images.version(firmware) if firmware is not None else None
        )
        found = self._files.get((request, bytecode))
        if found is None:
            found = self._files[request, bytecode] = tuple(
                LibraryFile(file.path, Content(data=file.data))
                for file in self._packages.files(request, bytecode)
            )
        return found

    def compiled(
        self, name: str, content: Content, firmware: FirmwareSource, chip: Chip
    ) -> Content:
        """Bytecode for the firmware's version; as secret as its source."""
        data = self._compiler.compile(
            content.data,
            name=name,
            version=self._images.version(firmware),
            chip=chip,
            variant=firmware.variant,
            sensitive=content.sensitive,
        )
        return replace(content, data=data)
