"""Earlier states of a project, from its git history: exported to folders of their own.

Unlike all that only reads a manifest, this runs git, and only what reads objects: `rev-parse`,
`rev-list`, `ls-tree` and `cat-file` take no hook, filter or pager from a checkout's configuration,
and what would make them fetch from elsewhere is switched off.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from provision.atomic_files import project_root
from provision.core.wording import printable

MOST_LOOKED_AT = 60  # commits
_MOST_FILES = 20_000
_MOST_BYTES = 256 << 20
_SWITCHED_OFF = (
    *("-c", "protocol.allow=never"),
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
)
_ENVIRONMENT = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
_FILE, _EXECUTABLE, _LINK = "100644", "100755", "120000"


class NoHistory(Exception):
    """Why there is no earlier state, in words."""


class History:
    """The commits of the checkout that a folder lies in; NoHistory where it lies in none. `whole`:
    what lies beside the folder matters too."""

    def __init__(self, folder: Path, *, whole: bool = False) -> None:
        self._whole = whole
        self._root = project_root(folder)
        self._within = PurePosixPath(Path(os.path.realpath(folder)).relative_to(self._root))
        if not os.path.lexists(self._root / ".git"):
            raise NoHistory("the manifest is in no git checkout")

    @property
    def shallow(self) -> bool:
        """Whether the clone has only the newest commits."""
        return self._git("rev-parse", "--is-shallow-repository").strip() == b"true"

    def commit(self, name: str) -> str:
        """The whole name of a commit; NoHistory for none."""
        try:
            whole = self._git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        except NoHistory:
            clone = "shallow clone" if self.shallow else "repository"
            raise NoHistory(f"{name} is no commit of this {clone}, or of several") from None
        return whole.decode().strip()

    def commits(self) -> Iterator[str]:
        """From HEAD on, the newest first, of those that are alike only one."""
        seen = set()
        options = ("--first-parent", f"--max-count={MOST_LOOKED_AT}")
        for commit in self._git("rev-list", *options, "HEAD").decode().split():
            tree = self._tree(commit)
            if tree not in seen:
                seen.add(tree)
                if tree is not None:
                    yield commit

    def _tree(self, commit: str) -> str | None:
        part = self._within.parts and not self._whole
        within = f"{commit}:{self._within}" if part else f"{commit}^{{tree}}"
        try:
            return self._git("rev-parse", "--verify", "--quiet", within).decode().strip()
        except NoHistory:  # the folder was not there yet
            return None

    def export(self, commit: str, target: Path) -> Path:
        """Write all files of a commit below `target`, as they are in it; the folder there. What
        belongs to another repository is left out. NoHistory where it is too much."""
        listed = self._git("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
        entries = []  # mode, name of the blob, path
        total = 0
        for line in filter(None, listed.split(b"\0")):
            about, _, path = line.partition(b"\t")
            mode, kind, blob, size = about.decode().split()
            if kind != "blob" or mode not in (_FILE, _EXECUTABLE, _LINK):
                continue
            name = os.fsdecode(path)
            if not size.isdigit():  # of a partial clone: nothing is fetched
                raise NoHistory(f"{commit[:10]}: its {printable(name)} is not in this clone")
            entries.append((mode, blob, name))
            total += int(size)
        if len(entries) > _MOST_FILES or total > _MOST_BYTES:
            raise NoHistory(f"{commit[:10]} has {len(entries)} files of {total >> 20} MB in all")
        (target / ".git").mkdir(parents=True)  # the end of what its files may lead to
        contents = self._git("cat-file", "--batch", given=[blob for _, blob, _ in entries])
        at = 0
        links = []
        for mode, _, name in entries:
            end = contents.index(b"\n", at)
            length = int(contents[at:end].split()[2])
            data = contents[end + 1 : end + 1 + length]
            at = end + length + 2
            if mode == _LINK:
                links.append((name, os.fsdecode(data)))
            elif (place := _place(target, name)) is not None:
                place.write_bytes(data)
        for name, leads in links:  # last, so that nothing is written through one
            place = _place(target, name)
            if place is not None and not os.path.lexists(place):
                place.symlink_to(leads)
        return target / self._within

    def _git(self, *words: str, given: list[str] | None = None) -> bytes:
        command = ["git", *_SWITCHED_OFF, f"--git-dir={self._root / '.git'}", *words]
        try:
            done = subprocess.run(
                command,
                cwd=self._root,
                env={**_without_git(), **_ENVIRONMENT},
                input="".join(f"{line}\n" for line in given or ()).encode(),
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            raise NoHistory("git is not installed") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise NoHistory(f"git {words[0]}: {said[-1] if said else done.returncode}")
        return done.stdout


def _without_git() -> dict[str, str]:
    """The environment without what would have git look elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _place(target: Path, name: str) -> Path | None:
    """Where a file of a commit goes, its folder made; None where that is not below `target`. What a
    link leads to is judged by whoever follows it, as anywhere."""
    parts = PurePosixPath(name).parts
    if ".." in parts or ".git" in (part.lower() for part in parts):
        return None
    path = target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    inside = Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(target))
    return path if inside and path.is_relative_to(target) else None
