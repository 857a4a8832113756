"""YAML to a tree: places, texts that stay as written, and everything that is refused."""

from __future__ import annotations

import pytest
import yaml

from provision.core.manifest.yaml_parser import MAX_DEPTH, NotText, Parsed, decode, parse
from provision.core.manifest.yaml_tree import Items, Table, Text


def lines(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, "f.yaml").problems]


def tree(text: str) -> Table:
    parsed = parse(text, "f.yaml")
    assert parsed.problems == ()
    assert parsed.tree is not None
    return parsed.tree


def place(node: object) -> tuple[int, int]:
    assert isinstance(node, (Text, Table, Items))
    return node.line, node.column


def test_every_node_knows_where_it_stands() -> None:
    top = tree("a: 1\nb:\n  - x\n  - {k: v}\nç: é\n")
    assert place(top) == (1, 1)
    assert [place(key) for key in top] == [(1, 1), (2, 1), (5, 1)]
    assert place(top["a"]) == (1, 4)
    items = top["b"]
    assert isinstance(items, Items)
    assert [place(item) for item in items] == [(3, 5), (4, 5)]
    assert place(top["ç"]) == (5, 4)


def test_scalars_keep_their_text() -> None:
    top = tree("{a: 1.20, b: on, c: 0x10, d: 10:20, e: ~, f: 2024-01-01, g: 'x', h: !!str 1}")
    texts = {str(key): str(value) for key, value in top.items()}
    assert texts == {
        "a": "1.20", "b": "on", "c": "0x10", "d": "10:20",
        "e": "~", "f": "2024-01-01", "g": "x", "h": "1",
    }  # fmt: skip
    assert [key for key, value in top.items() if isinstance(value, Text) and not value.plain] == [
        "g",
        "h",
    ]


def test_scalars_tell_what_they_may_stand_for() -> None:
    top = tree("{a: 12, b: '12', c: yes, d: 1.5, e: , f: -3, g: '', h: 1e5, i: Off}")
    integers = {key: value.integer for key, value in top.items() if isinstance(value, Text)}
    assert {key: value for key, value in integers.items() if value is not None} == {
        "a": 12,
        "f": -3,
    }
    truths = {key: value.boolean for key, value in top.items() if isinstance(value, Text)}
    assert {key: value for key, value in truths.items() if value is not None} == {
        "c": True,
        "i": False,
    }
    nulls = [key for key, value in top.items() if isinstance(value, Text) and value.null]
    assert nulls == ["e"]


def test_tags_and_the_environment_they_ask_for() -> None:
    parsed = parse("a: !secret wifi\nb: [!env HOME, !env 'PATH']\n", "f.yaml")
    assert parsed.problems == ()
    assert parsed.tree is not None
    first = parsed.tree["a"]
    assert isinstance(first, Text)
    assert (first.tag, first) == ("!secret", "wifi")
    assert parsed.environment == {"HOME", "PATH"}


def test_aliases_and_merges() -> None:
    top = tree("base: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: *b\n")
    assert top["c"] == {"x": "1", "y": "3"}
    assert top["d"] is top["base"]


