"""One version, wherever it is written."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from provision._version import __version__

ROOT = Path(__file__).parents[2]
RELEASE = re.compile(rf"^## \[{re.escape(__version__)}\] - (\d{{4}}-\d\d-\d\d)$", re.MULTILINE)


def test_files_of_the_release_say_the_same_version_and_day() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    galaxy = yaml.safe_load((ROOT / "ansible" / "galaxy.yml").read_text("utf-8"))
    assert {citation["version"], galaxy["version"]} == {__version__}
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert RELEASE.findall(changes) == [citation["date-released"]]
    versions = re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)
    assert versions[:2] == ["Unreleased", __version__]


def test_pages_name_that_version() -> None:
    """In what a reader copies: hooks, the action, the collection."""
    named = set()
    for page in (*ROOT.glob("docs/*.md"), *ROOT.glob("examples/ci/**/*.y*ml")):
        text = page.read_text("utf-8")
        named |= set(re.findall(r"rev: v([\d.]+)\n|OWNER/provision@v([\d.]+)\n", text))
        named |= {(found, "") for found in re.findall(r"provision-boards-([\d.]+)\.tar", text)}
    assert {one or other for one, other in named} == {__version__}
