"""`--help`, `provision help`, `provision explain`, and the commands that texts tell to type."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from provision import errors
from provision.cli import GROUPS, commands, main
from provision.cli.explain import explanations, reasons
from provision.cli.other_words import _COMMANDS, _OPTIONS
from provision.cli.rehearse import FINDINGS
from provision.errors import ProvisionError
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]
ROOM = click.Context(main, info_name="provision")


def test_help_lists_every_command_once_below_a_heading(cli: Cli) -> None:
    named = [name for names in GROUPS.values() for name in names.split()]
    assert len(set(named)) == len(named)
    assert set(commands()) <= set(named)
    listed = re.findall(r"^  ([a-z]+) {2,}[A-Z]", cli("--help").out, re.MULTILINE)
    assert sorted(listed) == sorted(commands())


def test_help_of_a_command_is_the_commands_own(cli: Cli) -> None:
    assert cli("help", "apply").out == cli("apply", "--help").out
    assert cli("help").out == cli("--help").out
    ended = cli("help", "aply")
    assert (ended.code, "did you mean 'apply'?" in ended.err) == (2, True)


def test_every_errors_code_is_explained(cli: Cli) -> None:
    codes = {
        each.code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, ProvisionError)
    }
    assert set(explanations()) == codes
    listed = re.findall(r"^  ([a-z-]+) ", cli("explain").out, re.MULTILINE)
    assert listed == [*explanations(), *reasons()]
    for code, text in explanations().items():
        error = next(
            each
            for each in vars(errors).values()
            if isinstance(each, type) and issubclass(each, ProvisionError) and each.code == code
        )
        assert f"exit code {error.exit_code}" in text.partition("\n\n")[0].replace("\n", " ") or (
            code == "internal"
        )
        assert code == "internal" or ("\n\nWhy: " in text and "\n\nWhat to do: " in text)
        assert cli("explain", f"{code}:").out.strip() == text
    ended = cli("explain", "port-bsy")
    assert (ended.code, "did you mean 'port-busy'?" in ended.err) == (2, True)


def kinds_of_refusals() -> set[str]:
    """Every `kind` that a `Refusal` is made with, read from the sources."""
    found = set()
    for path in (ROOT / "provision").rglob("*.py"):
        text = path.read_text("utf-8")
        if "Refusal(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refusal":
                (kind,) = [each.value for each in node.keywords if each.arg == "kind"]
                assert isinstance(kind, ast.Constant), (path, node.lineno)
                found.add(kind.value)
    return found


def test_every_refusal_and_finding_is_explained(cli: Cli) -> None:
    findings = set(FINDINGS) - set(explanations())
    kinds = kinds_of_refusals()
    assert len(kinds) > 25
    assert set(reasons()) == kinds | findings
    assert not set(reasons()) & set(explanations())
    for code, text in reasons().items():
        assert re.search(r"\n\nWhy: .+\n\nWhat to do: ", text, re.DOTALL), code
        assert cli("explain", code).out.strip() == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["flash"], "there is no command 'flash'; did you mean 'apply'?"),
        (["Monitor", "-f"], "there is no command 'Monitor'; did you mean 'logs'?"),
        (["apply", "--dry-run"], "there is no option '--dry-run'; did you mean '--check'?"),
        (["ls", "--dry-run"], "No such option"),
    ],
)
def test_words_of_other_tools_lead_to_ours(cli: Cli, words: list[str], said: str) -> None:
    ended = cli(*words)
    assert ended.code == 2
    assert said in ended.err


def test_other_tools_words_are_none_of_ours_and_lead_to_what_is_there() -> None:
    assert not set(_COMMANDS) & set(commands())
    assert set(_COMMANDS.values()) <= set(commands())
    options = {opt for name in commands() for opt in options_of([name])}
    assert set(_OPTIONS.values()) <= options
    assert not set(_OPTIONS) & options


def test_the_environment_names_the_manifest(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other.yaml"
    other.write_text("devices: {far: {board: esp32, port: /dev/nothing}}\n", encoding="utf-8")
    (tmp_path / "fleet.yaml").write_text("devices: {near: {board: esp32}}\n", encoding="utf-8")
    monkeypatch.setenv("PROVISION_MANIFEST", str(other))
    assert "far" in cli("show").out
    assert "near" in cli("show", "fleet.yaml").out
    assert "far" in cli("ls", "nobody:/").err  # the devices that there are
    monkeypatch.setenv("PROVISION_MANIFEST", str(tmp_path / "gone.yaml"))
    for words in (["show"], ["ls", "far:/"], ["discover"]):
        ended = cli(*words)
        assert ended.code == 2
        assert "gone.yaml, which the environment variable PROVISION_MANIFEST names" in ended.err
    monkeypatch.setenv("PROVISION_MANIFEST", "")
    assert "near" in cli("show").out


def options_of(words: list[str]) -> set[str]:
    """The options of a command, by what its line begins with; AssertionError for one not there."""
    command: click.Command = main
    taken: set[str] = {"-h", "--help", "--debug"}
    for word in words:
        if not isinstance(command, click.Group) or word.startswith("-"):
            break
        found = command.get_command(ROOM, word)
        assert found is not None, words
        command = found
    for parameter in command.params:
        taken |= {*parameter.opts, *parameter.secondary_opts}
    return taken


def told_commands() -> Iterator[tuple[str, str]]:
    """Each `provision …` in backquotes in a text of the package or a guide, with its file."""
    texts = [*(ROOT / "provision").rglob("*.py"), ROOT / "provision/cli/errors.md"]
    for path in [*texts, ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = re.sub(r'"\n\s+f?"', "", path.read_text(encoding="utf-8"))
        for line in re.findall(r"`provision ([a-z][^`\n{}…]*)`", text):
            yield str(path.relative_to(ROOT)), line


def test_every_command_that_a_text_tells_to_type_is_there() -> None:
    seen, wrong = 0, []
    for file, line in told_commands():
        words = shlex.split(line.replace("[", " ").replace("]", " ").replace("|", " "))
        try:
            known = options_of(words)
        except AssertionError:
            wrong.append((file, line))
            continue
        named = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        seen += 1
        if not named <= known | {"--debug"}:
            wrong.append((file, line))
    assert seen > 100
    assert wrong == []