def test_an_alias_of_a_key_or_a_list_of_merges() -> None:
    top = tree("a: &a {x: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b]}\n")
    assert top["c"] == {"x": "1", "z": "2"}
    assert lines("c: {<<: 3}") == ["f.yaml:1:5: c: `<<` takes a mapping or a list of mappings"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f.yaml:1:1: f.yaml is empty"),
        ("# nothing\n", "f.yaml:1:1: f.yaml is empty"),
        ("- a\n", "f.yaml:1:1: expected `key: value` lines at the top"),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a: duplicate key 'a' (first on line 1)"),
        ("a:\n  b: {c: 1, c: 2}\n", "f.yaml:2:13: a.b.c: duplicate key 'c' (first on line 2)"),
        ("a: [1, {b: !x y}]",
         "f.yaml:1:12: a[1].b: unknown tag !x; only !secret and !env are known"),
        ("a: !!python/name:os.system x",
         "f.yaml:1:4: a: unknown tag !!python/name:os.system; only !secret and !env are known"),
        ("a: !secret {b: 1}", "f.yaml:1:4: a: !secret takes one name"),
        ("a: !env", "f.yaml:1:4: a: !env takes a name"),
        ("[a, b]: 1", "f.yaml:1:1: a key must be plain text"),
        ("a: {{ b }}", "f.yaml:1:5: a: {{ … }} begins a mapping in YAML; write it in quotes"),
        ("{{ a }}: 1", "f.yaml:1:2: {{ … }} begins a mapping in YAML; write it in quotes"),
        ("a: {[x]: 1}", "f.yaml:1:5: a: a key must be plain text"),
        ("a:\n  ? \n  : 1", "f.yaml:2:4: a: a key is missing before the colon"),
        ("a: *b", "f.yaml:1:4: a: there is no anchor &b before this alias"),
        ("a: &b [*b]", "f.yaml:1:8: a[0]: *b is used inside &b itself"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document starts here; keep one per file"),
        ("a: \x00", "f.yaml:1:4: the character U+0000 is not allowed in YAML"),
        ("a: 1\nb: \x1b[2J", "f.yaml:2:4: the character U+001B is not allowed in YAML"),
    ],
)  # fmt: skip
def test_refused(text: str, expected: str) -> None:
    assert expected in lines(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1\nb: 2\n", 2), ("a: b: c\n", 1), ("a: 'x\n", 1), ("\ta: 1\n", 1), ("a: @x", 1)],
)
def test_broken_syntax_is_one_located_problem(text: str, line: int) -> None:
    (problem,) = parse(text, "f.yaml").problems
    assert problem.place.line == line
    assert problem.message.startswith("not YAML: ")


def test_the_rest_is_read_on_after_a_duplicate_key() -> None:
    found = lines("a: 1\na: {x: 1, x: 2}\nb: !nix 3\nb: 4\n")
    assert len(found) == 4


def bomb(levels: int, width: int = 9) -> str:
    text = "a0: &a0 [x, x]\n"
    for level in range(1, levels):
        text += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]\n"
    return text


def test_billion_laughs_is_refused() -> None:
    (problem,) = parse(bomb(30), "f.yaml").problems
    assert "alias bomb" in problem.message
    assert 2 < problem.place.line < 10  # before the growth is worth speaking of


def test_honest_aliases_are_not_refused() -> None:
    shared = "files: &f [" + ", ".join(f"f{number}.py" for number in range(20)) + "]\n"
    devices = "".join(f"  d{number}: {{files: *f}}\n" for number in range(5_000))
    assert lines(shared + "devices:\n" + devices) == []


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused(opening: str) -> None:
    found = lines("a:\n " + opening * 100_000)
    assert len(found) == 1
    assert f"nested deeper than {MAX_DEPTH} levels" in found[0] or "not YAML" in found[0]


def test_the_pure_python_parser_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: 1.20\nb: &x [on, 'q', !secret s]\nc: *x\na: 2\nd: !nix 3\n"
    fast = parse(text, "f.yaml")
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    slow = parse(text, "f.yaml")
    assert slow.tree == fast.tree
    assert slow.problems == fast.problems
    assert _styles(slow) == _styles(fast)


def _styles(parsed: Parsed) -> list[bool]:
    assert parsed.tree is not None
    items = parsed.tree["b"]
    return [item.plain for item in items if isinstance(item, Text)]


def test_bytes_that_are_no_text_are_located() -> None:
    assert decode(b"\xef\xbb\xbfa: 1", "f.yaml") == "a: 1"
    with pytest.raises(NotText) as caught:
        decode("a: é\nb: ".encode() + b"\xff", "f.yaml")
    assert str(caught.value.problem) == (
        "f.yaml:2:4: not UTF-8 text: byte 0xff; save the file as UTF-8"
    )
