"""The commit of a checkout, against git itself, and in checkouts that want to lead elsewhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from provision.project.git.commit import commit_of

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git to compare with")


def git(folder: Path, *words: str) -> str:
    settings = ("-c", "user.name=x", "-c", "user.email=x@y", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *settings, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder


@needs_git
def test_it_is_what_git_says(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert commit_of(checkout) == commit_of(checkout / "sub") == head
    git(checkout, "pack-refs", "--all")
    assert not (checkout / ".git/refs/heads/main").exists()
    assert commit_of(checkout) == head
    git(checkout, "commit", "-q", "--allow-empty", "-m", "two")
    second = git(checkout, "rev-parse", "HEAD")
    assert commit_of(checkout) == second != head
    git(checkout, "checkout", "-q", "--detach", head)
    assert commit_of(checkout) == head


@needs_git
def test_a_worktree_has_a_commit_of_its_own(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(checkout, "worktree", "add", "-q", "-b", "side", str(other))
    git(other, "commit", "-q", "--allow-empty", "-m", "two")
    assert commit_of(other) == git(other, "rev-parse", "HEAD") != commit_of(checkout)
    git(checkout, "pack-refs", "--all")
    assert commit_of(other) == git(other, "rev-parse", "HEAD")


@needs_git
def test_a_git_file_that_the_repository_does_not_know_leads_nowhere(
    checkout: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    git(checkout, "worktree", "add", "-q", "-b", "side", str(other))
    strange = tmp_path / "strange"
    strange.mkdir()
    shutil.copy(other / ".git", strange / ".git")
    assert commit_of(strange) is None
    (strange / ".git").write_text(f"gitdir: {checkout / '.git'}\n")
    assert commit_of(strange) is None
    (strange / ".git").unlink()
    (strange / ".git").symlink_to(checkout / ".git")
    assert commit_of(strange) is None


@needs_git
def test_a_path_that_windows_takes_for_a_servers_is_not_looked_at(
    checkout: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    git(checkout, "worktree", "add", "-q", "-b", "side", str(other))
    own = checkout / ".git/worktrees/other"
    for file, text in (
        (own / "gitdir", f"/{other / '.git'}\n"),  # here, two slashes are one
        (other / ".git", f"gitdir: /{own}\n"),
    ):
        before = file.read_text()
        file.write_text(text)
        assert commit_of(other) is None
        file.write_text(before)
        assert commit_of(other) == git(other, "rev-parse", "HEAD")


@needs_git
def test_before_the_first_commit_and_outside_of_a_checkout_there_is_none(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path) is None


@pytest.mark.parametrize(
    "head",
    [
        b"ref: refs/../../secret",
        b"ref: refs/heads/../../../secret",
        b"ref: /etc/passwd",
        b"ref: refs//heads",
        b"ref: refs/heads/ma\0in",
        b"ref: refs/heads/loop",
        b"ref: refs/heads/out",
        b"0123",
        b"",
        b"f" * 5000,
        b"\xff\xfe",
        b"ref: refs/heads/\xff",
    ],
)
def test_what_git_would_not_write_is_no_commit(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "secret").write_text("a" * 40)
    heads = tmp_path / "project/.git/refs/heads"
    heads.mkdir(parents=True)
    (heads / "loop").write_text("ref: refs/heads/loop\n")
    (heads / "out").symlink_to(tmp_path / "secret")
    (heads.parent.parent / "HEAD").write_bytes(head)
    assert commit_of(tmp_path / "project") is None
