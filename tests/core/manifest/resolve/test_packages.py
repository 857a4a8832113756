"""Packages and bytecode in the desired state: joined, in their place, and told when they clash."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.errors import ManifestError
from provision.model.state import DesiredState
from tests.fakes.library import FakeLibrary
from tests.fleets import fleet

FILES = {
    "boot.py": "boot = 1\n",
    "main.py": "main = 1\n",
    "app/net/wifi.py": "wifi = 1\n",
    "app/main.py": "main = 2\n",
    "app/table.csv": "1,2\n",
    "config.py.j2": "password = '{{ password }}'\n",
    "bad.py": "syntax error\n",
    "secrets.yaml": "password: correct horse\n",
}
PACKAGES = {
    "umqtt.simple": {"umqtt/simple.mpy": b"simple 1.4"},
    "umqtt.simple@1.3": {"umqtt/simple.mpy": b"simple 1.3"},
    "github:org/repo@v1": {"dev/__init__.py": b"", "umqtt/simple.mpy": b"simple 1.4"},
    "rival": {"umqtt/simple.mpy": b"rival"},
}


def states(
    folder: Path, manifest: str, library: FakeLibrary | None = None
) -> dict[str, DesiredState]:
    loaded = fleet(folder, manifest, FILES)
    if library is not None:
        loaded = loaded.with_library(library)
    return {state.device: state for state in loaded.states()}


def one(folder: Path, device: str, library: FakeLibrary | None = None) -> DesiredState:
    return states(folder, f"devices: {{d: {{board: esp32, {device}}}}}\n", library)["d"]


def problems(folder: Path, device: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        one(folder, device, FakeLibrary(PACKAGES))
    return [str(problem) for problem in caught.value.problems]


def contents(state: DesiredState) -> dict[str, bytes]:
    return {file.dest: file.content.data for file in state.files}


def test_packages_go_below_lib(tmp_path: Path) -> None:
    library = FakeLibrary(PACKAGES)
    state = one(tmp_path, 'firmware: 1.24, packages: [umqtt.simple, "github:org/repo@v1"]', library)
    assert contents(state) == {"/lib/dev/__init__.py": b"", "/lib/umqtt/simple.mpy": b"simple 1.4"}
    assert {file.dest: file.source for file in state.files} == {
        "/lib/dev/__init__.py": "github:org/repo@v1",
        "/lib/umqtt/simple.mpy": "umqtt.simple",
    }
    assert state.packages == ("umqtt.simple", "github:org/repo@v1")
    # Imported before the bytecode, if it were still there.
    assert state.absent == ("/lib/umqtt/simple.py",)
    assert library.asked == [("umqtt.simple", "1.24"), ("github:org/repo@v1", "1.24")]


def test_layers_join_and_the_later_version_wins(tmp_path: Path) -> None:
    manifest = """
    defaults: {board: esp32, packages: [umqtt.simple]}
    groups: {g: {packages: ["github:org/repo@v1"]}}
    devices:
      a:
      b: {groups: [g]}
      c: {packages: [umqtt.simple@1.3]}
    """
    library = FakeLibrary(PACKAGES)
    found = {name: state.packages for name, state in states(tmp_path, manifest, library).items()}
    assert found == {
        "a": ("umqtt.simple",),
        "b": ("umqtt.simple", "github:org/repo@v1"),
        "c": ("umqtt.simple@1.3",),
    }
    assert len(library.asked) == 3  # each question once, however many devices have it


def test_without_a_library_packages_are_only_named(tmp_path: Path) -> None:
    state = one(tmp_path, "packages: [umqtt.simple, unheard.of]")
    assert state.packages == ("umqtt.simple", "unheard.of")
    assert state.files == ()


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (
            "packages: [unheard.of]",
            "devices.d.packages[0]: no package unheard.of; ask for another one",
        ),
        (
            "packages: [umqtt.simple, rival]",
            "devices.d.packages[1]: 'rival' and 'umqtt.simple' have different files for "
            "'/lib/umqtt/simple.mpy'",
        ),
        (
            "packages: [rival], files: [{src: boot.py, dest: /lib/umqtt/simple.mpy}]",
            "'/lib/umqtt/simple.mpy' of the package 'rival' cannot be there: "
            "'/lib/umqtt/simple.mpy' comes from 'boot.py'",
        ),
        (
            "packages: [rival], files: [{dest: /lib/umqtt, state: absent}]",
            "cannot be there: '/lib/umqtt' is absent",
        ),
        (
            "packages: [rival], files: [{src: boot.py, dest: /lib/umqtt}]",
            "cannot be there: '/lib/umqtt' comes from 'boot.py'",
        ),
        (
            "packages: [rival], files: [{src: boot.py, dest: /lib/umqtt/simple.mpy/x}]",
            "devices.d.packages[0]: '/lib/umqtt/simple.mpy' of the package 'rival' is a file, and "
            "cannot be a folder: '/lib/umqtt/simple.mpy/x' lies below it",
        ),
        (
            "firmware: 1.24, files: [{src: bad.py, compile: true}]",
            "devices.d.files[0].compile: bad.py does not compile; correct it",
        ),
    ],
)
def test_what_goes_wrong_is_told_at_its_line(tmp_path: Path, device: str, words: str) -> None:
    (problem,) = problems(tmp_path, device)
    assert words in problem


def test_a_folder_is_compiled_but_for_what_must_be_source(tmp_path: Path) -> None:
    state = one(
        tmp_path, "firmware: 1.24, files: [{src: app, dest: /, compile: true}]", FakeLibrary()
    )
    assert contents(state) == {
        "/main.py": b"main = 2\n",
        "/net/wifi.mpy": b"net/wifi.py for 1.24 on esp32: wifi = 1\n",
        "/table.csv": b"1,2\n",
    }
    assert state.absent == ("/net/wifi.py",)


@pytest.mark.parametrize("dest", ["/lib/wifi.py", "/lib/wifi.mpy"])
def test_a_file_is_compiled(tmp_path: Path, dest: str) -> None:
    entry = f"{{src: app/net/wifi.py, dest: {dest}, compile: true}}"
    state = one(tmp_path, f"firmware: 1.24, files: [{entry}]", FakeLibrary())
    assert contents(state) == {"/lib/wifi.mpy": b"lib/wifi.py for 1.24 on esp32: wifi = 1\n"}


def test_bytecode_of_a_template_keeps_its_secrets_to_itself(tmp_path: Path) -> None:
    entry = "{src: config.py.j2, template: true, compile: true}"
    device = f"firmware: 1.24, vars: {{password: !secret password}}, files: [{entry}]"
    (file,) = one(tmp_path, device, FakeLibrary()).files
    assert file.dest == "/config.mpy"
    assert b"correct horse" in file.content.data
    assert file.content.sensitive


def test_a_device_may_want_the_source_of_what_its_group_compiles(tmp_path: Path) -> None:
    """They are two destinations; the source, imported first, is the one that counts."""
    manifest = """
    defaults: {board: esp32, firmware: 1.24}
    groups: {g: {files: [{src: app/net/wifi.py, compile: true}]}}
    devices: {d: {groups: [g], files: [app/net/wifi.py]}}
    """
    state = states(tmp_path, manifest, FakeLibrary())["d"]
    assert set(contents(state)) == {"/wifi.mpy", "/wifi.py"}
    assert state.absent == ()


def test_indexes_of_its_own(tmp_path: Path) -> None:
    def indexes(written: str) -> tuple[str | None, str | None]:
        loaded = fleet(tmp_path, f"{written}\ndevices: {{d: {{board: esp32}}}}\n", {})
        return loaded.manifest.firmware_index, loaded.manifest.package_index

    assert indexes("") == (None, None)
    assert indexes("index: http://mirror/") == ("http://mirror", "http://mirror/pi/v2")
    assert indexes("index: {packages: http://mip}") == (None, "http://mip")


def test_latest_variants_and_previews(tmp_path: Path) -> None:
    manifest = """
    firmware:
      new: {version: latest, preview: true}
      big: {version: 1.24.1, board: ESP32_GENERIC, variant: SPIRAM}
    defaults: {board: esp32}
    devices: {a: {firmware: latest}, b: {firmware: new}, c: {firmware: big}}
    """
    found = {}
    for name, state in states(tmp_path, manifest).items():
        assert state.firmware is not None
        source = state.firmware.source
        found[name] = (source.version, source.board, source.variant, source.preview)
    assert found == {
        "a": ("latest", "ESP32_GENERIC", None, False),
        "b": ("latest", "ESP32_GENERIC", None, True),
        "c": ("1.24.1", "ESP32_GENERIC", "SPIRAM", False),
    }
