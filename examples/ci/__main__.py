"""`python3 examples/ci`: what continuous integration does with a fleet's repository, with nothing
but Python, git and bash.

`repository` is such a repository, as its user has it: manifest, app, hooks for pre-commit, a workflow
for GitHub. Here it is cloned into a temporary folder, changed twice, and both times the commands of
its hooks and of the workflow's action are run as they would be there, on virtual twins of the boards:
the first change is good, the second has the app write into a file that the manifest manages, so that
every apply would put it back. Nothing is installed, and no comment is written.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent.parent)

from examples.environment import enter  # noqa: E402 - found through the line above

enter("sim")

import os  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
from tempfile import TemporaryDirectory  # noqa: E402

import yaml  # noqa: E402

from examples.virtual import firmware_image, run  # noqa: E402

ROOT = HERE.parent.parent
GOOD = ("time.sleep(config", "time.sleep(0.5 * config")
BAD = (
    'print("ready',
    """config["boots"] = config.get("boots", 0) + 1
with open("/config.json", "w") as file:
    json.dump(config, file)

print("ready""",
)
SHOWN = ("provision validate", "provision lock --check", "provision rehearse")


def git(repository: Path, *words: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *identity, *words], cwd=repository, check=True, capture_output=True)


def shown(repository: Path, *command: str) -> int:
    """A command as a user types it, and its exit code."""
    print(f"\n$ {' '.join(command)}", flush=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=repository).returncode


def change(repository: Path, old: str, new: str, why: str) -> None:
    """A commit, as a pull request has one."""
    app = repository / "app" / "main.py"
    text = app.read_text(encoding="utf-8")
    assert old in text
    app.write_text(text.replace(old, new), encoding="utf-8")
    git(repository, "commit", "--all", "--message", why)
    print(f"\n=== {why}", flush=True)


def hooks(repository: Path) -> bool:
    """The hooks of `.pre-commit-config.yaml`, by their commands; whether all passed."""
    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    entries = {hook["id"]: hook["entry"].split() for hook in offered}
    config = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    codes = []
    for hook in config["repos"][0]["hooks"]:
        codes.append(shown(repository, *entries[hook["id"]], *hook.get("args", ())))
    return not any(codes)


def workflow(repository: Path, runner: Path) -> bool:
    """The steps of the action, as a runner of GitHub's would run them with what the workflow gives
    it; whether all passed."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    text = (repository / ".github/workflows/fleet.yml").read_text(encoding="utf-8")
    (used,) = [
        step
        for step in yaml.safe_load(text)["jobs"]["provision"]["steps"]
        if step["uses"].startswith("OWNER/provision@")
    ]
    given = {name: str(one.get("default", "")) for name, one in action["inputs"].items()}
    given.update(used.get("with", {}))
    codes = []
    for step in action["runs"]["steps"]:
        if step.get("name") not in SHOWN:
            continue
        filled = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)
            for name, value in step["env"].items()
        }
        print(f"\n[{step['name']}]", flush=True)
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        environment = {"GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(runner), "PATH": path}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=repository,
            env={**os.environ, **environment, **filled},
        )
        codes.append(done.returncode)
    return not any(codes)


def main() -> int:
    """0 where the good change passes, and the bad one does not."""
    with TemporaryDirectory() as folder:
        repository, runner = Path(folder) / "windows", Path(folder) / "runner"
        runner.mkdir()
        shutil.copytree(HERE / "repository", repository)
        firmware_image(repository / "firmware" / "esp32-1.24.1.bin", "esp32", "1.24.1")
        shown(repository, "provision", "lock", "--no-secrets")  # fleet.lock is committed too
        git(repository, "init", "--initial-branch", "main")
        git(repository, "add", "--all")
        git(repository, "commit", "--message", "Two windows")

        change(repository, *GOOD, "Measure twice as often")
        good = hooks(repository) and workflow(repository, runner)
        change(repository, *BAD, "Count how often it starts")
        bad = hooks(repository) and workflow(repository, runner)
    print(f"\nThe first change {'passes' if good else 'FAILS'}, the second {'PASSES' if bad else 'fails'}.")
    return 0 if good and not bad else 1


if __name__ == "__main__":
    run(main)
