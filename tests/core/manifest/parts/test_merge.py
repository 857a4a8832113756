"""Several files made one manifest: as if all stood in one, and nothing said twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.parts.merge import merged
from provision.core.manifest.yaml_parser import parse_document
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, path_from


def merge(*texts: str) -> tuple[Table, list[str]]:
    """The first is fleet.yaml's, then a.yaml, b.yaml and so on."""
    whole = Document("fleet.yaml", texts[0])
    trees = [parse_document(whole).tree]
    for letter, text in zip("abcdef", texts[1:], strict=False):
        part = Document(f"{letter}.yaml", text, before=whole.after, note=" (included)")
        whole.add(part)
        trees.append(parse_document(part).tree)
    tree, problems = merged([tree for tree in trees if tree is not None], whole)
    return tree, [str(problem) for problem in problems]


def plain(node: Node) -> object:
    if isinstance(node, Table):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, Items):
        return [plain(item) for item in node]
    return (str(node), node.plain, node.tag)


def test_tables_are_joined_and_their_own_file_comes_first() -> None:
    tree, told = merge(
        "include: [a.yaml]\nfleet: x\ndevices: {b: {}, a: {}}\n.mine: 1\n",
        "devices: {c: {}}\ngroups: {g: {}}\ndefaults: {board: esp32, vars: {a: 1}}\n.his: 2\n",
        "devices: {d: {}}\ngroups:\ndefaults: {baud: 9600, vars: {b: 2}}\n",
    )
    assert told == []
    assert list(tree) == ["fleet", "devices", "groups", "defaults"]
    assert [*plain(tree["devices"])] == ["b", "a", "c", "d"]  # type: ignore
    assert plain(tree["defaults"]) == {  # type: ignore
        "board": ("esp32", True, None),
        "vars": {"a": ("1", True, None), "b": ("2", True, None)},
        "baud": ("9600", True, None),
    }


TWICE = [
    ("fleet: x\n", "fleet: x\n", "a.yaml:1:1: fleet: 'fleet' is said already on line 1 of fleet"),
    ("groups: {g: {}}\n", "\ngroups:\n  g: {}\n", "a.yaml:3:3: groups.g: 'g' is said already on"),
    ("devices: {d: {}}\n", "devices: {d: }\n", None),  # with nothing behind it nothing is said
    ("firmware: {f: {}}\n", "firmware: {f: {}}\n", "a.yaml:1:12: firmware.f: 'f' is said already"),
    ("boards: {b: {}}\n", "boards: {b: {}}\n", "a.yaml:1:10: boards.b: 'b' is said already on"),
    ("station: {template: a}\n", "station: {name: b}\n", "a.yaml:1:1: station: 'station' is said"),
    ("rollout: {}\n", "rollout: {}\n", "a.yaml:1:1: rollout: 'rollout' is said already on line 1"),
    ("defaults: {board: a}\n", "defaults: {board: a}\n", "a.yaml:1:12: defaults.board: 'board' is"),
    (
        "defaults: {files: [a]}\n",
        "defaults: {files: [b]}\n",
        "a.yaml:1:12: defaults.files: 'files'",
    ),
    (
        "defaults: {vars: {x: 1}}\n",
        "defaults: {vars: {y: 1, x: 2}}\n",
        "a.yaml:1:25: defaults.vars.x: 'x' is said already on line 1 of fleet.yaml, and no file "
        "overrides another; keep one (included)",
    ),
]


@pytest.mark.parametrize(("first", "second", "said"), TWICE)
def test_what_is_said_twice_names_both_places(first: str, second: str, said: str | None) -> None:
    _, told = merge(first, second)
    assert len(told) == (said is not None)
    assert all(one.startswith(said or "") for one in told)


def test_what_two_included_files_say_names_the_other_one() -> None:
    _, told = merge("fleet: x\n", "\n\ngroups: {g: {}}\n", "groups: {g: {}}\n")
    assert told == [
        "b.yaml:1:10: groups.g: 'g' is said already on line 3 of a.yaml, and no file overrides "
        "another; keep one (included)"
    ]


# Lines of a manifest, each of which may stand in any file.
_LINES = [
    ("fleet", "fleet: school"),
    ("rollout", "rollout: {batches: [1, 10%]}"),
    *(("defaults", f"  {line}") for line in ("board: esp32", "baud: 9600", "files: [a.py]")),
    *(
        ("groups", f"  g{n}: {{vars: {{x: '{n}'}}, files: [{{src: a.py, dest: /b}}]}}")
        for n in "12"
    ),
    *(("devices", f"  d{n}: {{groups: [g1], vars: {{s: !secret s}}}}") for n in "1234"),
    *(("firmware", f"  f{n}: {{version: 1.2{n}}}") for n in "34"),
]
_SCALARS = {"fleet", "rollout"}


def written(lines: list[tuple[str, str]]) -> str:
    text = ""
    for key in dict.fromkeys(key for key, _ in lines):
        own = "\n".join(line for name, line in lines if name == key)
        text += f"{own}\n" if key in _SCALARS else f"{key}:\n{own}\n"
    return text or "{}\n"


@given(st.lists(st.integers(0, 3), min_size=len(_LINES), max_size=len(_LINES)))
def test_however_it_is_split_it_says_the_same(places: list[int]) -> None:
    files = [
        written([line for line, at in zip(_LINES, places, strict=True) if at == number])
        for number in range(4)
    ]
    whole, _ = merge(written(_LINES))
    split, told = merge(*files)
    assert told == []
    assert plain(split) == plain(whole)


@given(st.sampled_from(_LINES), st.integers(0, 3), st.integers(0, 3))
def test_a_line_in_two_files_is_told(line: tuple[str, str], one: int, other: int) -> None:
    files = [written([line] if at in (one, other) else []) for at in range(4)]
    _, told = merge(*files)
    assert len(told) == (one != other)


PATHS = [
    ("", "app/", "app/"),
    ("", "../x", "../x"),
    ("rooms/", "app/", "rooms/app/"),
    ("rooms/", "./app", "rooms/app"),
    ("rooms/", "../app/", "app/"),
    ("rooms/", "../../app", "../app"),
    ("rooms/b/", "..", "rooms/"),
    ("rooms/", "..", "./"),
    ("rooms/", ".", "rooms/."),
    ("../shared/", "x.py", "../shared/x.py"),
    ("../shared/", "../x.py", "../x.py"),
    ("../", "../x.py", "../../x.py"),
    ("rooms/", "{{ name }}/../x", "rooms/{{ name }}/../x"),
    ("rooms/", "/etc/passwd", "/etc/passwd"),
    ("rooms/", "C:\\x", "C:\\x"),
    ("rooms/", "..app", "rooms/..app"),
]


@pytest.mark.parametrize(("folder", "path", "seen"), PATHS)
def test_a_path_is_meant_from_the_file_that_says_it(folder: str, path: str, seen: str) -> None:
    assert path_from(folder, path) == seen
