"""The secrets files: what they give, what they warn of, and what their mistakes do not tell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import UsageError
from provision.project.git.index import holds
from provision.project.secrets_files import SecretsFiles, read_secrets

posix = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")


def written(folder: Path, text: str, name: str = "secrets.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def read(folder: Path, extra: Path | None = None, **environment: str) -> SecretsFiles:
    return read_secrets(folder, extra, environment)


def revealed(found: SecretsFiles) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in found.values.items()}


def messages(folder: Path, text: str) -> list[str]:
    path = written(folder, text)
    found = read(folder)
    assert all(problem.source is None for problem in found.problems)
    return [str(problem).removeprefix(f"{path}:") for problem in found.problems]


def test_no_file_is_no_mistake(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.values, found.problems, found.warnings) == ({}, (), ())
    assert "no secrets.yaml" in found.unknown_note


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_an_empty_file_is_no_mistake(tmp_path: Path, text: str) -> None:
    assert messages(tmp_path, text) == []


def test_scalars_keep_their_text(tmp_path: Path) -> None:
    written(tmp_path, "wifi: 'hunter 2'\npin: 0042\nflag: on\nempty: ''\nkey: |\n  a\n  b\n")
    found = read(tmp_path)
    assert revealed(found) == {
        "wifi": "hunter 2",
        "pin": "0042",
        "flag": "on",
        "empty": "",
        "key": "a\nb\n",
    }
    assert "hunter" not in repr(found)


def test_another_file_goes_over_the_one_beside(tmp_path: Path) -> None:
    written(tmp_path, "a: one\nb: two\n")
    other = written(tmp_path, "b: three\n", "other.yaml")
    assert revealed(read(tmp_path, other)) == {"a": "one", "b": "three"}


def test_a_value_from_the_environment(tmp_path: Path) -> None:
    written(tmp_path, "wifi: !env WIFI\n")
    assert revealed(read(tmp_path, WIFI="hunter2")) == {"wifi": "hunter2"}
    assert [problem.path for problem in read(tmp_path).problems] == ["wifi"]


def test_a_file_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path, tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1]\n", ["1:4: a: a secret is one text"]),
        ("a: {b: c}\n", ["1:4: a: a secret is one text"]),
        ("a:\nb: x\n", ["1:3: a: the value is missing; write ''"]),
        ("a: !secret b\n", ["1:4: a: the value of a secret cannot be another secret"]),
        ("a: x\na: y\n", ["2:1: a: duplicate key 'a' (first on line 1)"]),
        ("- a\n", ["1:1: expected `key: value` lines"]),
    ],
)
def test_mistakes_are_located(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = messages(tmp_path, text)
    assert len(found) == len(expected)
    for message, start in zip(found, expected, strict=True):
        assert message.startswith(start)


@pytest.mark.parametrize(
    "text",
    [
        "wifi: *hunter2\n",
        "wifi: !hunter2 x\n",
        "wifi: !hunter2!x y\n",
        "wifi: &hunter2 *hunter2\n",
        "wifi: %hunter2\n",
        "wifi: @hunter2\n",
        "wifi: 'hunter2\n",
        'wifi: "\\hunter2"\n',
        "wifi: {hunter2\n",
        "wifi: a: hunter2\n",
        "hunter2\n",
        "wifi: |hunter2\n",
        "wifi: !<hunter2> x\n",
    ],
)
def test_what_is_wrong_is_told_without_the_line(tmp_path: Path, text: str) -> None:
    found = messages(tmp_path, text)
    assert found
    assert "hunter2" not in "".join(found)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "secrets.yaml").write_bytes(b"wifi: hunter\xff2\n")
    problems = read(tmp_path).problems
    assert "hunter" not in "".join(map(str, problems))
    assert len(problems) == 1


@posix
def test_a_file_that_others_may_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a: x\n")
    assert read(tmp_path).warnings == ()
    path.chmod(0o644)
    assert f"`chmod 600 {path}`" in read(tmp_path).warnings[0]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("options", [(), ("--object-format=sha256",)], ids=["sha1", "sha256"])
@pytest.mark.parametrize("version", ["", "4"])
def test_a_file_that_git_tracks(tmp_path: Path, options: tuple[str, ...], version: str) -> None:
    def git(*arguments: str) -> None:
        nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        environment = {**os.environ, **nothing}
        subprocess.run(["git", *arguments], cwd=tmp_path, env=environment, check=True)

    folder = tmp_path / "rooms" / "kitchen"
    folder.mkdir(parents=True)
    written(folder, "a: x\n")
    for number in range(30):
        (folder / f"secret{number}").write_text("y")
    git("init", "--quiet", *options)
    assert read(folder).warnings == ()
    git("add", "rooms/kitchen/secret1", "rooms/kitchen/secret2")
    assert read(folder).warnings == ()
    git("add", ".")
    if version:
        git("update-index", "--index-version", version)
    git("add", "--intent-to-add", "rooms")
    assert "tracked by git" in read(folder).warnings[0]
    git("rm", "--quiet", "--cached", "rooms/kitchen/secrets.yaml")
    assert read(folder).warnings == ()


def test_a_folder_without_an_index_is_nothing_to_warn_of(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    written(tmp_path, "a: x\n")
    assert read(tmp_path).warnings == ()


@posix
@pytest.mark.parametrize("what", ["pipe", "link", "folder", "pointer"])
def test_an_index_that_is_no_file_is_not_read(tmp_path: Path, what: str) -> None:
    git = tmp_path / ".git"
    git.mkdir()
    written(tmp_path, "a: x\n")
    if what == "pipe":
        os.mkfifo(git / "index")
    elif what == "link":
        (git / "index").symlink_to("/dev/zero")
    elif what == "folder":
        (git / "index").mkdir()
    else:
        git.rmdir()
        git.write_text("gitdir: /dev/fd/0\n")
    assert read(tmp_path).warnings == ()


@given(data=st.binary(max_size=400), version=st.sampled_from([2, 3, 4]), count=st.integers(0, 9))
def test_any_bytes_are_read_as_an_index_or_as_none(data: bytes, version: int, count: int) -> None:
    head = b"DIRC" + version.to_bytes(4, "big") + count.to_bytes(4, "big")
    holds(head + data, "secrets.yaml")
    holds(data, "secrets.yaml")


def test_an_index_that_repeats_a_name_without_end_is_given_up() -> None:
    name = b"x" * 5000
    entry = bytes(62) + b"\0" + name + b"\0"
    again = bytes(62) + b"\0y\0"
    head = b"DIRC" + (4).to_bytes(4, "big") + (100_000).to_bytes(4, "big")
    assert not holds(head + entry + again * 99_999 + bytes(20), "secrets.yaml")
