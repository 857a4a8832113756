"""Every command that a page shows is run, on virtual boards, and prints, in shape, what the page
says it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.sim.esp.firmware import build
from tests.docs.page_script import Command, NewFile, NotRun, PageScript, Setup
from tests.docs.shape import differs
from tests.docs.shell import Shell
from tests.docs.site import ROOT
from tests.fakes.indexes import serve_package, serve_releases
from tests.fakes.web import serving

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = {page.relative_to(ROOT).as_posix(): PageScript.of(page) for page in PAGES}
# Blocks of commands that cannot be run here, by page; each says why beside it.
NOT_RUN = {
    "docs/ansible.md": 3,
    "docs/ci.md": 1,
    "docs/coverage.md": 1,
    "docs/rehearse.md": 1,
    "README.md": 3,
    "docs/console.md": 1,
    "docs/first-manifest.md": 1,
    "docs/guides/ci-rig.md": 1,
    "docs/guides/esp8266.md": 4,
    "docs/guides/factory.md": 1,
    "docs/guides/offline.md": 1,
    "docs/platforms.md": 2,
    "docs/raspberry-pi.md": 3,
    "docs/station.md": 1,
    "docs/tutorial.md": 1,
}
RUN = [name for name, script in SCRIPTS.items() if script.commands]


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    """An index with the release and the package that pages name."""
    with serving() as site:
        for chip, board in ((ESP8266, "ESP8266_GENERIC"), (ESP32, "ESP32_GENERIC")):
            serve_releases(site, board, {f"{board}-20241129-v1.24.1.bin": build(chip, "1.24.1")})
        serve_package(site, "umqtt.simple", {"umqtt/simple.mpy": b"M\x06\x00\x1f"}, version="1.4.0")
        serve_package(site, "umqtt.simple", {"umqtt/simple.py": b"x = 1\n"}, kind="py")
        yield site.base


@pytest.fixture
def shell(tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    made = Shell(tmp_path, index)
    # Where the boards are that are ended by their names.
    monkeypatch.setenv("PROVISION_SIM_HOME", made.environment["PROVISION_SIM_HOME"])
    try:
        yield made
    finally:
        made.close()


def test_what_is_not_run_is_counted() -> None:
    left_out = {name: script.not_run for name, script in SCRIPTS.items() if script.not_run}
    assert {name: len(blocks) for name, blocks in left_out.items()} == NOT_RUN
    assert all(len(block.reason.split()) > 2 for blocks in left_out.values() for block in blocks)


@pytest.mark.parametrize("name", RUN)
def test_a_page_shows_what_its_commands_print(name: str, shell: Shell) -> None:
    wrong = []
    for step in SCRIPTS[name].steps:
        match step:
            case Setup():
                shell.setup(step.script)
            case NewFile():
                shell.write(step.name, step.text)
            case Command():
                said = shell.run(step)
                out, err = (shell.as_at_home(each) for each in (said.out, said.err))
                if (
                    differs(step.shown, out, err, excerpt=not step.text)
                    if step.shown
                    else said.code != 0
                ):
                    wrong.append(_told(name, step, out, err))
            case NotRun():
                pass
    assert not wrong, "\n\n".join(wrong)


def _told(name: str, step: Command, out: str, err: str) -> str:
    shown = "\n".join(step.shown)
    return (
        f"{name}:{step.line}: $ {step.text}\n--- shown\n{shown}\n--- stdout\n{out}--- stderr\n{err}"
    )
