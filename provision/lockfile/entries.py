"""The sections `firmware:` and `packages:` of fleet.lock: for every download its URL, size, sha256.

They are plain data here; reading and writing the file is `workspace.lock`'s. A firmware's key is
what was asked for ("ESP32_GENERIC 1.24.1", a URL, a path), not its name in one manifest's table,
so that a renamed entry stays locked and two equal ones are locked once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provision.errors import LockError

if TYPE_CHECKING:
    from provision.model.state import FirmwareSource

_DIGEST = re.compile(r"[0-9a-f]{64}")

PRECIOUS = "restore fleet.lock from version control, or delete the entry and run `provision lock`"


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedFile:
    """One file that was resolved; `url` is empty for a file of the manifest's own directory."""

    url: str
    size: int
    sha256: str

    def data(self) -> dict[str, object]:
        content: dict[str, object] = {"url": self.url} if self.url else {}
        return {**content, "size": self.size, "sha256": self.sha256}

    @classmethod
    def read(cls, content: object, where: str) -> LockedFile:
        table = _table(content, where)
        size, sha256 = table.get("size"), str(table.get("sha256", ""))
        if not isinstance(size, int) or size < 0 or _DIGEST.fullmatch(sha256) is None:
            raise LockError(f"fleet.lock: {where} has no proper size and sha256", hint=PRECIOUS)
        return cls(url=str(table.get("url", "")), size=size, sha256=sha256)


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedFirmware:
    """One image: where its bytes come from, and the version its banner tells."""

    file: LockedFile
    version: str

    def data(self) -> dict[str, object]:
        return {"version": self.version, **self.file.data()}

    @classmethod
    def read(cls, content: object, where: str) -> LockedFirmware:
        version = _table(content, where).get("version", "")
        return cls(file=LockedFile.read(content, where), version=str(version))


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedPackage:
    """What one package request resolved to for one bytecode version, dependencies included.

    `files` are by path below /lib. `version` is what the package says of itself, or "".
    """

    version: str
    files: Mapping[str, LockedFile]

    def data(self) -> dict[str, object]:
        files = {path: file.data() for path, file in self.files.items()}
        return {"version": self.version, "files": files}

    @classmethod
    def read(cls, content: object, where: str) -> LockedPackage:
        table = _table(content, where)
        files = _table(table.get("files"), f"{where}.files")
        return cls(
            version=str(table.get("version", "")),
            files={
                path: LockedFile.read(file, f"{where}.files.{path}") for path, file in files.items()
            },
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """Both sections. `packages` has one entry for each request and bytecode version ("6", "py")."""

    firmware: Mapping[str, LockedFirmware] = field(default_factory=dict)
    packages: Mapping[tuple[str, str], LockedPackage] = field(default_factory=dict)

    @classmethod
    def read(cls, sections: Mapping[str, object]) -> Locked:
        """From the sections of a fleet.lock; LockError where they are not what was written."""
        firmware = _table(sections.get("firmware"), "firmware")
        packages = _table(sections.get("packages"), "packages")
        return cls(
            firmware={
                key: LockedFirmware.read(entry, f"firmware.{key}")
                for key, entry in firmware.items()
            },
            packages={
                (request, bytecode_of(name)): LockedPackage.read(
                    entry, f"packages.{request}.{name}"
                )
                for request, entries in packages.items()
                for name, entry in _table(entries, f"packages.{request}").items()
            },
        )

    def sections(self) -> dict[str, object]:
        """As fleet.lock holds them; None for a section that is empty."""
        packages: dict[str, dict[str, object]] = {}
        for (request, bytecode), entry in sorted(self.packages.items()):
            packages.setdefault(request, {})[section_of(bytecode)] = entry.data()
        firmware = {key: entry.data() for key, entry in sorted(self.firmware.items())}
        return {"firmware": firmware or None, "packages": packages or None}


def section_of(bytecode: str) -> str:
    """A bytecode version as fleet.lock writes it: `mpy-6`, or `py` for source."""
    return bytecode if bytecode == "py" else f"mpy-{bytecode}"


def bytecode_of(section: str) -> str:
    return section.removeprefix("mpy-")


def request_key(source: FirmwareSource) -> str:
    """What a firmware source asks for, in one line: "ESP32_GENERIC-SPIRAM 1.24.1"."""
    if source.file is not None:
        return source.file
    if source.url is not None:
        return source.url
    board = f"{source.board or '?'}{f'-{source.variant}' if source.variant else ''}"
    return f"{board} {source.version}{' preview' if source.preview else ''}"


def _table(content: object, where: str) -> Mapping[str, object]:
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise LockError(f"fleet.lock: {where} is not a mapping", hint=PRECIOUS)
    return {str(key): value for key, value in content.items()}
