"""A manifest in several files: as one, mistakes told where they are and by whom it is included."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.errors import ManifestError
from provision.project.manifest_file import load
from provision.project.parts.included import MAX_DEPTH, MAX_FILES
from tests.fleets import fleet, problems, write_tree

WHOLE = {
    "firmware": "{own: {file: app/own.bin}}",
    "groups": "{sensors: {vars: {topic: x, wifi: !secret wifi}, "
    "files: [{src: app/, dest: /}, {src: t.j2, dest: /t, template: true}]}, "
    "plain: {prune: [/old]}}",
    "defaults": "{board: esp32, firmware: own, vars: {a: 1}}",
    "boards": "{mine: {extends: esp32}}",
    "devices": "{d1: {groups: [sensors]}, d2: {board: mine, groups: [plain, sensors]}, "
    "'r-[1:2]': {port: '/dev/tty{{ index }}'}, 's{{ n }}': {csv: class.csv, mac: '{{ mac }}'}}",
    "fleet": "school",
}
FILES = {
    "app/main.py": "print(1)\n",
    "app/own.bin": "no image, which nobody looks into here\n",
    "t.j2": "{{ topic }} {{ wifi }} {{ fleet }}\n",
    "class.csv": "n,mac\n1,5c:cf:7f:00:00:01\n2,\n",
    "secrets.yaml": "wifi: hunter22\n",
}


@given(
    st.lists(st.integers(0, 3), min_size=len(WHOLE), max_size=len(WHOLE)),
    st.sampled_from(["", "parts/", "parts/deep/"]),
    st.booleans(),
)
@settings(max_examples=25)
def test_a_manifest_in_parts_makes_the_same_boards(
    places: list[int], folder: str, nested: bool
) -> None:
    up = "../" * folder.count("/")
    texts = [""] * 4
    for (key, value), at in zip(WHOLE.items(), places, strict=True):
        if at and up:
            for path in ("app/", "t.j2", "class.csv"):
                value = value.replace(f": {path}", f": {up}{path}")  # noqa: PLW2901
        texts[at] += f"{key}: {value}\n"
    names = [f"{folder}{letter}.yaml" for letter in "abc"]
    if nested:  # one after the other
        texts[1] += "include: [b.yaml]\n"
        texts[2] += "include: [c.yaml]\n"
    texts[0] += f"include: [{', '.join(names[:1] if nested else names)}]\n"
    files = {name: text or "{}\n" for name, text in zip(names, texts[1:], strict=True)}
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        whole = "".join(f"{key}: {value}\n" for key, value in WHOLE.items())
        together = fleet(Path(one), whole, FILES)
        apart = fleet(Path(other), texts[0], {**FILES, **files})
        wanted = {state.device: state for state in together.states()}
        assert {state.device: state for state in apart.states()} == wanted
        assert len(wanted) == 6
        assert apart.manifest.fleet == "school"
        assert not apart.changed()


def test_the_order_is_that_of_the_lists(tmp_path: Path) -> None:
    files = {
        "a.yaml": "include: [c.yaml]\ndevices: {a: }\n",
        "b.yaml": "devices: {b: }\n",
        "c.yaml": "devices: {c: }\n",
    }
    manifest = "include: [b.yaml, a.yaml]\ndefaults: {board: esp32}\ndevices: {own: }\n"
    assert fleet(tmp_path, manifest, files).names() == ("own", "b", "a", "c")


def test_what_several_include_is_taken_once(tmp_path: Path) -> None:
    files = {
        "rooms/a.yaml": "include: [../groups.yaml]\ndevices: {a: {groups: [g]}}\n",
        "rooms/b.yaml": "include: [../groups.yaml]\ndevices: {b: {groups: [g]}}\n",
        "groups.yaml": "groups: {g: {board: esp32}}\n",
    }
    assert fleet(tmp_path, "include: [rooms/a.yaml, rooms/b.yaml]\n", files).names() == ("a", "b")


def test_an_included_file_may_be_empty_but_for_what_it_includes(tmp_path: Path) -> None:
    files = {"a.yaml": "include:\n", "b.yaml": "devices: {d: {board: esp32}}\n"}
    assert fleet(tmp_path, "include: [a.yaml, b.yaml]\n", files).names() == ("d",)


def test_paths_are_meant_from_the_file_that_says_them(tmp_path: Path) -> None:
    files = {
        "rooms/a.yaml": "devices: {a: {board: esp32, "
        "files: [x.py, {src: ../x.py, dest: /y.py}]}}\n",
        "rooms/x.py": "room = 1\n",
        "x.py": "top = 1\n",
    }
    (state,) = fleet(tmp_path, "include: [rooms/a.yaml]\n", files).states()
    held = {dest: file.content.data for dest, file in state.files_by_dest.items()}
    assert held == {"/x.py": b"room = 1\n", "/y.py": b"top = 1\n"}


ROOM = "rooms/a.yaml"
# What rooms/a.yaml says, and what is told of it by `include: [rooms/a.yaml]` on line 2.
MISTAKES = [
    (
        "\ndevices: {d: {board: esp23}}\n",
        "rooms/a.yaml:2:22: devices.d.board: unknown board 'esp23'; did you mean 'esp32'? "
        "(included by fleet.yaml:2)",
    ),
    (
        "devices:\n  d: {bord: esp32, board: esp32}\n",
        "rooms/a.yaml:2:7: devices.d.bord: unknown key 'bord'; did you mean 'board'? (included by",
    ),
    ("devices: {d: {board: esp32}}\ndevices: \n", "rooms/a.yaml:2:1: devices: duplicate key 'dev"),
    ("\n\n- x\n", "rooms/a.yaml:3:1: expected `key: value` lines at the top (included by"),
    ("a: [\n", "rooms/a.yaml:2:1: not YAML: "),
    ("a: \x00\n", "rooms/a.yaml:1:4: the character U+0000 is not allowed in YAML (included by"),
    (
        "devices: {d: {board: esp32, files: [x.py]}}\n",
        "rooms/a.yaml:1:37: devices.d.files[0].src: no such file or folder: 'rooms/x.py'",
    ),
    (
        "devices: {d: {board: esp32, vars: {a: !secret x}}}\n",
        "rooms/a.yaml:1:39: devices.d.vars.a: unknown secret 'x'; there is no secrets.yaml",
    ),
    (
        "devices: {d: {board: esp32, firmware: {file: own.bin}}}\n",
        "rooms/a.yaml:1:46: devices.d.firmware.file: no such file: 'rooms/own.bin' (included by",
    ),
    (
        "devices: {d: {board: esp32}, top: {board: esp32}}\n",
        "rooms/a.yaml:1:30: devices.top: 'top' is said already on line 3 of fleet.yaml, and no",
    ),
    (
        "devices: {d: {board: esp32}, 'to[p:q]': {board: esp32}}\n",
        "rooms/a.yaml:1:30: devices.to[p:q]: 'top' is a device already ('top' on line 3) (included",
    ),
    (
        "devices: {d: {board: esp32, port: /dev/ttyUSB0}}\n",
        "rooms/a.yaml:1:35: devices.d.port: '/dev/ttyUSB0' is the port of top already, so it",
    ),
    (
        "devices: {d: {board: esp32, files: [{dest: /a/b, state: absent}], prune: [/x]}}\nfoo: 1\n",
        "rooms/a.yaml:2:1: foo: unknown key 'foo'; known are boards, defaults, devices, firmware",
    ),
]


@pytest.mark.parametrize(("room", "said"), MISTAKES)
def test_a_mistake_is_told_where_it_is(tmp_path: Path, room: str, said: str) -> None:
    manifest = (
        "fleet: x\ninclude: [rooms/a.yaml]\ndevices: {top: {board: esp32, port: /dev/ttyUSB0}}\n"
    )
    (told,) = problems(tmp_path, manifest, {ROOM: room})
    assert told.startswith(said)
    assert "(included by fleet.yaml:2)" in told


def test_a_mistake_two_files_down_has_both_above_it(tmp_path: Path) -> None:
    files = {
        ROOM: "\n\ninclude: [deep/b.yaml]\n",
        "rooms/deep/b.yaml": "devices: {d: {board: esp23}}\n",
    }
    (told,) = problems(tmp_path, "include: [rooms/a.yaml]\n", files)
    assert told.startswith("rooms/deep/b.yaml:1:22: devices.d.board: unknown board 'esp23'")
    assert told.endswith("(included by rooms/a.yaml:3, included by fleet.yaml:1)")


def test_a_mistake_names_the_file_of_what_it_is_about(tmp_path: Path) -> None:
    manifest = "include: [a.yaml]\ndevices: {d: {board: esp32, groups: [g], prune: [/log]}}\n"
    files = {"a.yaml": "\ngroups: {g: {files: [{src: m.py, dest: /log}]}}\n", "m.py": ""}
    (told,) = problems(tmp_path, manifest, files)
    assert told.startswith(
        "fleet.yaml:2:50: devices.d.prune[0]: '/log' cannot be pruned: '/log' is to be a file "
        "(groups.g.files[0], line 2 of a.yaml)"
    )


def test_not_text_is_told_where_it_is(tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": "include: [a.yaml]\n"})
    (tmp_path / "a.yaml").write_bytes(b"devices:\n  d\xfc: {}\n")
    with pytest.raises(ManifestError) as caught:
        load(str(tmp_path / "fleet.yaml"))
    (problem,) = caught.value.problems
    assert str(problem).endswith(
        "a.yaml:2:4: not UTF-8 text: byte 0xfc; save the file as UTF-8 "
        f"(included by {tmp_path}/fleet.yaml:1)"
    )


# What `include` says, and what is told of it; rooms/a.yaml is there.
REFUSED = [
    ("[rooms/b.yaml]", "1:11: include[0]: no such file: 'rooms/b.yaml'"),
    ("[rooms/a.yaml, rooms]", "1:25: include[1]: 'rooms': the name of a manifest's file ends in"),
    ("[rooms/a.txt]", "'rooms/a.txt': the name of a manifest's file ends in .yaml or .yml"),
    ("[fleet.yaml]", "include[0]: 'fleet.yaml' is this very file"),
    ("[rooms/../fleet.yaml]", "include[0]: 'rooms/../fleet.yaml' is this very file"),
    ("[secrets.yaml]", "'secrets.yaml' holds secrets, and is no part of a manifest; name one in"),
    ("['rooms/*.yaml']", "'rooms/*.yaml': each file is named as it is, without patterns"),
    ("['{{ room }}.yaml']", "'{{ room }}.yaml': each file is named as it is, without patterns"),
    ("['https://x/a.yaml']", "'https://x/a.yaml' is on the web; have a copy of it in the project"),
    ("[/etc/a.yaml]", "'/etc/a.yaml' is not relative to the file that names it; files of the"),
    ("['C:\\a.yaml']", "'C:\\a.yaml' is not relative to the file that names it"),
    ("['rooms\\b.yaml']", "no such file: 'rooms\\b.yaml'; paths in a manifest use /"),
    ("rooms/a.yaml", "1:10: include: expected a list, got 'rooms/a.yaml'"),
    ("{a: b}", "1:10: include: expected a list, got a mapping"),
    ("[!env HOME]", "include[0]: !env is allowed below `vars` only"),
    ("[[rooms/a.yaml]]", "include[0]: expected text, got a list"),
    ("['']", "include[0]: expected some text, got an empty one"),
    ('["a\\0.yaml"]', "include[0]: 'a"),
]


@pytest.mark.parametrize(("include", "said"), REFUSED)
def test_what_cannot_be_included(tmp_path: Path, include: str, said: str) -> None:
    files = {ROOM: "devices: {d: {board: esp32}}\n", "secrets.yaml": "a: bravo\n"}
    told = problems(tmp_path, f"include: {include}\n", files)
    assert said in told[0]
    assert len(told) == 1


def test_without_what_cannot_be_read_nothing_else_is_told(tmp_path: Path) -> None:
    manifest = "include: [gone.yaml]\ndevices: {d: {groups: [of-that-file]}}\n"
    (told,) = problems(tmp_path, manifest)
    assert "no such file: 'gone.yaml'" in told


def test_files_that_include_each_other(tmp_path: Path) -> None:
    files = {"a.yaml": "include: [b.yaml]\n", "b.yaml": "\ninclude: [a.yaml]\n"}
    (told,) = problems(tmp_path, "include: [a.yaml]\n", files)
    assert told.startswith("b.yaml:2:11: include[0]: 'a.yaml' includes this file in turn (included")


@pytest.mark.parametrize("deeper", [0, 1])
def test_how_deep(tmp_path: Path, deeper: int) -> None:
    depth = MAX_DEPTH + deeper
    files = {f"{n}.yaml": f"include: [{n + 1}.yaml]\n" for n in range(1, depth)}
    files[f"{depth}.yaml"] = "devices: {d: {board: esp32}}\n"
    told = problems(tmp_path, "include: [1.yaml]\n", files)
    assert len(told) == deeper
    assert all("included files include others deeper than 10 times" in one for one in told)


@pytest.mark.parametrize("more", [0, 1])
def test_how_many(tmp_path: Path, more: int) -> None:
    names = [f"{number}.yaml" for number in range(MAX_FILES + more)]
    files = {name: f"devices: {{d{name[:-5]}: {{board: esp32}}}}\n" for name in names}
    told = problems(tmp_path, f"include: [{', '.join(names)}]\n", files)
    assert len(told) == more
    assert all(f"more than {MAX_FILES} files make up this manifest" in one for one in told)


def test_values_are_counted_over_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The real four million take a minute and a gigabyte.
    monkeypatch.setattr("provision.core.manifest.yaml_parser.MAX_NODES", 100)
    half = ", ".join(["a"] * 60)
    files = {"a.yaml": f"x: [{half}]\n", "b.yaml": f"x: [{half}]\n"}
    told = problems(tmp_path, "include: [a.yaml, b.yaml]\n", files)
    assert any(one.startswith("b.yaml:1:") and "more than 100 values" in one for one in told)


@pytest.mark.parametrize("name", ["a.yaml", "class.csv"])
def test_whether_one_has_changed(tmp_path: Path, name: str) -> None:
    files = {
        "a.yaml": "devices: {'d{{ n }}': {csv: class.csv, board: esp32}}\n",
        "class.csv": "n\n1\n",
    }
    loaded = fleet(tmp_path, "include: [a.yaml]\n", files)
    assert not loaded.changed()
    assert tmp_path / name in loaded.looked_at[0]
    assert name in loaded.sources
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(f"{text}\n")
    assert loaded.changed()
    (tmp_path / name).unlink()
    assert loaded.changed()


@pytest.mark.parametrize("secret", ["hunter22", "env-secret-value"])
def test_secrets_of_an_included_file_are_secrets(tmp_path: Path, secret: str) -> None:
    tag = "!secret wifi" if secret == "hunter22" else "!env WIFI"
    files = {
        "a.yaml": f"devices: {{d: {{board: esp32, vars: {{w: {tag}}}, host: '{secret}!'}}}}\n",
        "secrets.yaml": "wifi: hunter22\n",
    }
    environment = {"WIFI": "env-secret-value"}
    told = problems(tmp_path, "include: [a.yaml]\n", files, environment=environment)
    assert len(told) == 1
    assert secret not in told[0]


def test_a_manifest_on_standard_input_includes_from_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    write_tree(tmp_path, {"rooms/a.yaml": "devices: {d: {board: esp23}}\n"})
    monkeypatch.chdir(tmp_path)
    text = io.TextIOWrapper(io.BytesIO(b"include: [rooms/a.yaml]\n"))
    monkeypatch.setattr(sys, "stdin", text)
    with pytest.raises(ManifestError) as caught:
        load("-")
    assert [str(one) for one in caught.value.problems] == [
        "rooms/a.yaml:1:22: devices.d.board: unknown board 'esp23'; did you mean 'esp32'? "
        "(included by <stdin>:1)"
    ]
