"""`provision config`: what holds, from where, and that commands go by it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.cli.conftest import Cli


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PROVISION_CACHE_DIR")
    monkeypatch.setenv("PROVISION_FORKS", "")  # so that what commands put there goes with the test
    path = Path(os.environ["PROVISION_CONFIG"])
    path.write_text("color: always\nforks: 3\ncache: /srv/cache\n")
    path.chmod(0o600)
    return path


def test_what_holds_and_from_where(
    configured: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_MANIFEST", "room.yaml")
    assert cli("config").out.splitlines() == [
        f"color             always  ({configured})",
        f"forks             3  ({configured})",
        f"cache             /srv/cache  ({configured})",
        "manifest          room.yaml  (PROVISION_MANIFEST)",
        "secrets.command   none  (built in)",
    ]
    found = cli("config", "--json").json
    assert found["file"] == str(configured)
    assert found["settings"]["forks"] == {"value": "3", "source": str(configured)}


def test_without_a_file(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PROVISION_CONFIG")
    for variable in ("XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    ended = cli("config")
    assert "forks             0  (built in)" in ended.out
    file = cli("config", "path").out.strip()
    assert ended.err == f"there is no {file} yet\n"
    assert cli("boards").code == 0


def test_one_that_is_named_and_is_not_there_is_a_mistake(configured: Path, cli: Cli) -> None:
    """Without it a command would do what it says otherwise."""
    configured.unlink()
    for words in (("boards",), ("config",)):
        ended = cli(*words)
        assert ended.code == 2
        assert f"there is no {configured}, which the environment variable PROVISION_" in ended.err
        assert "hint: `unset PROVISION_CONFIG`, or set it to the whole path of" in ended.err
    assert cli("config", "path").out == f"{configured}\n"


def test_a_mistake_is_located_and_stops_commands_but_help(configured: Path, cli: Cli) -> None:
    configured.write_text("color: red\n")
    for words in (("validate",), ("config",)):
        ended = cli(*words)
        assert ended.code == 3
        assert f"{configured}:1:8: color:" in ended.err
        assert "the configuration has 1 problem" in ended.err
    assert cli("explain", "config").code == 0


def test_commands_go_by_it(
    configured: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    configured.write_text(f"color: always\ncache: {cache}\n")
    monkeypatch.setenv("FORCE_COLOR", "")
    monkeypatch.setenv("PROVISION_CACHE_DIR", "")
    assert str(cache) in cli("cache", "list").out
    assert "\x1b[" in cli("boards").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in cli("boards").out


def test_its_schema_is_for_editors(cli: Cli) -> None:
    schema = cli("schema", "config").json
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    page = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text("utf-8")
    shown = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert len(shown) == 3
    assert not [error for one in shown for error in judge.iter_errors(one)]
    assert cli("schema").json["title"] == "provision manifest"
