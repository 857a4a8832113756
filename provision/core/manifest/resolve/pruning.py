"""Folders below which a board keeps nothing that no entry manages: the `prune` lists of a device's
layers, and whether what they would delete can be meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from provision.core.manifest.model import Layer
from provision.core.manifest.resolve.destinations import clean_dest
from provision.core.manifest.resolve.file_placement import (
    FilePlacement,
    FileSet,
    LineName,
    Report,
    into_folder,
)
from provision.core.wording import quoted
from provision.model.board_path import ancestors, at_or_below, below


class Pruning:
    """Reads the lists; what is wrong with one goes to `report`."""

    def __init__(self, report: Report, line_name: LineName) -> None:
        self._report = report
        self._line_name = line_name

    def roots(self, layers: Iterable[Layer], files: Mapping[str, FilePlacement]) -> tuple[str, ...]:
        """The folders of all lists, sorted."""
        paths: dict[str, None] = {}
        for layer in layers:
            for position, text in enumerate(layer.prune):
                if not text.strip("/"):
                    paths["/"] = None
                    continue
                try:
                    path = clean_dest(text)
                except ValueError as error:
                    self._report(text, f"{layer.path}.prune[{position}]", str(error))
                    continue
                paths[path] = None
                for folder in (*ancestors(path), path):
                    file = files.get(folder)
                    if file is not None and file.source is not None:
                        where = f"({file.entry.path}, {self._line_name(file.entry.node)})"
                        message = (
                            f"{quoted(path)} cannot be pruned: {quoted(folder)} is to be a file "
                            f"{where}{into_folder(file)}"
                        )
                        self._report(text, f"{layer.path}.prune[{position}]", message)
        return tuple(sorted(paths))

    def check_empty_sources(
        self, placed: FileSet, prune: Sequence[str], also_filled: str | None
    ) -> None:
        """A folder that happens to be empty must not have all deleted that it was meant to fill."""
        for base, entry in placed.empty.items():
            dests = [dest for dest, file in placed.by_dest.items() if file.source is not None]
            if also_filled is not None:
                dests.append(also_filled)
            filled = any(at_or_below(dest, base) for dest in dests)
            root = next((one for one in prune if at_or_below(base, one) or below(one, base)), None)
            if root is not None and not filled:
                lost = root if below(root, base) else base
                self._report(
                    entry.src or entry.node,
                    f"{entry.path}.src",
                    f"{quoted(str(entry.src))} holds no file, so that all below {quoted(lost)} "
                    f"would be deleted (prune {quoted(root)}); is it a git submodule that is not "
                    "checked out?",
                )
