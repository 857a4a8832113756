"""The man pages: one for each command, with all of its options, and none that groff stumbles over.

That they are of these commands' `--help` is compared with docs/reference/.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from provision.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "man").iterdir())


def contexts(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            yield from contexts(click.Context(command, info_name=name, parent=context))


def test_each_command_has_its_page_with_each_option() -> None:
    seen = set()
    root = click.Context(main, info_name="provision", **main.context_settings)
    for context in contexts(root):
        page = ROOT / "man" / f"{context.command_path.replace(' ', '-')}.1"
        seen.add(page)
        text = page.read_text("utf-8").replace("\\-", "-")
        for parameter in context.command.get_params(context):
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert all(re.search(rf"\\fB.*{option}\b", text) for option in parameter.opts), page
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"):
            assert f"\n.SH {section}\n" in text, page
    assert len(seen) > 50
    assert set(PAGES) == seen


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_groff_has_nothing_to_say_about_them() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", *PAGES], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    plain = re.sub(r"\x1b\[[\d;]*m", "", done.stdout).replace("\u2212", "-")
    plain = " ".join(plain.split())
    assert "provision-apply - make every board match the manifest" in plain
    assert "port-busy: …" in plain
