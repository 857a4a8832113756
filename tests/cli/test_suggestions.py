"""What a message tells to type works as it is typed, whichever manifest the command line named."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from provision.cli import commands, main
from provision.cli.suggestions import about_the_manifest, remember
from tests.cli.conftest import Cli


def about(text: str, manifest: str | None) -> str:
    context = click.Context(main, info_name="provision")
    remember(context, manifest)
    return about_the_manifest(context)(text)


@pytest.mark.parametrize(
    ("text", "manifest", "becomes"),
    [
        ("run `provision lock` first", "b.yaml", "run `provision lock b.yaml` first"),
        ("`provision apply --yes`", "a b.yaml", "`provision apply 'a b.yaml' --yes`"),
        ("`provision rollback -l x`", "b.yaml", "`provision rollback b.yaml -l x`"),
        ("`provision cp x:/a .` saves it", "b.yaml", "`provision cp -m b.yaml x:/a .` saves it"),
        ("`provision plan` or `provision logs`", "sub/b.yaml",
         "`provision plan sub/b.yaml` or `provision logs -m sub/b.yaml`"),
        ("`provision plan b.yaml -v`", "b.yaml", "`provision plan b.yaml -v`"),
        ("`provision cache`, `provision boards NAME`", "b.yaml",
         "`provision cache`, `provision boards NAME`"),
        ("`provision nothing`, provision plan", "b.yaml", "`provision nothing`, provision plan"),
        ("`provision plan`", "fleet.yaml", "`provision plan`"),
        ("`provision plan`", "-", "`provision plan`"),
        ("`provision plan`", None, "`provision plan`"),
    ],
)  # fmt: skip
def test_a_command_names_the_manifest_as_it_takes_it(
    text: str, manifest: str | None, becomes: str
) -> None:
    assert about(text, manifest) == becomes
    assert about(becomes, manifest) == becomes


def test_every_command_about_a_manifest_is_known() -> None:
    context = click.Context(main)
    assert isinstance(main, click.Group)
    for name in commands():
        command = main.get_command(context, name)
        assert command is not None
        takes = any(each.name == "manifest" for each in command.params)
        named = about(f"`provision {name}`", "b.yaml") != f"`provision {name}`"
        assert named == takes or name in ("image", "vendor"), name  # whose first word is another


def test_an_error_names_it(cli: Cli, tmp_path: Path) -> None:
    text = "devices: {x: {board: esp32, firmware: 1.24.1, port: /dev/nothing}}\n"
    (tmp_path / "other.yaml").write_text(text, encoding="utf-8")
    ended = cli("plan", "other.yaml", "--json")
    assert "run `provision lock other.yaml` once" in ended.err
    failed = json.loads(ended.out.splitlines()[-1])
    assert failed["kind"] == "run-failed"
    assert "run `provision lock other.yaml` once" in failed["hint"]
