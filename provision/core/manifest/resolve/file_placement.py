"""Which files a device must hold: each entry of `files:` becomes placements, one a destination.

The layers of a device are joined by destination, the later winning. Most entries use no variables,
so their placements are worked out once and shared by every device; only entries that name a
variable in a path are expanded for each device anew. Contents are not read here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Literal, Protocol

from provision.core.manifest.device_checks import uses_variables
from provision.core.manifest.model import FileEntry, Layer
from provision.core.manifest.resolve.destinations import (
    case_message,
    clean_dest,
    compiled_dest,
    missing_source,
)
from provision.core.manifest.resolve.source_filter import DEFAULT_EXCLUDES, IGNORE_FILE, Selection
from provision.core.manifest.schema_errors import quotes_note
from provision.core.manifest.yaml_tree import Node, Text
from provision.core.wording import did_you_mean, quoted
from provision.errors import TemplateError
from provision.model.board_path import LIBRARY, STARTUP_FILES, ancestors, folded
from provision.model.language import record
from provision.model.state import Content

TEMPLATE_SUFFIX = ".j2"

Kind = Literal["file", "folder", "other", "missing", "outside"]
Render = Callable[[str], str]
Report = Callable[[Node, str, str], None]
"""Called with the node that a problem stands at, its dotted path, and the message."""
LineName = Callable[[Node], str]
"""Where another node stands: `line 3`, or `line 3 of rooms/a.yaml`."""


class Sources(Protocol):
    """The files of this computer that a manifest names, by their paths relative to it."""

    def kind(self, path: str) -> Kind: ...

    def files(self, folder: str, selection: Selection) -> Sequence[str]:
        """The selected files below a folder that may go to a board, sorted, relative to it, with
        forward slashes; raises OSError, and ValueError for a pattern that cannot be matched."""
        ...

    def siblings(self, path: str) -> Sequence[str]:
        """What lies in the folder that this path names something in; nothing where it is none."""
        ...

    def withheld(self, path: str) -> str | None:
        """Why a file or folder never goes to a board, as "is a manifest …"; None where it may."""
        ...

    def read(self, path: str) -> Content:
        """A file's bytes, the same object for the same path; raises OSError, FileNotFoundError
        only where nothing is."""
        ...

    def locate(self, path: str) -> str:
        """The path to open it by from the working directory."""
        ...


@record(kw_only=False)
class FilePlacement:
    """One destination: the file that goes there, or none (`source` is None) for `absent`."""

    dest: str
    source: str | None
    entry: FileEntry
    template: bool = False
    compile: bool = False


@record(kw_only=False)
class FileSet:
    """Destinations of one layer, or of several joined. `shared` when no variable went in; `empty`
    are the folders without a file, by where their files would go."""

    by_dest: Mapping[str, FilePlacement] = field(default_factory=dict)
    shared: bool = True
    empty: Mapping[str, FileEntry] = field(default_factory=dict)


class FilePlacer:
    """Works out layers' files, each shared one once."""

    def __init__(self, sources: Sources, report: Report, line_name: LineName) -> None:
        self.sources = sources
        self.report = report
        self.line_name = line_name
        self.layers: dict[int, FileSet] = {}
        self.joined: dict[tuple[int, ...], FileSet] = {}
        self.last: tuple[Layer, FileSet] | None = None
        self.ignored_everywhere: tuple[str, ...] | None = None
        self.empty: dict[str, FileEntry] = {}  # of the layer that is being expanded

    def place(self, layers: Sequence[Layer], render: Render) -> FileSet:
        """The files of a device made of these layers, the later one winning for each dest."""
        base = self._join(layers[:-1], render)
        own = layers[-1]
        if not own.files:
            return base
        # A device's own layer is shared by its range and by nobody else: remember the last one.
        if self.last is None or self.last[0] is not own:
            self.last = (own, self._expand_layer(own, render))
        added = self.last[1]
        if not added.shared:
            added = self._expand_layer(own, render)
        joined = FileSet(
            {**base.by_dest, **added.by_dest},
            base.shared and added.shared,
            {**base.empty, **added.empty},
        )
        self._check_nesting(joined)
        self._check_case(joined)
        return joined

    def _join(self, layers: Sequence[Layer], render: Render) -> FileSet:
        key = tuple(id(layer) for layer in layers if layer.files)
        known = self.joined.get(key)
        if known is not None:
            return known
        by_dest: dict[str, FilePlacement] = {}
        empty: dict[str, FileEntry] = {}
        shared = True
        for layer in layers:
            own = self._layer(layer, render)
            by_dest.update(own.by_dest)
            empty.update(own.empty)
            shared = shared and own.shared
        joined = FileSet(by_dest, shared, empty)
        self._check_nesting(joined)
        self._check_case(joined)
        if shared:
            self.joined[key] = joined
        return joined

    # -- one layer -----------------------------------------------------------------------------

    def _layer(self, layer: Layer, render: Render) -> FileSet:
        known = self.layers.get(id(layer))
        if known is None:
            known = self._expand_layer(layer, render)
            if known.shared:
                self.layers[id(layer)] = known
        return known

    def _expand_layer(self, layer: Layer, render: Render) -> FileSet:
        by_dest: dict[str, FilePlacement] = {}
        self.empty = {}
        shared = True
        for entry in layer.files:
            if _has_variables(entry):
                shared = False
            for placement in self._expand(entry, render):
                other = by_dest.get(placement.dest)
                if other is None:
                    by_dest[placement.dest] = placement
                else:
                    self._report_conflict(placement, other)
        return FileSet(by_dest, shared, self.empty)

    def _report_conflict(self, placement: FilePlacement, other: FilePlacement) -> None:
        dest = quoted(placement.dest)
        here, there = placement.entry, other.entry
        node: Node = here.dest or here.src or here.node
        if here is there:
            message = f"'{other.source}' and '{placement.source}' both go to {dest}"
        elif (placement.source is None) != (other.source is None):
            where = f"({there.path}, {self.line_name(there.node)})"
            message = f"{dest} is absent and has a source too {where}"
        elif placement.source is None:
            message = f"{dest} is absent already ({self.line_name(there.node)})"
        else:
            message = (
                f"two sources for {dest}: '{other.source}' ({self.line_name(there.node)})"
                f" and '{placement.source}'"
            )
        self.report(node, here.path, message)

    def _expand(self, entry: FileEntry, render: Render) -> Iterable[FilePlacement]:
        dest = self._rendered(entry, "dest", entry.dest, render)
        if entry.dest is not None and dest is None:
            return
        if entry.src is None:
            if dest is not None:
                clean = self._clean_dest(entry, dest)
                if clean is not None:
                    yield FilePlacement(clean, None, entry)
            return
        src = self._rendered(entry, "src", entry.src, render)
        if src is None:
            return
        source = posixpath.normpath(src)
        kind = self.sources.kind(source)
        wants_folder = src.endswith("/")
        withheld = self.sources.withheld(source) if kind in ("file", "folder") else None
        if withheld is not None:
            self.report(entry.src, _source_path(entry), f"{quoted(src)} {withheld}")
        elif kind == "folder":
            yield from self._expand_folder(entry, source, dest)
        elif kind == "file" and not wants_folder:
            name = posixpath.basename(source)
            if entry.template:
                name = name.removesuffix(TEMPLATE_SUFFIX) or name
            target = f"/{name}" if dest is None else dest + name if dest.endswith("/") else dest
            clean = self._clean_dest(entry, target)
            if clean is not None:
                compiled = self._compiled(entry, clean, source)
                if compiled and self._clean_dest(entry, compiled) is None:
                    return  # one letter more than the source was one too much
                yield FilePlacement(
                    compiled or clean, source, entry, entry.template, bool(compiled)
                )
        else:
            self._unusable_source(entry, src, kind)
            if dest is not None and dest.strip("/"):
                self._clean_dest(entry, dest)  # its own mistakes are reported all the same

    def _expand_folder(
        self, entry: FileEntry, source: str, dest: str | None
    ) -> Iterable[FilePlacement]:
        assert entry.src is not None
        try:
            chosen = self.sources.files(source, self._selection(source, entry.exclude))
        except OSError as error:
            self.report(entry.src, f"{entry.path}.src", f"{quoted(source)}: {_reason(error)}")
            return
        except ValueError as error:
            self.report(entry.node, f"{entry.path}.exclude", str(error))
            return
        name = "" if source == "." else posixpath.basename(source)
        if name == "..":
            name = ""
        base = f"/{name}" if dest is None else dest
        base = base.rstrip("/")
        if base and self._clean_dest(entry, base) is None:
            return
        if not chosen:
            self.empty[base or "/"] = entry
        prefix = "" if source == "." else f"{source}/"
        for path in chosen:
            template = entry.template and path.endswith(TEMPLATE_SUFFIX)
            target = path.removesuffix(TEMPLATE_SUFFIX) if template else path
            clean = self._clean_dest(entry, f"{base}/{target}")
            if clean is not None:
                compiled = entry.compile and compiled_dest(clean)
                if compiled and self._clean_dest(entry, compiled) is None:
                    continue
                yield FilePlacement(
                    compiled or clean, prefix + path, entry, template, bool(compiled)
                )

    def _compiled(self, entry: FileEntry, dest: str, source: str) -> str | None:
        """Where the bytecode of a single file goes; None, with the problem reported, where it
        has none."""
        if not entry.compile:
            return None
        compiled = compiled_dest(dest)
        if compiled is None and dest.endswith(".mpy") and not source.endswith(".mpy"):
            return dest
        if compiled is None:
            startup = dest in STARTUP_FILES
            message = (
                f"{quoted(dest)} is run as source by MicroPython itself and cannot be compiled"
                if startup
                else f"{quoted(dest)} is not Python source and cannot be compiled"
            )
            self.report(entry.src or entry.node, f"{entry.path}.compile", message)
        return compiled

    def _selection(self, source: str, exclude: Sequence[str]) -> Selection:
        """What is taken of a folder: no litter, nothing that its own .provisionignore, the entry
        or the .provisionignore beside the manifest leaves out."""
        own = self._ignore_lines(posixpath.join(source, IGNORE_FILE)) if source != "." else ()
        if self.ignored_everywhere is None:
            self.ignored_everywhere = self._ignore_lines(IGNORE_FILE)
        beside = () if source.startswith(("..", "/")) else self.ignored_everywhere
        prefix = "" if source == "." else f"{source}/"
        return Selection((*DEFAULT_EXCLUDES, *own, *exclude), beside, prefix)

    def _ignore_lines(self, path: str) -> tuple[str, ...]:
        try:
            data = self.sources.read(path).data
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise OSError(None, f"{path}: {_reason(error)}") from error
        return tuple(data.decode("utf-8", "replace").splitlines())

    # -- paths -----------------------------------------------------------------------------------

    def _rendered(
        self, entry: FileEntry, key: str, text: Text | None, render: Render
    ) -> str | None:
        if text is None or not uses_variables(text):
            return None if text is None else str(text)
        try:
            rendered = render(text)
        except TemplateError as error:
            self.report(text, f"{entry.path}.{key}", error.problem.message)
            return None
        if not rendered.strip():
            self.report(text, f"{entry.path}.{key}", f"{quoted(text)} renders to an empty text")
            return None
        return rendered

    def _clean_dest(self, entry: FileEntry, dest: str) -> str | None:
        try:
            return clean_dest(dest)
        except ValueError as error:
            key = "dest" if entry.dest is not None else "src"
            self.report(entry.dest or entry.src or entry.node, f"{entry.path}.{key}", str(error))
            return None

    def _unusable_source(self, entry: FileEntry, src: str, kind: Kind) -> None:
        assert entry.src is not None
        shown = quoted(src)
        if kind == "file":
            message = f"{shown} is a file; leave out the slash at its end"
        elif kind == "other":
            message = f"{shown} is neither a file nor a folder"
        elif kind == "outside":
            message = (
                f"{shown} leads out of the manifest's folder (or git checkout); "
                "copy what the boards need into it"
            )
        elif "*" in src:
            message = f"no such file: {shown}; patterns are not expanded, name the folder instead"
        else:
            message = missing_source("no such file or folder", src) + quotes_note(src)
            if not quotes_note(src):
                message += did_you_mean(src, self.sources.siblings(src))
        self.report(entry.src, _source_path(entry), message)

    def _check_nesting(self, files: FileSet) -> None:
        """No destination may be a folder of another one's path, nor of packages."""
        by_dest = files.by_dest
        for dest, placement in by_dest.items():
            for parent in ancestors(dest):
                above = by_dest.get(parent)
                if above is not None and (above.source or placement.source) is not None:
                    self._report_nesting(placement, above)
        library = by_dest.get(LIBRARY)
        if library is not None and library.source is not None:
            what = "is the folder that packages are imported from, and cannot be a file"
            self._report_dest(library, f"{quoted(LIBRARY)} {what}{into_folder(library)}")

    def _report_nesting(self, placement: FilePlacement, above: FilePlacement) -> None:
        inside = f"{quoted(placement.dest)} ({placement.entry.path}) lies below it"
        what = "cannot be absent" if above.source is None else "is a file, and cannot be a folder"
        self._report_dest(above, f"{quoted(above.dest)} {what}: {inside}{into_folder(above)}")

    def _check_case(self, files: FileSet) -> None:
        """No two destinations, nor folders of theirs, may differ by case alone. A board's firmware
        may keep its files on FAT, where they are one, and nobody knows before looking; nor could
        both lie in a checkout on Windows or macOS."""
        known: dict[str, str] = {}
        for dest, placement in files.by_dest.items():
            for path in (*ancestors(dest), dest):
                other = known.setdefault(folded(path), path)
                if other != path:
                    self._report_dest(placement, case_message(path, other))
                    break

    def _report_dest(self, placement: FilePlacement, message: str) -> None:
        entry = placement.entry
        self.report(entry.dest or entry.src or entry.node, entry.path, message)


def into_folder(placement: FilePlacement) -> str:
    """The advice for a destination that should have been a folder to put the file into."""
    entry, source = placement.entry, placement.source
    if source is None or entry.dest is None or entry.dest.rstrip("/") != placement.dest:
        return ""
    return f"; write {quoted(f'dest: {placement.dest}/')} to put {quoted(source)} into it"


def _has_variables(entry: FileEntry) -> bool:
    return any(text is not None and uses_variables(text) for text in (entry.src, entry.dest))


def _source_path(entry: FileEntry) -> str:
    return entry.path if entry.node is entry.src else f"{entry.path}.src"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
