"""Which commit a checkout is at: read from the files of its repository, by no git process.

`index` says why none is run. What is followed is what git itself writes: HEAD, the branch that
it names, packed-refs, and of a worktree (`git worktree add`) the repository that it belongs to, if
that one names the worktree as its own, so that a `.git` file in somebody else's folder leads
nowhere.
Changes that are not committed are not seen.
"""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath

from provision.atomic_files import project_root, read_plain_file

PACKED_MOST = 16 * 1024 * 1024  # bytes of packed-refs: some 200,000 branches and tags

_REF_MOST = 4096  # bytes of any other file that is read
_COMMIT = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LINKED = re.compile(rb"gitdir: (.+)")
_MOST_LINKS = 5  # from one symbolic ref to the next, as git has it


def commit_of(folder: Path) -> str | None:
    """The commit that the checkout around a folder is at, in hex; None outside of one, before its
    first commit, and where nobody can tell."""
    try:
        own, shared = _git_folders(project_root(folder) / ".git")
        value = _read(own / "HEAD", own)
        for _ in range(_MOST_LINKS):
            if _COMMIT.fullmatch(value):
                return value.decode()
            name = value.removeprefix(b"ref: ")
            if name == value or not _is_ref(name):
                return None
            value = _value(name, own, shared)
    except (OSError, ValueError):  # ValueError: a NUL in a path
        pass
    return None


def _git_folders(git: Path) -> tuple[Path, Path]:
    """Where a checkout's own HEAD is, and where its branches are."""
    if git.is_symlink():
        raise OSError(None, "it is a link")
    if git.is_dir():
        return git, git
    linked = _LINKED.fullmatch(_read(git, git.parent))
    if linked is None:
        raise OSError(None, "it names no repository")
    own = _followed(git.parent, linked[1])
    back = _followed(own, _read(own / "gitdir", own))
    if own.parent.name != "worktrees" or back != git:
        raise OSError(None, "the repository does not name it as a worktree of its own")
    return own, own.parent.parent


def _followed(folder: Path, path: bytes) -> Path:
    """Where a path in one of these files leads. To ask for a file on a server (`\\\\host\\share`)
    would open a connection, and tell the server who asks."""
    if PureWindowsPath(path.decode()).drive.startswith("\\\\"):
        raise OSError(None, "it is on a server")
    return (folder / path.decode()).resolve()


def _is_ref(name: bytes) -> bool:
    """Whether a name is that of a branch or the like, and leads nowhere else."""
    parts = name.split(b"/")
    return parts[0] == b"refs" and all(part.strip(b".") for part in parts)


def _value(name: bytes, own: Path, shared: Path) -> bytes:
    """What a ref holds; OSError where there is none, as of a branch before its first commit."""
    for git in dict.fromkeys((own, shared)):
        try:
            return _read(git / name.decode(), git)
        except FileNotFoundError:
            continue
    packed = read_plain_file(shared / "packed-refs", most=PACKED_MOST, root=shared)
    for line in packed.splitlines():
        commit, _, of = line.partition(b" ")
        if of == name:
            return commit
    raise FileNotFoundError


def _read(file: Path, root: Path) -> bytes:
    return read_plain_file(file, most=_REF_MOST, root=root).strip()
