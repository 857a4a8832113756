"""What `provision lock` does: find out what a fleet requires, resolve it, and tell what changed.

Resolved anew is only what is not in the lock, what the manifest asks for in another way, and what
is to be upgraded. Images that are files are read every time: they are part of the project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from provision.core.wording import did_you_mean, plural
from provision.errors import UsageError
from provision.lockfile.entries import (
    Lock,
    LockedFile,
    LockedFirmware,
    LockedPackage,
    bytecode_name,
    request_key,
)
from provision.model.language import assert_never, record
from provision.sources.bytecode import package_bytecode
from provision.sources.packages import PackageRequest

if TYPE_CHECKING:
    from provision.model.state import DesiredState, FirmwareSource

EVERYTHING = "*"  # for `upgrade`: all that is locked

Upgrade = Callable[[str], bool]
"""Whether what has this name (of a firmware in the manifest, or of a package) is to be new."""


class FirmwareLookup(Protocol):
    """Finds out which image a source stands for, as `images.FirmwareResolver` does."""

    def resolve(self, source: FirmwareSource) -> LockedFirmware: ...


class PackageLookup(Protocol):
    """Finds out which files a package has, as `packages.PackageResolver` does."""

    def resolve(self, text: str, bytecode: str) -> LockedPackage: ...


@record
class Requirements:
    """What the devices of a manifest ask for, each once, in its order.

    A package is required for the firmware of its device, None where the device has none.
    """

    firmware: tuple[FirmwareSource, ...]
    packages: tuple[tuple[str, FirmwareSource | None], ...]

    @classmethod
    def of(cls, states: Iterable[DesiredState]) -> Requirements:
        firmware: dict[FirmwareSource, None] = {}
        packages: dict[tuple[str, FirmwareSource | None], None] = {}
        for state in states:
            source = state.firmware.source if state.firmware is not None else None
            if source is not None:
                firmware[source] = None
            packages.update(((request, source), None) for request in state.packages)
        return cls(firmware=tuple(firmware), packages=tuple(packages))

    def names(self) -> tuple[str, ...]:
        """All that `--upgrade` may name: firmware by its name in the manifest or by what it asks
        for, packages with or without their version."""
        names: dict[str, None] = {}
        for source in self.firmware:
            names.update({source.name: None, request_key(source): None})
        for request, _ in self.packages:
            names.update({request: None, PackageRequest.parse(request).target: None})
        return tuple(names)

    def upgrade(self, wanted: Sequence[str]) -> Upgrade:
        """What to look up anew: what these names name, EVERYTHING among them for all. UsageError
        for one that names nothing."""
        known = self.names()
        for name in wanted:
            if name != EVERYTHING and name not in known:
                raise UsageError(
                    f"nothing to upgrade is called {name!r}{did_you_mean(name, known)}",
                    hint="name a firmware or package of the manifest; to upgrade all, write "
                    "`provision lock MANIFEST --upgrade`",
                )
        return lambda name: EVERYTHING in wanted or name in wanted

    def warnings(self) -> tuple[str, ...]:
        """Of packages whose host may change what their name stands for."""
        unpinned = dict.fromkeys(
            request for request, _ in self.packages if PackageRequest.parse(request).unpinned
        )
        return tuple(
            f"{name} names no version: once its files change there, the locked ones can be had "
            "only from the cache or vendored; write @ and a tag behind it"
            for name in unpinned
        )


@record
class Change:
    """One difference between two locks; `before` and `after` are versions, or None."""

    kind: Literal["firmware", "package"]
    name: str
    before: str | None
    after: str | None


def resolve_requirements(
    requirements: Requirements,
    current: Lock,
    firmware: FirmwareLookup,
    packages: PackageLookup,
    upgrade: Upgrade,
) -> Lock:
    """The lock that fulfils these requirements; what nobody requires any more is left out."""
    images: dict[str, LockedFirmware] = {}
    for source in requirements.firmware:
        key = request_key(source)
        upgraded = upgrade(source.name) or upgrade(key)
        locked = current.firmware.get(key)
        entry = images.get(key) or (None if upgraded else locked)
        if entry is None or not _still_valid(entry, source):
            entry = firmware.resolve(source)
        # Where both say the same, the one that was there keeps what else stands in it.
        images[key] = locked if locked is not None and locked == entry else entry
    found: dict[tuple[str, str], LockedPackage] = {}
    for request, bytecode in _package_requests(requirements, images):
        name = (request, bytecode)
        upgraded = upgrade(request) or upgrade(PackageRequest.parse(request).target)
        package = found.get(name) or (None if upgraded else current.packages.get(name))
        found[name] = package if package is not None else packages.resolve(request, bytecode)
    return current.with_sources(firmware=images, packages=found)


def pending_changes(
    requirements: Requirements, current: Lock, firmware: FirmwareLookup
) -> list[Change]:
    """What `provision lock` would change, found without a network; what only the network can
    tell is described as not resolved."""
    after = resolve_requirements(
        requirements, current, _LocalFiles(firmware), _NoIndex(), frozenset().__contains__
    )
    changes = changes_between(current, after)
    if _UNRESOLVED in after.firmware.values():
        # Which packages its devices require depends on its version.
        changes = [change for change in changes if change.kind == "firmware" or change.after]
    return changes


def changes_between(before: Lock, after: Lock) -> list[Change]:
    """What one lock has otherwise than the other, firmware first, sorted by name."""
    changes = [
        _change("firmware", key, before.firmware.get(key), after.firmware.get(key))
        for key in sorted({*before.firmware, *after.firmware})
        if before.firmware.get(key) != after.firmware.get(key)
    ]
    changes += [
        _change(
            "package",
            f"{name[0]} ({bytecode_name(name[1])})",
            before.packages.get(name),
            after.packages.get(name),
        )
        for name in sorted({*before.packages, *after.packages})
        if before.packages.get(name) != after.packages.get(name)
    ]
    return changes


def _change(
    kind: Literal["firmware", "package"],
    name: str,
    before: LockedFirmware | LockedPackage | None,
    after: LockedFirmware | LockedPackage | None,
) -> Change:
    return Change(kind=kind, name=name, before=_described(before), after=_described(after))


def _described(entry: LockedFirmware | LockedPackage | None) -> str | None:
    if entry is _UNRESOLVED or entry is _NOT_FOUND:
        return "not resolved"
    match entry:
        case None:
            return None
        case LockedFirmware():
            return f"{entry.version}, sha256 {entry.file.sha256[:12]}…"
        case LockedPackage():
            return f"{entry.version or 'no version'}, {plural(len(entry.files), 'file')}"
        case _:
            return assert_never(entry)


def _still_valid(entry: LockedFirmware, source: FirmwareSource) -> bool:
    """Whether a locked image is still what the manifest asks for; a file is never taken from
    the lock."""
    if source.file is not None:
        return False
    return source.sha256 is None or source.sha256.lower() == entry.file.sha256


def _package_requests(
    requirements: Requirements, images: Mapping[str, LockedFirmware]
) -> Iterator[tuple[str, str]]:
    """Each request with the bytecode version of the firmware that it is for."""
    for request, source in requirements.packages:
        image = images[request_key(source)] if source is not None else None
        if image is not _UNRESOLVED:
            yield request, package_bytecode(image.version if image is not None else None)


_UNRESOLVED = LockedFirmware(file=LockedFile(url="", size=0, sha256=""), version="")
_NOT_FOUND = LockedPackage(version="", files={})


class _LocalFiles:
    """Resolves what needs no network."""

    def __init__(self, firmware: FirmwareLookup) -> None:
        self._firmware = firmware

    def resolve(self, source: FirmwareSource) -> LockedFirmware:
        return self._firmware.resolve(source) if source.file is not None else _UNRESOLVED


class _NoIndex:
    """Resolves no package."""

    def resolve(self, text: str, bytecode: str) -> LockedPackage:
        return _NOT_FOUND
