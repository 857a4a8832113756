"""What belongs to a project never goes to a board: not with the folder it lies in, whatever the
manifest says; and naming it is an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.sim.esp.firmware import build
from tests.fleets import fleet, problems, write_tree

MANIFEST = """\
firmware: {own: {file: images/own.bin}, other: {file: images/raw}}
defaults: {board: esp32, firmware: own}
devices: {d: {port: /dev/ttyUSB0, files: [%s]}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    write_tree(
        made,
        {
            "main.py": "print(1)\n",
            "app/data.bin": "no image",
            "app/vendor/lib.py": "print(2)\n",  # beside no manifest
            "app/config.yaml": "a: 1\n",
            "app/secrets.yaml": "wifi: 'hunter2'\n",
            "secrets.yaml": "wifi: 'hunter2'\n",
            "mine.yaml": "wifi: 'hunter2'\n",
            "fleet.lock": "version: 1\n",
            "fleet.schema.json": "{}",
            "school.yaml": "devices: {}\n",
            "school.lock": "version: 1\n",
            "notes.yaml": "b: 1\n",
            "vendor/SHA256SUMS": "",
            "vendor/objects/ab/cd": "",
            ".git/config": "[core]\n",
            ".venv/bin/x.py": "",
            "tools/pyvenv.cfg": "",
            "tools/bin/x.py": "",
        },
    )
    image = build(ESP32, "1.24.1")
    (made / "images").mkdir()
    for name in ("own.bin", "raw", "old.bin"):
        (made / f"images/{name}").write_bytes(image)
    (made / "images/drive.uf2").write_bytes(b"UF2\n" + bytes(508))
    return made


WANTED = ["/app/config.yaml", "/app/data.bin", "/app/vendor/lib.py", "/main.py", "/notes.yaml"]


@pytest.mark.parametrize(
    "entry",
    [
        "{src: ., dest: /}",
        "{src: ./, dest: /}",
        "{src: app/.., dest: /}",
        "{src: ., dest: /, exclude: ['!*', '!secrets.yaml', '!.git/', '!vendor/', '!*.bin']}",
    ],
)
def test_the_folder_of_the_manifest(project: Path, entry: str) -> None:
    loaded = fleet(project, MANIFEST % entry, secrets=project / "mine.yaml")
    (state,) = loaded.states()
    assert sorted(state.files_by_dest) == WANTED


NAMED = {
    "secrets.yaml": "holds the secrets",
    "app/secrets.yaml": "holds the secrets",
    "mine.yaml": "holds the secrets",
    "fleet.yaml": "is a manifest",
    "fleet.schema.json": "is the schema of manifests",
    "school.yaml": "is a manifest",
    "fleet.lock": "is a lock of provision",
    "school.lock": "is a lock of provision",
    "vendor": "is what `provision vendor` keeps",
    "vendor/SHA256SUMS": "is what `provision vendor` keeps",
    "vendor/objects/": "is what `provision vendor` keeps",
    "images/own.bin": "is a firmware image",
    "images/raw": "is a firmware image",
    "images/old.bin": "is a firmware image",
    "images/drive.uf2": "is a firmware image",
    ".git": "belongs to git",
    ".git/config": "belongs to git",
    ".venv/": "is a Python environment",
    ".venv/bin/x.py": "is a Python environment",
    "tools/bin": "is a Python environment",
    "app/../secrets.yaml": "holds the secrets",
}


@pytest.mark.parametrize(("source", "said"), NAMED.items())
@pytest.mark.parametrize("shape", ["{src: %s, dest: /x}", "%s", "{src: %s, template: true}"])
def test_naming_it_is_an_error(project: Path, source: str, said: str, shape: str) -> None:
    manifest = MANIFEST % (shape % source)
    (found,) = problems(project, manifest, secrets=project / "mine.yaml")
    assert found.startswith("fleet.yaml:3:")
    assert f"'{source}' {said}" in found
    assert "never goes to a board" in found


@pytest.mark.parametrize("target", NAMED)
def test_nor_does_it_go_under_another_name(project: Path, target: str) -> None:
    (project / "app/innocent").symlink_to(os.path.relpath(project / target, project / "app"))
    (state,) = fleet(
        project, MANIFEST % "{src: app, dest: /}", secrets=project / "mine.yaml"
    ).states()
    assert sorted(state.files_by_dest) == ["/config.yaml", "/data.bin", "/vendor/lib.py"]
    (found,) = problems(project, MANIFEST % "app/innocent", secrets=project / "mine.yaml")
    assert "never goes to a board" in found


def test_what_the_manifest_is_made_of(project: Path) -> None:
    made = {
        "app/room.yaml": "devices: {'r{{ n }}': {csv: class.csv, board: esp32, port: any}}\n",
        "app/class.csv": "n,mac\n1,5c:cf:7f:00:00:01\n",
    }
    write_tree(project, made)
    manifest = "include: [app/room.yaml]\n" + MANIFEST
    everything = manifest % "{src: ., dest: /}"
    states = fleet(project, everything, secrets=project / "mine.yaml").states()
    assert sorted(states[0].files_by_dest) == WANTED
    for name, said in {"app/room.yaml": "is a manifest", "app/class.csv": "is a list that"}.items():
        told = problems(project, manifest % name)
        assert any(f"'{name}' {said}" in one for one in told)


def test_secrets_that_are_a_link(project: Path) -> None:
    (project / "secrets.yaml").rename(project / "app/hidden.txt")
    (project / "secrets.yaml").symlink_to("app/hidden.txt")
    (state,) = fleet(project, MANIFEST % "{src: app, dest: /}").states()
    assert "/hidden.txt" not in state.files_by_dest


def test_a_manifest_of_any_name(project: Path) -> None:
    from provision.project.manifest_file import load

    (project / "room.yml").write_text(MANIFEST % "{src: ., dest: /}")
    (state,) = load(str(project / "room.yml"), secrets=project / "mine.yaml").states()
    assert sorted(state.files_by_dest) == WANTED
    (project / "room.yml").rename(project / "room")
    (state,) = load(str(project / "room"), secrets=project / "mine.yaml").states()
    assert sorted(state.files_by_dest) == WANTED


def test_a_project_inside_of_an_environment_or_below_a_vendor(tmp_path: Path) -> None:
    """What encloses the project is not its own."""
    folder = tmp_path / ".venv/vendor/project"
    write_tree(folder, {"main.py": ""})
    (tmp_path / ".venv/pyvenv.cfg").touch()
    (state,) = fleet(folder, "devices: {d: {board: esp32, files: [main.py]}}\n").states()
    assert list(state.files_by_dest) == ["/main.py"]
