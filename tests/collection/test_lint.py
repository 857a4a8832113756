"""The collection as Ansible's own tools see it: its documentation, its linter, its syntax."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent

pytestmark = pytest.mark.skipif(
    not (TOOLS / "ansible-lint").exists(), reason="needs ansible-core and ansible-lint"
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The collection where Ansible looks for it."""
    folder = tmp_path_factory.mktemp("ansible")
    place = folder / "collections/ansible_collections/provision/boards"
    shutil.copytree(ROOT / "ansible", place)
    return {
        "PATH": f"{TOOLS}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_NOCOLOR": "1",
        "NO_COLOR": "1",
        "PLACE": str(place),
    }


def run(environment: dict[str, str], *words: str) -> str:
    ended = subprocess.run(
        words,
        cwd=environment["PLACE"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_ansible_lint_finds_nothing(environment: dict[str, str]) -> None:
    run(environment, "ansible-lint", "--offline", "--strict")


@pytest.mark.parametrize("module", ["apply", "backup", "check", "facts"])
def test_each_option_of_a_module_is_documented(environment: dict[str, str], module: str) -> None:
    name = f"provision.boards.{module}"
    told = json.loads(run(environment, "ansible-doc", "-j", name))[name]
    options = told["doc"]["options"]
    assert all(option["description"] for option in options.values())
    code = f"""
import json, sys
sys.path.insert(0, {environment["ANSIBLE_COLLECTIONS_PATH"]!r})
from ansible_collections.provision.boards.plugins.module_utils import command
from ansible_collections.provision.boards.plugins.modules import {module} as module
found = {{}}
class Asked(Exception): pass
def given(argument_spec, **more):
    found.update(argument_spec)
    raise Asked
command.AnsibleModule = given
try:
    module.main()
except Asked:
    print(json.dumps(found))
"""
    spec = json.loads(run(environment, sys.executable, "-c", code))
    asked = {key: value for key, value in spec.items() if not key.startswith("_")}
    assert asked.keys() == options.keys()
    for key, value in asked.items():
        documented = options[key]
        assert value.get("type", "str") == documented.get("type", "str"), key
        assert value.get("default") == documented.get("default"), key
    assert told["examples"] and told["return"]


def test_the_inventory_is_documented(environment: dict[str, str]) -> None:
    name = "provision.boards.fleet"
    told = json.loads(run(environment, "ansible-doc", "-t", "inventory", "-j", name))[name]
    assert {"plugin", "manifest", "group", "group_prefix", "secrets"} <= told["doc"][
        "options"
    ].keys()


@pytest.mark.parametrize("playbook", ["apply", "station"])
def test_the_playbooks_are_understood(environment: dict[str, str], playbook: str) -> None:
    words = ("-i", "room-1,", f"playbooks/{playbook}.yml", "--syntax-check")
    run(environment, "ansible-playbook", *words, "-e", "provision_hosts=all")
