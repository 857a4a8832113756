"""The files of this computer that a manifest names, read from disk.

Every file is looked at and read once, whatever the number of devices that share it. What is not
selected is neither counted nor judged; what belongs to the project itself never goes to a board.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from provision.atomic_files import plain_file, project_root, read_plain_file
from provision.core.chips.registry import read_firmware
from provision.core.manifest.resolve.file_placement import Kind
from provision.core.manifest.resolve.source_filter import Matcher, Selection
from provision.core.wording import memory_size
from provision.errors import ImageError
from provision.model.language import record
from provision.model.plan import SAVED_PLAN
from provision.model.state import Content

MAX_FILE = 32 * 1024 * 1024
"""Bytes; larger than the flash of any board."""

MAX_READ = 512 * 1024 * 1024
"""Bytes of all sources of a manifest together, for they are kept."""

MAX_FILES = 20_000
"""Taken of one folder; a board has not as many, a mistyped `src: ..` has."""

MAX_SEEN = 1_000_000
"""Looked at in all folders of a manifest together, taken or not."""

MAX_DEPTH = 100
"""Folders within folders; a link can make more of them than a disk holds."""

# What files and folders are by their names, wherever they lie: the end of a sentence.
MANIFEST = "is a manifest, and never goes to a board; leave this entry out"
TABLE = "is a list that devices come from, and never goes to a board; leave this entry out"
LOCK = "is a lock of provision, and never goes to a board; leave this entry out"
SECRETS = (
    "holds the secrets, and never goes to a board; "
    "give it the ones it needs: `!secret NAME` under vars, and a template"
)
IMAGE = (
    "is a firmware image, and never goes to a board as a file; "
    "name it in the table `firmware`, and leave this entry out"
)
VENDORED = (
    "is what `provision vendor` keeps, and never goes to a board; "
    "name the package under `packages`, or keep the file elsewhere"
)
SCHEMA = "is the schema of manifests, and never goes to a board; leave this entry out"
_FOLDERS = {
    ".git": "belongs to git, and never goes to a board; leave this entry out",
    ".venv": "is a Python environment of this computer, and never goes to a board; "
    "leave this entry out",
}
SCHEMA_NAME = "fleet.schema.json"
_FILES = {
    "fleet.yaml": MANIFEST,
    "fleet.lock": LOCK,
    "secrets.yaml": SECRETS,
    SCHEMA_NAME: SCHEMA,
}
PLAN = "is a saved plan, and never goes to a board; leave this entry out"
_PLAN_NAME = ".plan"
_LITTER = "__pycache__"  # never looked into
_IMAGE_NAMES = (".bin", ".uf2")
_UF2 = b"UF2\n"


@record(kw_only=False)
class _Directory:
    """A directory to look through: its path below the source, where it really is, and the real
    places of the directories that lead to it, itself included."""

    path: str
    place: Path
    chain: frozenset[Path]


class SourceFolder:
    """Implements `Sources` of `core.manifest.resolve` below the manifest's folder.

    A manifest from elsewhere must not carry off what else this user can read: a source, links
    followed, lies below the manifest's folder or, in a git checkout, below that one's top.
    `own` names what belongs to the project, and why it never goes to a board.
    """

    def __init__(
        self, folder: Path, *, own: Mapping[Path, str] | None = None, most: int = MAX_READ
    ) -> None:
        self.folder = folder
        self._own = {
            Path(os.path.realpath(path)): why
            for path, why in (own or {}).items()
            if "\0" not in str(path)  # such a file there cannot be
        }
        self._most = self._left = most
        self._seen = 0
        self._kinds: dict[str, Kind] = {}
        self._contents: dict[str, Content] = {}
        self._by_place: dict[Path, Content] = {}
        self._listings: dict[tuple[str, Selection], Sequence[str]] = {}
        self._reasons: dict[str, str | None] = {}
        self._folders: dict[Path, str | None] = {}
        self._images: dict[Path, bool] = {}
        self._walked: set[Path] = set()

    @property
    def looked_at(self) -> tuple[frozenset[Path], frozenset[Path]]:
        """The files, by each of their names that count, that there are or were looked for, and the
        folders that were looked through: what is read here hangs on these alone."""
        asked = {self.folder / path for path in self._kinds.keys() | self._contents.keys()}
        return frozenset(asked | self._by_place.keys()), frozenset(self._walked)

    @property
    def contents(self) -> Mapping[str, Content]:
        """What was read, by the path that it was asked for by."""
        return dict(self._contents)

    def anew(self) -> SourceFolder:
        """The same, with nothing read yet."""
        return SourceFolder(self.folder, own=self._own, most=self._most)

    @cached_property
    def root(self) -> Path:
        """What no source lies outside of."""
        return project_root(self.folder)

    def kind(self, path: str) -> Kind:
        known = self._kinds.get(path)
        if known is None:
            known = self._kinds[path] = self._kind_of(path)
        return known

    def files(self, folder: str, selection: Selection) -> Sequence[str]:
        known = self._listings.get((folder, selection))
        if known is None:
            found = sorted(self._walk(folder, selection.matcher()))
            known = self._listings[folder, selection] = tuple(found)
        return known

    def siblings(self, path: str) -> Sequence[str]:
        folder = Path(path).parent
        try:
            return [str(folder / each.name) for each in (self.folder / folder).iterdir()]
        except (OSError, ValueError):
            return []

    def withheld(self, path: str) -> str | None:
        if path not in self._reasons:
            place = Path(os.path.realpath(self.folder / path))
            withheld = self._withheld_folder if self.kind(path) == "folder" else self._withheld
            self._reasons[path] = withheld(place)
        return self._reasons[path]

    def read(self, path: str) -> Content:
        known = self._contents.get(path)
        if known is None:
            place = plain_file(self.folder / path, root=self.root)
            known = self._contents[path] = self._content(place)
        return known

    def locate(self, path: str) -> str:
        return str(self.folder / path)

    def _content(self, place: Path) -> Content:
        known = self._by_place.get(place)
        if known is None:
            data = read_plain_file(place, most=MAX_FILE, root=self.root)
            if len(data) > self._left:
                raise OSError(
                    None, f"all sources together are larger than {memory_size(self._most)}"
                )
            self._left -= len(data)
            known = self._by_place[place] = Content(data=data)
        return known

    def _kind_of(self, path: str) -> Kind:
        try:
            mode = (self.folder / path).stat().st_mode
            if not self._inside(Path(os.path.realpath(self.folder / path))):
                return "outside"
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return "other"
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return "missing"
        return "file" if stat.S_ISREG(mode) else "folder"

    def _inside(self, place: Path) -> bool:
        return place.is_relative_to(self.root)

    # -- what is below a folder --------------------------------------------------------------------

    def _walk(self, folder: str, matcher: Matcher) -> Iterator[str]:
        """The files taken, links followed; where an excluded link leads is nobody's business."""
        top = Path(os.path.realpath(self.folder / folder))
        ahead = [_Directory("", top, frozenset([top]))]
        found = 0
        while ahead:
            directory = ahead.pop()
            self._walked.add(directory.place)
            for entry in self._entries(directory.place):
                path = f"{directory.path}{entry.name}"
                if _is_folder(entry):
                    if matcher.looks_into(path) and entry.name != _LITTER:
                        below = self._below(directory, entry, path)
                        if self._withheld_folder(below.place) is None:
                            ahead.append(below)
                elif matcher.takes(path) and not self._withheld(
                    self._place(directory, entry, path)
                ):
                    yield path
                    found += 1
                    if found > MAX_FILES:
                        raise OSError(None, f"more than {MAX_FILES:,} files below it")

    def _entries(self, place: Path) -> Sequence[os.DirEntry[str]]:
        found = []
        with os.scandir(place) as entries:
            for entry in entries:
                self._seen += 1
                if self._seen > MAX_SEEN:
                    raise OSError(None, f"more than {MAX_SEEN:,} files and folders to look at")
                found.append(entry)
        return sorted(found, key=lambda entry: entry.name)

    def _below(self, directory: _Directory, entry: os.DirEntry[str], path: str) -> _Directory:
        place = self._place(directory, entry, path)
        if place in directory.chain:
            raise OSError(None, f"{path} leads back, by a link, to a folder that it lies in")
        if len(directory.chain) > MAX_DEPTH:
            raise OSError(None, f"folders in it are nested deeper than {MAX_DEPTH}")
        return _Directory(f"{path}/", place, directory.chain | {place})

    def _place(self, directory: _Directory, entry: os.DirEntry[str], path: str) -> Path:
        """Where an entry really is; OSError when that is outside."""
        place = directory.place / entry.name
        if not entry.is_symlink():
            return place
        place = Path(os.path.realpath(place))
        if not self._inside(place):
            raise OSError(None, f"{path} is a link that leads outside")
        return place

    # -- what never goes to a board ----------------------------------------------------------------

    def _withheld_folder(self, place: Path) -> str | None:
        """Why nothing at or below a real place goes to a board. Whatever encloses the project
        itself says nothing."""
        if place == self.root or not self._inside(place):
            return None
        if place not in self._folders:
            why = self._withheld_folder(place.parent)
            why = why or _FOLDERS.get(place.name) or self._own.get(place)
            if why is None and os.path.lexists(place / "pyvenv.cfg"):
                why = _FOLDERS[".venv"]
            self._folders[place] = why
        return self._folders[place]

    def _withheld(self, place: Path) -> str | None:
        """Why a file, by its real place, does not go to a board."""
        why = self._withheld_folder(place.parent) or self._own.get(place)
        why = why or _FILES.get(place.name) or _FOLDERS.get(place.name)
        if why is None and place.suffix in _IMAGE_NAMES and self._is_image(place):
            return IMAGE
        if why is None and place.suffix == _PLAN_NAME and self._is_plan(place):
            return PLAN
        return why

    def _is_plan(self, place: Path) -> bool:
        try:
            return self._content(place).data.startswith(f"{SAVED_PLAN} ".encode())
        except OSError:
            return False

    def _is_image(self, place: Path) -> bool:
        """Whether a file is what `firmware` takes. One that cannot be read is told when its
        content is asked for."""
        if place not in self._images:
            try:
                data = self._content(place).data
                if not data.startswith(_UF2):
                    read_firmware(data, place.name)
                self._images[place] = True
            except (OSError, ImageError):
                self._images[place] = False
        return self._images[place]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink():
        return os.path.isdir(entry.path)  # noqa: PTH112  (a loop is no folder, and no error)
    return entry.is_dir()
