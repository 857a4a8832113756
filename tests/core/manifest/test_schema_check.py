"""The schema check: what it says, and that judging each shape once loses nothing."""

from __future__ import annotations

import random
from typing import Any

from provision.core.manifest import schema_check as validate
from provision.core.manifest.schema_check import check_schema
from provision.core.manifest.schema_errors import _ELSEWHERE, findings
from provision.core.manifest.yaml_parser import parse
from provision.core.manifest.yaml_tree import Table, dotted
from provision.project.schemas import fleet_schema
from tests.fuzz_manifest import cases


def checked(text: str) -> list[str]:
    parsed = parse(text, "f")
    assert parsed.tree is not None
    report = check_schema(parsed.tree, parsed.document, fleet_schema())
    return sorted(str(problem) for problem in report.problems)


def checked_one_by_one(tree: Table) -> set[str]:
    """By jsonschema alone, the whole tree at once."""
    validator = validate._validator(fleet_schema())
    errors: Any = validator.iter_errors(tree)
    return {f"{dotted(each.path)}: {each.message}" for each in findings(errors, ())}


VALUES = [
    "1", "x", "'1'", "on", "", "[a]", "{a: 1}", "5c:cf:7f:01:02:03", "1.24", "/x", "!secret s",
    "115200", "{mac: x}", "[boot.py, {src: a}]", "[{src: a, template: maybe}]", "{file: a.bin}",
    "{version: 1.2, erase: never}", "{version: 1.2, erase: ever}", "{expression: x, timeout: 0}",
]  # fmt: skip
KEYS = [
    "board", "mac", "port", "baud", "vars", "files", "prune", "check", "firmware", "groups", "bord",
]  # fmt: skip


def test_shapes_judge_as_jsonschema_does_for_each_device() -> None:
    chance = random.Random(11)
    lines = ["devices:"]
    for number in range(600):
        chosen = chance.sample(KEYS, chance.randrange(1, 4))
        body = ", ".join(f"{key}: {chance.choice(VALUES)}" for key in chosen)
        lines.append(f"  d{number}: {{{body}}}")
    text = "\n".join(lines)
    parsed = parse(text, "f")
    assert parsed.tree is not None
    expected = checked_one_by_one(parsed.tree)
    assert {line.split(": ", 1)[1] for line in checked(text)} == expected
    assert 300 < len(expected) < 3_000


def test_damaged_manifests_are_judged_as_jsonschema_does() -> None:
    compared = 0
    for data in cases(600, seed=3):
        parsed = parse(data.decode("utf-8", "replace"), "f")
        if parsed.tree is not None:
            report = check_schema(parsed.tree, parsed.document, fleet_schema())
            mine = {f"{problem.path}: {problem.message}" for problem in report.problems}
            assert mine == checked_one_by_one(parsed.tree)
            compared += bool(mine)
    assert compared > 50


def test_a_valid_shape_is_judged_once() -> None:
    validator = validate._SchemaValidator(fleet_schema())
    text = "devices:\n" + "".join(
        f"  d{number}: {{board: b{number}, port: /dev/x{number}}}\n" for number in range(50)
    )
    parsed = parse(text, "f")
    assert parsed.tree is not None
    assert list(validator.findings(parsed.tree)) == []
    devices = parsed.tree["devices"]
    assert len({validator.shapes.of(device) for device in devices.values()}) == 1


def test_numbers_and_truth_values_are_asked_for_by_the_schema_only() -> None:
    base = "devices: {d: {board: %s, baud: %s, files: [{src: a, create_only: %s}]}}"
    assert checked(base % ("1.20", "9600", "yes")) == []
    assert checked(base % ("on", "9600", "FALSE")) == []
    assert len(checked(base % ("x", "9600.5", "1"))) == 2


def test_keys_with_a_dot_at_the_top_are_left_alone() -> None:
    assert checked(".x: {any: [thing]}\ndevices: {d: }") == []
    assert len(checked("x: 1\ndevices: {d: {.y: 1}}")) == 2


def test_a_misplaced_key_belongs_where_the_schema_has_it() -> None:
    kinds = fleet_schema()["$defs"]
    entry = next(one["properties"] for one in kinds["file"]["anyOf"] if "properties" in one)
    places = {
        "`files`": set(entry),
        "`devices`": set(kinds["device"]["properties"]),
        "`firmware`": set(kinds["firmware"]["properties"]),
    }
    for key, place in _ELSEWHERE.items():
        (named,) = (keys for name, keys in places.items() if name in place.partition(",")[0])
        assert key in named, key
        assert key not in kinds["layer"]["properties"]
