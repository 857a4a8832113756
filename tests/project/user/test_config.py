"""The user's configuration file: what it says, what is wrong with one, whose it has to be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provision.cli.config import into_environment, settings
from provision.errors import ConfigError, UsageError
from provision.project.user.config import UserConfig, read_config
from provision.project.user.config_path import config_file

posix = pytest.mark.skipif(os.name != "posix", reason="owners are POSIX's")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "its own"  # as macOS has one in "Application Support"
    folder.mkdir(mode=0o700)
    return folder / "config.yaml"


def read(file: Path, text: str) -> UserConfig:
    file.write_text(text)
    file.chmod(0o600)
    return read_config({"PROVISION_CONFIG": str(file)})


def test_the_null_device_is_no_configuration() -> None:
    assert read_config({"PROVISION_CONFIG": os.devnull}) == UserConfig(file=Path(os.devnull))


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = config_file({})
    assert usual.parts[-2:] == ("provision", "config.yaml")
    assert tmp_path in usual.parents
    assert config_file({"PROVISION_CONFIG": "/x/y.yaml"}) == Path("/x/y.yaml")


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_one_that_is_empty_says_nothing(file: Path, text: str) -> None:
    assert read(file, text) == UserConfig(file=file)


def test_all_of_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    found = read(
        file,
        "color: never\nforks: 8\ncache: ~/cache\nsecrets:\n"
        "  command: [pass, show, '~/x', 'a/{name}', '--in={folder}/f']\n"
        "  timeout: 2.5\n  folders: [~/fleets, /srv]\n",
    )
    assert (found.color, found.forks, found.cache) == ("never", 8, Path("/home/me/cache"))
    secrets = found.secrets
    assert secrets is not None
    assert secrets.command == ("pass", "show", "/home/me/x", "a/{name}", "--in={folder}/f")
    assert (secrets.timeout, secrets.one_by_one) == (2.5, True)
    assert secrets.folders == (Path("/home/me/fleets"), Path("/srv"))
    assert secrets.source == file


MISTAKES = [
    ("colour: never\n", "1:1: colour: unknown key"),
    ("color: red\n", "1:8: color:"),
    ("forks: -1\n", "1:8: forks:"),
    ("forks: many\n", "1:8: forks:"),
    ("cache: here\n", "1:8: cache: name a folder from / or ~ on"),
    ("secrets: {}\n", "1:10: secrets:"),
    ("secrets: {command: pass}\n", "1:20: secrets.command:"),
    ("secrets: {command: []}\n", "1:20: secrets.command:"),
    ("secrets: {command: [x], timeout: 0}\n", "1:34: secrets.timeout:"),
    ("secrets: {command: [x], folders: [a]}\n", "1:35: secrets.folders[0]: name a folder"),
    ("secrets: {command: [bin/x]}\n", "1:21: secrets.command[0]: name a program that is in PATH"),
    ("secrets: {command: ['{name}']}\n", "1:21: secrets.command[0]: the program itself"),
    ("secrets: {command: ['{folder}/x']}\n", "1:21: secrets.command[0]: the program itself"),
    ("secrets: {command: [sh, -c, 'cat {folder}/x']}\n", "1:29: secrets.command[2]: {folder}"),
    ("secrets: {command: [sh, -c, '{folder};x']}\n", "1:29: secrets.command[2]: {folder}"),
    ("secrets: {command: [x, !secret y]}\n", "1:24: secrets.command[1]:"),
    ("devices: {}\n", "1:1: devices: unknown key"),
    ("a: 1\na: 2\n", "2:1: a: duplicate key"),
    ("- a\n", "1:1: expected `key: value` lines"),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES)
def test_a_mistake_is_located(file: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(file, text)
    places = [str(one).removeprefix(f"{file}:") for one in caught.value.problems]
    assert any(place.startswith(expected) for place in places), places
    assert "the configuration has" in caught.value.message


@posix
@pytest.mark.parametrize(("what", "mode"), [("file", 0o620), ("file", 0o602), ("folder", 0o770)])
def test_one_that_others_may_write_is_refused(file: Path, what: str, mode: int) -> None:
    file.write_text("color: never\n")
    file.chmod(0o600)
    place = file if what == "file" else file.parent
    place.chmod(mode)
    with pytest.raises(UsageError, match="can be written by others") as caught:
        read_config({"PROVISION_CONFIG": str(file)})
    assert f"`chmod go-w '{place}'`" in caught.value.hint


@posix
def test_a_link_into_a_folder_that_others_may_write_is_refused(file: Path) -> None:
    elsewhere = file.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.yaml").write_text("color: never\n")
    (elsewhere / "config.yaml").chmod(0o600)
    file.symlink_to(elsewhere / "config.yaml")
    assert read_config({"PROVISION_CONFIG": str(file)}).color == "never"
    elsewhere.chmod(0o777)
    with pytest.raises(UsageError, match="elsewhere can be written by others"):
        read_config({"PROVISION_CONFIG": str(file)})


@posix
def test_a_pipe_is_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(UsageError, match="is no regular file"):
        read_config({"PROVISION_CONFIG": str(file)})


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_one_of_another_user_is_refused(file: Path) -> None:
    file.write_text("color: never\n")
    os.chown(file, 12345, -1)
    with pytest.raises(UsageError, match="belongs to another user"):
        read_config({"PROVISION_CONFIG": str(file)})


def test_a_folder_is_no_configuration(file: Path) -> None:
    file.mkdir()
    with pytest.raises(UsageError):
        read_config({"PROVISION_CONFIG": str(file)})


ORDER = [
    ({}, {}, ("auto", "0")),
    ({}, {"color": "always", "forks": 4}, ("always", "4")),
    ({"NO_COLOR": "1", "PROVISION_FORKS": "2"}, {"color": "always", "forks": 4}, ("never", "2")),
    ({"FORCE_COLOR": "0"}, {"color": "always"}, ("auto", "0")),
    ({"FORCE_COLOR": "1"}, {"color": "never"}, ("always", "0")),
    ({"NO_COLOR": "", "PROVISION_FORKS": ""}, {"color": "never", "forks": 4}, ("never", "4")),
]


@pytest.mark.parametrize(("environment", "said", "expected"), ORDER)
def test_the_environment_goes_before_it(
    environment: dict[str, str], said: dict[str, object], expected: tuple[str, str]
) -> None:
    config = UserConfig(file=Path("/c.yaml"), **said)  # type: ignore[arg-type]
    shown = {one.name: one for one in settings(config, environment)}
    assert (shown["color"].value, shown["forks"].value) == expected
    filled = dict(environment)
    into_environment(config, filled)
    again = {one.name: one.value for one in settings(UserConfig(file=config.file), filled)}
    assert (again["color"], again["forks"]) == expected, "as commands see it"
