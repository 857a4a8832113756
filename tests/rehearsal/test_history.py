"""Earlier states of a project, out of a git history that may be somebody else's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provision.rehearsal.history import History, NoHistory

WHO = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *WHO, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, **files: str | None) -> str:
    for name, text in files.items():
        path = folder / "fleet" / name
        path.parent.mkdir(exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "repository")
    return tmp_path / "repository"


def test_each_state_of_the_folder_is_found_once_the_newest_first(repository: Path) -> None:
    first = commit(repository, main="one")
    (repository / "elsewhere").write_text("x")
    commit(repository)
    third = commit(repository, main="two")
    fourth = commit(repository, main="three")
    history = History(repository / "fleet")
    found = [*history.commits()]
    assert found[:2] == [fourth, third]
    assert len(found) == 3
    assert history.commit(first[:8]) == first
    assert not history.shallow


def test_a_commit_is_exported_as_it_was(repository: Path, tmp_path: Path) -> None:
    first = commit(repository, main="one", gone="x")
    (repository / "fleet" / "link").symlink_to("main")
    (repository / "shared").write_bytes(b"\0\xff\r\n")
    commit(repository, main="two", gone=None)
    second = git(repository, "rev-parse", "HEAD")
    (repository / "fleet" / "main").write_text("not committed")
    history = History(repository / "fleet")
    then = history.export(first, tmp_path / "first")
    assert {path.name: path.read_text() for path in then.iterdir()} == {"main": "one", "gone": "x"}
    later = history.export(second, tmp_path / "second")
    assert (later / "link").readlink() == Path("main")
    assert (later / "link").read_text() == "two"
    assert (later.parent / "shared").read_bytes() == b"\0\xff\r\n"


def test_nothing_is_written_outside_or_through_a_link(repository: Path, tmp_path: Path) -> None:
    """A tree that git itself would not check out: a link, and a file in it."""
    blob = subprocess.run(
        ["git", "-C", str(repository), "hash-object", "-w", "--stdin"],
        input=b"written", check=True, capture_output=True,
    ).stdout.decode().strip()  # fmt: skip
    outside = tmp_path / "outside"
    outside.mkdir()
    target = subprocess.run(
        ["git", "-C", str(repository), "hash-object", "-w", "--stdin"],
        input=str(outside).encode(), check=True, capture_output=True,
    ).stdout.decode().strip()  # fmt: skip

    def tree(*entries: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(repository), "mktree"],
            input="".join(f"{entry}\n" for entry in entries), check=True, capture_output=True,
            text=True,
        )  # fmt: skip
        return done.stdout.strip()

    inner = tree(f"100644 blob {blob}\tfile")
    hostile = tree(f"120000 blob {target}\tdoor", f"040000 tree {inner}\tdoor2")
    made = git(repository, "commit-tree", "-m", "x", hostile)
    place = History(repository).export(made, tmp_path / "export")
    assert (place / "door").is_symlink()
    assert (place / "door2" / "file").read_text() == "written"
    assert [*outside.iterdir()] == []


def test_no_program_that_a_checkout_names_is_run(repository: Path, tmp_path: Path) -> None:
    commit(repository, main="one")
    trap, ran = tmp_path / "trap", tmp_path / "ran"
    trap.write_text(f"#!/bin/sh\ntouch {ran}\n")
    trap.chmod(0o700)
    for key in (
        "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "diff.external",
        "filter.f.smudge", "filter.f.process", "credential.helper", "core.gitProxy",
    ):  # fmt: skip
        git(repository, "config", key, str(trap))
    git(repository, "config", "remote.origin.url", f"ext::{trap}")
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "extensions.partialClone", "origin")
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        (repository / ".git" / "hooks" / hook).symlink_to(trap)
    (repository / ".gitattributes").write_text("* filter=f diff=f\n")
    blob = git(repository, "rev-parse", "HEAD:fleet/main")
    history = History(repository / "fleet")
    (newest, *_) = history.commits()
    assert (history.export(newest, tmp_path / "export") / "main").read_text() == "one"
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()  # as a partial clone lacks it
    with pytest.raises(NoHistory, match="fleet/main is not in this clone"):
        history.export(newest, tmp_path / "again")
    assert not ran.exists()


def test_why_there_is_no_history_is_said(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(NoHistory, match="no git checkout"):
        History(tmp_path / "plain")
    with pytest.raises(NoHistory, match="git rev-list"):
        list(History(repository).commits())
    commit(repository, main="one")
    commit(repository, main="two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    assert History(tmp_path / "shallow" / "fleet").shallow
    with pytest.raises(NoHistory, match="1234567 is no commit of this repository"):
        History(repository).commit("1234567")
    with pytest.raises(NoHistory, match="1234567 is no commit of this shallow clone"):
        History(tmp_path / "shallow" / "fleet").commit("1234567")
