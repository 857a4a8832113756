"""What a mistake is told as: input, exit code, message and the next command, one row a case.

Each was met by somebody who typed it, and was told something else, or nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench_of_boards import Bench, bench
from tests.cli.conftest import Cli
from tests.fleets import write_tree

__all__ = ["bench"]

TWO = "devices: {kitchen: {board: esp32}, hall: {board: esp32}}\n"


@dataclass(frozen=True, kw_only=True)
class Telling:
    """`said` are the lines on stderr, or parts of them, in their order; the rest is not looked
    at. `unsaid` is what must not be there."""

    files: Mapping[str, str | bytes] = field(default_factory=lambda: {"fleet.yaml": TWO})
    words: Sequence[str]
    code: int
    said: Sequence[str] = ()
    unsaid: Sequence[str] = ()


COMMAND_LINE = {
    "an empty --limit is no whole fleet": Telling(
        words=("apply", "--yes", "-l", ""),
        code=2,
        said=(
            "error: --limit is empty and selects no device",
            "hint: name devices, as in `--limit kitchen`, or leave it out for all of them",
        ),
    ),
    "an exclusion beside an empty pattern": Telling(
        words=("plan", "-l", ",!hall"),
        code=2,
        said=(
            "error: --limit ,!hall leaves no device",
            "hint: an empty pattern selects nothing; all but these are `--limit '*,!hall'`",
        ),
    ),
    "an empty --limit before another exclusion": Telling(
        words=("plan", "-l", "", "-l", "!hall"), code=2, said=("leaves no device",)
    ),
    "a device in place of the manifest": Telling(
        words=("apply", "kitchen"),
        code=2,
        said=(
            "error: there is no manifest kitchen, but a device of fleet.yaml is called that",
            "hint: write `provision apply --limit kitchen`",
        ),
    ),
    "devices in place of the manifest": Telling(
        words=("check", "kitchen", "hall"),
        code=2,
        said=("hint: write `provision check --limit kitchen,hall`",),
    ),
    "a glob in place of the manifest": Telling(
        words=("plan", "kit*"), code=2, said=("hint: write `provision plan --limit kit*`",)
    ),
    "neither a manifest nor a device": Telling(
        words=("facts", "cellar"),
        code=2,
        said=(
            "error: there is no cellar",
            "hint: name the manifest, as in `provision facts path/to/fleet.yaml`, or change to "
            "its folder",
        ),
        unsaid=("--limit",),
    ),
    "a device for a command without --limit": Telling(
        words=("lock", "kitchen"), code=2, said=("error: there is no kitchen",), unsaid=("--limit",)
    ),
    "two manifests": Telling(
        files={"fleet.yaml": TWO, "other.yaml": TWO},
        words=("plan", "fleet.yaml", "other.yaml"),
        code=2,
        said=(
            "error: one manifest at a time, not fleet.yaml, other.yaml",
            "hint: write `provision plan fleet.yaml`",
        ),
    ),
    "fleet.yml beside no fleet.yaml": Telling(
        files={"fleet.yml": TWO},
        words=("plan",),
        code=2,
        said=(
            "error: there is no fleet.yaml; did you mean 'fleet.yml'?",
            "hint: write `provision plan fleet.yml`",
        ),
    ),
    "a folder with a fleet.yml": Telling(
        files={"lab/fleet.yml": TWO},
        words=("show", "lab"),
        code=2,
        said=(
            "error: there is no lab/fleet.yaml; did you mean 'lab/fleet.yml'?",
            "hint: write `provision show lab/fleet.yml`",
        ),
    ),
    "the only manifest has another name": Telling(
        files={"school.yaml": TWO, "secrets.yaml": "a: b\n"},
        words=("validate",),
        code=2,
        said=("hint: write `provision validate school.yaml`",),
    ),
    "a mistyped manifest": Telling(
        files={"fleet.yaml": TWO, "school.yaml": TWO},
        words=("lock", "shcool.yaml"),
        code=2,
        said=("hint: write `provision lock school.yaml`",),
    ),
    "nothing that could be a manifest": Telling(
        files={}, words=("plan",), code=2, said=("error: there is no fleet.yaml",), unsaid=("mean",)
    ),
    "a new board for a device that is not there": Telling(
        words=("apply", "--accept-new-board", "kitchn"),
        code=2,
        said=("error: no device matches 'kitchn'; did you mean 'kitchen'?",),
    ),
    "a new board for a device that is left out": Telling(
        words=("apply", "--limit", "kitchen", "--accept-new-board", "hall"),
        code=2,
        said=(
            "error: --accept-new-board: hall is not among the devices of this run",
            "hint: `--limit` leaves it out; write `--limit hall --accept-new-board hall`",
        ),
    ),
    "a new board for one that is there and one that is left out": Telling(
        words=("apply", "--limit", "kitchen", "--accept-new-board", "kitchen,hall"),
        code=2,
        said=("hall is not among the devices of this run",),
    ),
    "a new board for nobody": Telling(
        words=("apply", "--accept-new-board", ""),
        code=2,
        said=("error: --accept-new-board is empty and selects no device",),
    ),
    "new boards are taken by globs and lists": Telling(
        words=("apply", "--limit", "kitchen", "--accept-new-board", "kit*,k?tchen"),
        code=5,  # it has no port
        said=("kitchen: unreachable",),
    ),
}  # fmt: skip


def lines_in_order(text: str, parts: Sequence[str]) -> bool:
    """Whether each part is in a line of the text, in their order."""
    lines = iter(text.splitlines())
    return all(any(part in line for line in lines) for part in parts)


def tell(cli: Cli, folder: Path, case: Telling) -> None:
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    ended = cli(*case.words)
    assert ended.code == case.code, ended.everything
    assert lines_in_order(ended.err, case.said), ended.err
    assert [part for part in case.unsaid if part in ended.everything] == []
    assert "internal" not in ended.err


@pytest.mark.parametrize("case", COMMAND_LINE.values(), ids=COMMAND_LINE)
def test_the_command_line(cli: Cli, tmp_path: Path, case: Telling) -> None:
    tell(cli, tmp_path, case)


# -- to programs ---------------------------------------------------------------------------------

INVALID = "devices:\n  k: {board: esp23}\n"
PROBLEM = {
    "file": "fleet.yaml",
    "line": 2,
    "column": 14,
    "path": "devices.k.board",
    "message": "unknown board 'esp23'; did you mean 'esp32'?",
}


@pytest.mark.parametrize("command", ["plan", "apply", "check"])
def test_an_invalid_manifest_is_told_as_json_lines_and_junit(
    cli: Cli, tmp_path: Path, command: str
) -> None:
    write_tree(tmp_path, {"fleet.yaml": INVALID})
    ended = cli(command, "--json", "--junit", "report.xml")
    assert ended.code == 3
    (line,) = ended.out.splitlines()
    event = json.loads(line)
    assert (event["kind"], event["code"], event["exit_code"]) == ("run-failed", "manifest", 3)
    assert event["problems"] == [PROBLEM]
    assert "fleet.yaml:2:14: devices.k.board" in ended.err
    (suite,) = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    (error,) = suite.iter("error")
    assert error.get("type") == "manifest"
    assert f"fleet.yaml:2:14: devices.k.board: {PROBLEM['message']}" in str(error.text)


@pytest.mark.parametrize(
    ("files", "words", "code", "problems"),
    [
        ({"fleet.yaml": INVALID}, ("facts",), "manifest", [PROBLEM]),
        ({"fleet.yaml": INVALID}, ("lock",), "manifest", [PROBLEM]),
        ({"fleet.yaml": INVALID}, ("discover", "fleet.yaml"), "manifest", [PROBLEM]),
        ({"fleet.yaml": INVALID}, ("image", "build", "k", "-o", "x.bin"), "manifest", [PROBLEM]),
        ({"fleet.yaml": TWO}, ("validate", "-l", "nobody"), "usage", None),
        ({"fleet.yaml": TWO}, ("image", "build", "kitchen", "-o", "x.bin"), "usage", None),
        ({"fw.bin": "no image"}, ("firmware", "show", "fw.bin"), "image", None),
    ],
)
def test_where_a_document_was_asked_for_an_error_is_one(
    cli: Cli, tmp_path: Path, files: dict[str, str], words: tuple[str, ...], code: str,
    problems: object,
) -> None:  # fmt: skip
    write_tree(tmp_path, files)
    ended = cli(*words, "--json")
    assert ended.code in (2, 3)
    assert (ended.json["code"], ended.json.get("problems")) == (code, problems)
    assert ended.json["error"] in ended.err  # people are told as well
    assert ended.json["hint"] in ended.err


def test_a_lock_that_is_not_up_to_date_is_one_document(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": "devices: {k: {board: esp32, firmware: 1.24.1}}"})
    ended = cli("lock", "--check", "--json")
    assert ended.code == 3
    assert ended.json["changes"]
    assert "is not up to date" in ended.err


def test_what_fails_before_any_board_is_told_as_an_event_and_a_case(
    cli: Cli, tmp_path: Path
) -> None:
    write_tree(tmp_path, {"fleet.yaml": "devices: {k: {board: esp32, firmware: 1.24.1}}"})
    ended = cli("plan", "--json", "--junit", "report.xml")
    assert ended.code == 3
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [event["kind"] for event in events] == ["run-started", "run-failed"]
    assert "has no entry in fleet.lock" in events[1]["error"]
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert [case.get("name") for case in suite] == ["the run", "k"]


# -- outputs that do not take it -----------------------------------------------------------------


def run(
    words: Sequence[str], folder: Path, *, out: str = os.devnull, **environment: str
) -> subprocess.CompletedProcess[str]:
    with Path(out).open("w", encoding="utf-8") as stdout:
        return subprocess.run(
            [sys.executable, "-m", "provision", *words],
            cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")


@full
@pytest.mark.parametrize(
    "words", [("validate",), ("show", "--json"), ("boards",), ("--help",), ("--version",)]
)
def test_output_that_is_lost_is_no_success(tmp_path: Path, words: tuple[str, ...]) -> None:
    write_tree(tmp_path, {"fleet.yaml": TWO})
    ended = run(words, tmp_path, out="/dev/full")
    assert ended.returncode == 2
    assert "error: the output cannot be written: No space left on device" in ended.stderr
    assert "internal" not in ended.stderr


REACHED = "devices: {k: {board: esp32, port: 'sim://%s?chip=esp32'}}\n"


@full
@pytest.mark.parametrize("words", [("facts",), ("plan",), ("plan", "--json")])
def test_a_run_whose_result_is_lost_is_no_success(
    bench: Bench, tmp_path: Path, words: tuple[str, ...]
) -> None:
    write_tree(tmp_path, {"fleet.yaml": REACHED % "lost"})
    ended = run(words, tmp_path, out="/dev/full")
    assert ended.returncode == 2
    assert "No space left on device" in ended.stderr


@full
def test_a_log_that_is_lost_is_no_success(bench: Bench, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": REACHED % "logged"})
    ended = run(("plan", "--log-file", "/dev/full"), tmp_path)
    assert ended.returncode == 2
    assert "cannot write the log file /dev/full: No space left on device" in ended.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_name_that_the_terminal_has_no_characters_for(tmp_path: Path, encoding: str) -> None:
    write_tree(tmp_path, {"fleet.yaml": f"fleet: gro\u00df \U0001f600\n{TWO}"})
    out = tmp_path / "out"
    ended = run(("validate",), tmp_path, out=str(out), PYTHONIOENCODING=encoding)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert b"fleet 'gro" in out.read_bytes()


@pytest.mark.parametrize("module", ["click", "provision.cli.streams", "jinja2", "yaml"])
def test_ctrl_c_while_modules_load_is_no_traceback(tmp_path: Path, module: str) -> None:
    """As if it was pressed just then: the import of the module raises it."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text(
        "import sys\n"
        "class CtrlC:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, CtrlC())\n"
    )
    write_tree(
        tmp_path,
        {
            "t.j2": "{{ name }}",
            "fleet.yaml": "devices: {k: {board: esp32, files: [{src: t.j2, template: true}]}}",
        },
    )
    ended = run(("validate",), tmp_path, PYTHONPATH=str(tmp_path / "early"))
    assert (ended.returncode, ended.stderr.split()) == (130, ["interrupted"])
