"""What the CI of others takes of this repository: pre-commit hooks, an action, a container recipe.
The steps of the action are run by bash, as a runner would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Cli
from tests.fleets import write_tree

ROOT = Path(__file__).parents[2]
WORKFLOW = "workflow.yml"
SCHEMAS = {
    "action.yml": "vendor.github-actions",
    WORKFLOW: "vendor.github-workflows",
    "examples/ci/repository/.github/workflows/fleet.yml": "vendor.github-workflows",
    ".github/ISSUE_TEMPLATE/board.yml": "vendor.github-issue-forms",
    ".github/ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
    ".github/ISSUE_TEMPLATE/fault.yml": "vendor.github-issue-forms",
    "CITATION.cff": "vendor.citation-file-format",
}
MANIFEST = """\
devices:
  kitchen:
    port: /dev/ttyUSB99
    board: esp32
    vars: {wifi: !secret wifi}
    files: [{src: config.j2, dest: /config, template: true}]
"""
FILES = {"fleet.yaml": MANIFEST, "config.j2": "{{ wifi }}\n"}
needs_bash = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="needs bash"
)


def in_docs(start: str) -> str:
    """The block of YAML in docs/ci.md that begins with this comment."""
    page = (ROOT / "docs" / "ci.md").read_text("utf-8")
    found = re.search(rf"```yaml\n(# {re.escape(start)}\n.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", SCHEMAS)
def test_it_is_what_github_takes(tmp_path: Path, name: str) -> None:
    file = ROOT / name
    if name == WORKFLOW:
        file = tmp_path / name
        file.write_text(in_docs(".github/workflows/fleet.yml"))
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[name], file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_gives_the_action_what_it_takes() -> None:
    workflow = yaml.safe_load(in_docs(".github/workflows/fleet.yml"))
    (step,) = [
        step
        for step in workflow["jobs"]["provision"]["steps"]
        if step["uses"].startswith("OWNER/provision@")
    ]
    assert set(step["with"]) <= set(action()["inputs"])


def test_hooks_are_commands(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {**FILES, "secrets.yaml": "wifi: x\n", "b.yaml": MANIFEST})
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    named = yaml.safe_load(in_docs(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == [hook["id"] for hook in named]
    for hook in hooks:
        program, *words = hook["entry"].split()
        assert program == "provision"
        assert hook["pass_filenames"] is False, "what is no manifest changes what one amounts to"
        assert cli(*words).code == 0
        assert cli(*words, "fleet.yaml", "b.yaml").code == 0
        assert cli(*words, "--no-secrets", "fleet.yaml").code == 0


def action() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    return made


def steps() -> Iterator[dict[str, Any]]:
    yield from (step for step in action()["runs"]["steps"] if "run" in step)


def test_no_step_has_what_others_write_in_its_script() -> None:
    assert all("${{" not in step["run"] for step in steps())


@dataclass(frozen=True)
class Runner:
    """A runner of GitHub's, as far as the steps see it."""

    folder: Path
    project: Path

    def step(self, name: str, **inputs: str) -> tuple[int, str]:
        """Run the step of this name; its exit code and its log."""
        (step,) = [step for step in steps() if step["name"] == name]
        known = {key: str(one.get("default", "")) for key, one in action()["inputs"].items()}
        values = {f"inputs.{key}": text for key, text in {**known, **inputs}.items()}
        values["github.event.pull_request.number"] = "17"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.project,
            env={
                **os.environ,
                "PATH": os.pathsep.join(
                    (str(self.folder), str(Path(sys.executable).parent), os.environ["PATH"])
                ),
                "RUNNER_TEMP": str(self.folder),
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
                "GITHUB_SERVER_URL": "https://github.invalid",
                "GITHUB_REPOSITORY": "me/fleet",
                "GITHUB_RUN_ID": "4",
                **filled(step.get("env", {}), values),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text("utf-8")


def filled(environment: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """With `${{ … }}` as GitHub fills it in."""
    return {
        name: re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda match: values[match[1]], text)
        for name, text in environment.items()
    }


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    project, folder = tmp_path / "project", tmp_path / "runner"
    write_tree(project, FILES)
    folder.mkdir()
    gh = folder / "gh"
    gh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/asked\n[ ! -e {folder}/denied ]\n')
    gh.chmod(0o755)
    return Runner(folder, project)


def test_no_module_of_the_checkout_is_imported_by_the_installation() -> None:
    """`python -m` looks in the current folder first, where a pull request may have a pip.py."""
    script = (ROOT / "tools" / "action.sh").read_text("utf-8")
    calls = re.findall(r"(\S+) -m (\w+)", script)
    assert calls == [("-I", "venv"), ("-I", "pip")]


@needs_bash
def test_the_steps_of_a_pull_request(runner: Runner) -> None:
    """From a fork: without secrets. A step that fails is told as the others are."""
    (runner.project / "bad.yaml").write_text("devices: {a: {boar: esp32}}\n")
    both = "fleet.yaml\n  bad.yaml \n\n"
    assert runner.step("provision validate", manifests=both)[0] == 3
    assert runner.step("provision lock --check")[0] == 0
    assert runner.step("provision plan", secrets="wifi: correct-horse")[0] == 5
    assert "### provision validate: failed, exit code 3" in runner.summary
    assert "### provision lock --check: passed" in runner.summary
    assert "### provision plan fleet.yaml: failed, exit code 5" in runner.summary
    code, log = runner.step("Comment")
    assert code == 0, log
    comment = (runner.folder / "provision-comment.md").read_text("utf-8")
    assert runner.summary in comment
    assert "(https://github.invalid/me/fleet/actions/runs/4)" in comment
    asked = (runner.folder / "asked").read_text().splitlines()
    assert asked[:5] == ["pr", "comment", "17", "--repo", "me/fleet"]
    (runner.folder / "denied").touch()
    code, log = runner.step("Comment")
    assert code == 0
    assert log.startswith("::warning::")


@needs_bash
def test_the_step_that_rehearses(runner: Runner) -> None:
    pytest.importorskip("micropython_unix")
    code, log = runner.step("provision rehearse", **{"rehearse-options": "--runs 1 --start blank"})
    assert code == 0, log
    assert "### provision rehearse fleet.yaml: passed" in runner.summary
    assert "passed: 1 device in 1 run" in runner.summary
    code, log = runner.step("provision rehearse", **{"rehearse-options": "--no-such-option"})
    assert code == 2


@needs_bash
def test_secrets_are_in_a_file_while_they_are_needed(runner: Runner) -> None:
    code, log = runner.step("provision validate", secrets="wifi: correct-horse\n")
    assert code == 0, log
    assert "not looked up" not in log
    code, log = runner.step("provision validate", secrets="other: correct-horse\n")
    assert code == 3
    left = [path for path in runner.folder.rglob("*") if path.is_file()]
    assert not [path for path in left if b"correct-horse" in path.read_bytes()]


@needs_bash
def test_what_a_manifest_is_called_is_no_order(runner: Runner) -> None:
    """Neither to the runner, nor to the shell, nor in the comment; nor is it an option."""
    names = ("::error::x.yaml", "~~~~~~~~~~.yaml", "$(touch sprung).yaml", "--version")
    for name in names:
        (runner.project / name).write_text("devices: [\n")
    code, log = runner.step("provision validate", manifests="\n".join(names))
    assert code == 3
    assert not (runner.project / "sprung").exists()
    lines = log.splitlines()
    (halt,) = [line for line in lines if line.startswith("::stop-commands::")]
    begin, end = lines.index(halt), lines.index(f"::{halt.removeprefix('::stop-commands::')}::")
    told = [place for place, line in enumerate(lines) if line.startswith("::error::x.yaml:")]
    assert told
    assert all(begin < place < end for place in told)
    assert "--version:2:1:" in log
    fences = [line for line in runner.summary.splitlines() if line.lstrip().startswith("~~~")]
    assert fences == ["~~~~~~~~text", "~~~~~~~~"]


def test_the_container() -> None:
    text = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    copied = [
        source
        for words in lines
        if words[0] == "COPY" and not words[1].startswith("--from=")
        for source in words[1:-1]
    ]
    assert copied
    assert all((ROOT / source).exists() for source in copied)
    last = lines[max(place for place, words in enumerate(lines) if words[0] == "FROM") :]
    assert ["USER", "provision"] in last, "nobody with rights"
    assert ["ENTRYPOINT", '["provision"]'] in last
