"""Files that no folder holds: packages below /lib, and bytecode made from source.

What a package consists of and what source compiles to is asked of a `Library`; this module puts
the answers beside the files of the manifest. A stale `.py` would be imported before the `.mpy`
that replaces it, so it must be gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from provision.core.manifest.model import Layer, PackageEntry
from provision.core.manifest.resolve.destinations import case_message
from provision.core.manifest.resolve.file_placement import FilePlacement, LineName
from provision.core.manifest.yaml_tree import Node
from provision.core.wording import quoted
from provision.errors import CompileError, SourceError
from provision.model.board_path import LIBRARY, ancestors, below, folded
from provision.model.chip import Chip
from provision.model.language import record
from provision.model.state import Content, DesiredFile, FirmwareSource


class Report(Protocol):
    """Tells of a problem at a node of the manifest, of this dotted path; `hint` is what to do."""

    def __call__(self, node: Node, path: str, message: str, *, hint: str | None = None) -> None: ...


@record(kw_only=False)
class LibraryFile:
    """One file of a package, by its path below /lib."""

    path: str
    content: Content


class Library(Protocol):
    """Supplies what is fetched or made; the same answer for the same question."""

    def package(self, request: str, firmware: FirmwareSource | None) -> Sequence[LibraryFile]:
        """The files of a package for the MicroPython of a firmware, source where that is None;
        SourceError when they cannot be had."""
        ...

    def compiled(
        self, name: str, content: Content, firmware: FirmwareSource, chip: Chip
    ) -> Content:
        """The bytecode of a source that the board calls `name`; SourceError when it cannot be
        made."""
        ...


class LibraryFiles:
    """Asks the library each question once, however many devices have it."""

    def __init__(self, library: Library | None, report: Report, line_name: LineName) -> None:
        self._library = library
        self._report = report
        self._line_name = line_name
        self._packages: dict[
            tuple[str, FirmwareSource | None], Sequence[DesiredFile] | SourceError
        ] = {}
        self._compiled: dict[tuple[str, str, FirmwareSource, Chip], Content | SourceError] = {}

    def add(
        self,
        packages: Iterable[PackageEntry],
        placements: Mapping[str, FilePlacement],
        firmware: FirmwareSource | None,
    ) -> list[DesiredFile]:
        """The files of these packages; those that collide with the manifest's own, or with
        another package's, are problems. Without a library there are none."""
        found: dict[str, tuple[PackageEntry, DesiredFile]] = {}
        for entry in packages:
            for file in self._files(entry, firmware):
                self._check_own(entry, file, placements)
                other, same = found.setdefault(file.dest, (entry, file))
                if same.content.sha256 != file.content.sha256:
                    self._report(
                        entry.text,
                        entry.path,
                        f"{quoted(entry.name)} and {quoted(other.name)} have different files "
                        f"for {quoted(file.dest)}",
                    )
        self._check_nesting(found, placements)
        self._check_case(found, placements)
        return [file for _, file in found.values()]

    def compiled(
        self,
        placement: FilePlacement,
        content: Content,
        firmware: FirmwareSource | None,
        chip: Chip,
    ) -> Content | CompileError | None:
        """The bytecode of a source, or why it does not compile; None, with the problem reported,
        where there is no compiler for it."""
        entry = placement.entry
        node, path = entry.src or entry.node, f"{entry.path}.compile"
        if firmware is None:
            message = "`compile` needs `firmware`: bytecode is for one version of MicroPython"
            self._report(node, path, message)
            return None
        if self._library is None:
            return content
        name = f"{placement.dest.removeprefix('/').removesuffix('.mpy')}.py"
        key = (content.sha256, name, firmware, chip)
        made = self._compiled.get(key)
        if made is None:
            try:
                made = self._library.compiled(name, content, firmware, chip)
            except SourceError as error:
                made = error
            self._compiled[key] = made
        if isinstance(made, CompileError):
            return made
        if isinstance(made, SourceError):
            self._report(node, path, problem_message(made), hint=made.hint)
            return None
        return made

    def _files(self, entry: PackageEntry, firmware: FirmwareSource | None) -> Sequence[DesiredFile]:
        if self._library is None:
            return ()
        request = str(entry.text)
        found = self._packages.get((request, firmware))
        if found is None:
            try:
                found = [
                    DesiredFile(dest=f"{LIBRARY}/{file.path}", source=request, content=file.content)
                    for file in self._library.package(request, firmware)
                ]
            except SourceError as error:
                found = error
            self._packages[request, firmware] = found
        if isinstance(found, SourceError):
            self._report(entry.text, entry.path, problem_message(found), hint=found.hint)
            return ()
        return found

    def _check_nesting(
        self,
        found: Mapping[str, tuple[PackageEntry, DesiredFile]],
        placements: Mapping[str, FilePlacement],
    ) -> None:
        """No file of a package may be a folder of another file's path."""
        folders: dict[str, str] = {}
        for dest in (*found, *(dest for dest in placements if below(dest, LIBRARY))):
            if dest in found or placements[dest].source is not None:
                folders.update((folder, dest) for folder in ancestors(dest))
        for dest, (entry, _) in found.items():
            if dest in folders:
                self._report(
                    entry.text,
                    entry.path,
                    f"{quoted(dest)} of the package {quoted(entry.name)} is a file, and cannot be "
                    f"a folder: {quoted(folders[dest])} lies below it",
                )

    def _check_case(
        self,
        found: Mapping[str, tuple[PackageEntry, DesiredFile]],
        placements: Mapping[str, FilePlacement],
    ) -> None:
        """No file of a package, nor a folder of its path, may differ from another by case alone."""
        known = {folded(path): path for dest in placements for path in (*ancestors(dest), dest)}
        for dest, (entry, _) in found.items():
            for path in (*ancestors(dest), dest):
                other = known.setdefault(folded(path), path)
                if other != path:
                    message = f"the package {quoted(entry.name)}: {case_message(path, other)}"
                    self._report(entry.text, entry.path, message)
                    break

    def _check_own(
        self, entry: PackageEntry, file: DesiredFile, placements: Mapping[str, FilePlacement]
    ) -> None:
        paths = [file.dest, *reversed(list(ancestors(file.dest)))]
        own = next((placements[path] for path in paths if path in placements), None)
        if own is None:
            return
        what = "is absent" if own.source is None else f"comes from {quoted(own.source)}"
        self._report(
            entry.text,
            entry.path,
            f"{quoted(file.dest)} of the package {quoted(entry.name)} cannot be there: "
            f"{quoted(own.dest)} {what} ({own.entry.path}, {self._line_name(own.entry.node)})",
        )


def joined_packages(layers: Iterable[Layer]) -> tuple[PackageEntry, ...]:
    """The packages of a device made of these layers, the later one's version winning."""
    entries: dict[str, PackageEntry] = {}
    for layer in layers:
        entries.update((entry.name, entry) for entry in layer.packages)
    return tuple(entries.values())


def shadowing_sources(bytecode: Iterable[str], wanted: Iterable[str]) -> set[str]:
    """The source files that would be imported instead of this bytecode, as no one wants."""
    return {f"{dest.removesuffix('.mpy')}.py" for dest in bytecode if dest.endswith(".mpy")} - set(
        wanted
    )


def problem_message(error: SourceError) -> str:
    """An error as the message of a problem: what happened, then what to do."""
    return f"{error.message}; {error.hint}" if error.hint else error.message
