"""The part of the Python API that makes what is on a board the project's own. `api.py` has it with
the rest.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from provision.app import open_fleet, run_task
from provision.atomic_files import rename
from provision.core.file_names import plain_name
from provision.core.manifest.authoring.entries import Setting, is_scalar, scalar
from provision.core.manifest.authoring.known_packages import known_packages
from provision.core.wording import printable
from provision.engine.cancellation import Cancellation
from provision.engine.event_stream import OnEvent
from provision.engine.tasks.import_files import ImportTask
from provision.errors import ManifestError, ProvisionError, UsageError
from provision.interfaces import FileSink
from provision.lockfile.store import read_lock
from provision.model.board_path import LIBRARY
from provision.model.language import record
from provision.model.report import RunReport
from provision.model.state import BoardEntry, DesiredFile
from provision.output.scrub import scrub
from provision.project.fleet import Fleet
from provision.project.manifest_draft import ManifestDraft
from provision.project.received_files import ReceivedFiles
from provision.sources.bytecode import package_bytecode

# What begins with a dot, programs of this computer obey without a word: git, shells, editors.
_HIDDEN = "a name that begins with a dot is a setting for programs of this computer"
_KEYS = ("packages", "files")


@record
class Imported:
    """What the manifest has of the board from now on: files in `folder` (None where there were
    none) and packages. `left` are paths on the board that it has not, each with the reason."""

    folder: Path | None
    files: tuple[str, ...]
    packages: tuple[str, ...]
    left: tuple[tuple[str, str], ...]


class BoardImport:
    """The files of a device's board on their way into a folder beside its manifest. Those that the
    manifest has already stay out of it, and so do those of packages that are locked.

    `fetch` reads the board, `finish` puts the folder in place and the device's `files` into the
    manifest; nothing is there before. To be closed by `abandon`, finished or not.
    """

    def __init__(
        self, fleet: Fleet, folder: str | None = None, *, secrets: Path | None = None
    ) -> None:
        """Of a fleet of one device; UsageError where the folder is there, or the device is written
        so that nothing can be added to it."""
        (self._state,) = fleet.states
        self._fleet = fleet
        self._secrets = secrets
        loaded = fleet.loaded
        device = self._state.device
        self._name = folder if folder is not None else plain_name(device)
        self._folder = loaded.folder / self._name
        if Path(self._name).is_absolute() or {"..", "."} & {*Path(self._name).parts, self._name}:
            raise UsageError(
                f"{printable(self._name)} is no folder below that of the manifest",
                hint="name one, as in `--to boards/kitchen`",
            )
        self._draft = ManifestDraft.of_device(loaded, device)
        self._draft.check_settings(device, _KEYS)
        if os.path.lexists(self._folder):
            raise UsageError(
                f"{printable(str(self._folder))} is there already, and is not written to",
                hint="name another folder with --to DIR",
            )
        self._partial = self._folder.with_name(f".{self._folder.name}.{token_hex(6)}.partial")
        try:
            source = Path(os.path.relpath(self._folder, self._draft.path.parent))
            self._source = scalar(f"{source.as_posix()}/")
        except ValueError as error:
            raise UsageError(str(error), hint="name another folder with --to DIR") from None
        self._found: dict[str, str] = {}
        self._left: list[tuple[str, str]] = []
        self._packages: tuple[str, ...] = ()
        self._received: ReceivedFiles | None = None

    def fetch(
        self, *, on_event: OnEvent | None = None, cancel: Cancellation | None = None
    ) -> RunReport:
        """Read what is to be the project's, each file verified by its sha256."""
        task = ImportTask(choose=self._choose, begin=self._begin)
        return run_task(self._fleet, task, cancel, limit=(), on_event=on_event)

    def finish(self) -> Imported:
        """Put in place what came, and prove that the manifest now has these very files. UsageError
        where it would not be valid with them: it is as it was then, and the folder stays."""
        stored = self._received.stored if self._received is not None else {}
        places = {path: place.relative_to(self._partial) for path, place in stored.items()}
        odd = [path for path, place in places.items() if path != f"/{place.as_posix()}"]
        self._remove(self._partial, [places.pop(path) for path in odd])
        if places:
            rename(self._partial, self._folder)
        settings = self._settings(files=bool(places))
        left = [
            *self._left,
            *((path, "its name is none on every computer") for path in odd),
        ]
        if settings:
            wanted = self._written(settings)
            for path in [path for path in places if path not in wanted]:
                self._remove(self._folder, [places.pop(path)])
                left.append((path, "what `src` never takes along is left out"))
            left += [
                (path, "it is another in the manifest")
                for path, sha256 in self._found.items()
                if path in wanted and wanted[path].content.sha256 != sha256
            ]
        found = Imported(
            folder=self._folder if places else None,
            files=tuple(sorted(places)),
            packages=self._packages,
            left=tuple(sorted(left)),
        )
        return scrub(found, self._fleet.masked)

    def _settings(self, *, files: bool) -> list[Setting]:
        settings = []
        if self._packages:
            names = ", ".join(map(scalar, self._packages))
            settings.append(Setting(key="packages", value=f"[{names}]"))
        if files:
            value = f"[{{src: {self._source}, dest: /}}]"
            settings.append(Setting(key="files", value=value))
        return settings

    def _written(self, settings: Sequence[Setting]) -> Mapping[str, DesiredFile]:
        """The files of the device by the manifest with these settings in it."""
        draft, device = self._draft, self._state.device
        before = draft.add_settings(device, settings)
        try:
            fleet = open_fleet(Path(self._fleet.loaded.file), limit=[device], secrets=self._secrets)
        except ProvisionError as error:
            draft.undo(before)
            told = error.message
            if isinstance(error, ManifestError):
                told = "; ".join(str(problem) for problem in error.problems[:3])
            raise UsageError(
                f"the manifest is not valid with what was imported: {told}",
                hint=f"the manifest is as it was; files are in {printable(str(self._folder))}",
            ) from error
        return fleet.states[0].files_by_dest

    def _remove(self, root: Path, places: Sequence[Path]) -> None:
        """Remove files below a folder, and the folders that they were alone in."""
        for place in places:
            (root / place).unlink()
            with suppress(OSError):  # something else is in it
                for folder in [*place.parents][:-1]:
                    (root / folder).rmdir()

    def abandon(self) -> None:
        """Remove what has not been put in place."""
        if self._received is not None:
            self._received.close()
        shutil.rmtree(self._partial, ignore_errors=True)

    def _choose(self, entries: Sequence[BoardEntry]) -> Sequence[BoardEntry]:
        managed = self._state.files_by_dest
        new = []
        for entry in entries:
            if entry.path in managed:
                if not self._is_as_managed(entry):
                    self._left.append((entry.path, "the manifest has another"))
            elif any(part.startswith(".") for part in entry.path.split("/")):
                self._left.append((entry.path, _HIDDEN))
            else:
                new.append(entry)
        files = {entry.path: entry.sha256 or "" for entry in new}
        self._packages, covered = known_packages(files, self._locked_packages())
        chosen = [entry for entry in new if entry.path not in covered]
        self._found = {entry.path: entry.sha256 or "" for entry in new}
        return chosen

    def _is_as_managed(self, entry: BoardEntry) -> bool:
        file = self._state.files_by_dest[entry.path]
        return file.create_only or file.content.sha256 == entry.sha256

    def _locked_packages(self) -> dict[str, dict[str, str]]:
        """The files of each locked package as this device would get them, by path."""
        packages = read_lock(self._fleet.loaded.lock_path).packages
        if not packages:
            return {}
        firmware = self._state.firmware
        images = self._fleet.images
        version = images.firmware(firmware.source).identity.version if firmware else None
        bytecode = package_bytecode(version)
        return {
            request: {f"{LIBRARY}/{path}": file.sha256 for path, file in locked.files.items()}
            for (request, kind), locked in packages.items()
            if kind == bytecode and is_scalar(request)
        }

    def _begin(self, files: Sequence[BoardEntry]) -> FileSink:
        places = {entry.path: tuple(entry.path[1:].split("/")) for entry in files}
        self._received = ReceivedFiles(self._partial, places)
        return self._received
