"""Devices are added after the last one, and every byte that somebody wrote stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.authoring.entries import NewDevice, Setting
from provision.core.manifest.authoring.insertion import (
    CannotInsert,
    insert_devices,
    insert_settings,
)
from provision.core.manifest.yaml_parser import parse

NEW = NewDevice(name="new", settings=(Setting(key="board", value="esp32", comment="why"),))


@pytest.mark.parametrize(
    ("before", "place"),
    [
        ("devices:\n", 1),
        ("devices:", 1),
        ("devices:  # none yet\n\n# end\n", 1),
        ("devices:\n  a: {board: esp32}\n", 2),
        ("devices:\n  a: {board: esp32}", 2),
        (
            "devices:\n  a:\n    board: esp32\n    # files: []\n\n# of no device\nfleet: x\n",
            4,
        ),
        (
            "devices:\n    a:\n        board: x\n\n    b:\n\n        board: x\n\n\nfleet: x",
            7,
        ),
        (
            "devices:\n  a:\n    vars:\n      text: |\n        1\n\n        2\n  # b:\nfleet: x\n",
            7,
        ),
        ("devices:\n  a:\n    files:\n    - main.py\n    - lib/\n", 5),
        ("devices:\r\n  a: {board: esp32}\r\nfleet: x\r\n", 2),
        ("# one\rdevices:\r  a: {board: esp32}\r", 3),
        (".base: &base {board: esp32}\ndevices:\n  a: *base\n", 3),
        ("devices:\n  'a b': null\n  \"c\": {board: esp32}\n", 3),
        ("devices:\n  a: {board: esp32,\n    files: [x]}\n", 3),
        ("devices:\n  a: null\n...\n", 2),
    ],
)
def test_the_rest_stays_as_it_was(before: str, place: int) -> None:
    after = insert_devices(before, [NEW])
    ending = "\r\n" if "\r\n" in before else "\r" if "\r" in before else "\n"
    lines = after.split(ending)
    assert [line.strip() for line in lines[place : place + 2]] == ["new:", "board: esp32  # why"]
    rest = ending.join([*lines[:place], *lines[place + 2 :]])
    assert rest in (before, before + ending)


@pytest.mark.parametrize(
    "text",
    ["", "fleet: x\n", "devices: {}\n", "devices: {a: {board: esp32}}\n", "- a\n", "devices: [\n",
     "devices: {\n  a: {board: esp32}}\n", "devices:\n  a:\n    vars: {x: 'one\ntwo'}\n",
     "devices: text\n", "devices:\n  ? c\n  : {board: esp32}\n",
     "devices: &all\n  a: null\nmore: *all\n",
     "devices:\n  a:\n    vars:\n      x: |+\n        one\n\n\nfleet: x\n"],
)  # fmt: skip
def test_what_lines_cannot_be_added_to_is_left(text: str) -> None:
    with pytest.raises(CannotInsert):
        insert_devices(text, [NEW])


def test_a_name_that_is_there_is_not_written_twice() -> None:
    with pytest.raises(CannotInsert):
        insert_devices("devices:\n  new: {board: esp32}\n", [NEW])


_BLOCKS = st.lists(
    st.sampled_from(
        ["  a: {board: esp32}", "  b:", "    board: esp32", "    # note", "  # other", "", "\t",
         "fleet: x", "devices:", "    files: [a,", "  x]", "      - y", "    text: |", "# end",
         "defaults: {board: esp32}", "...", "---", "  c: &c {board: x}", "  d: *c", "   e:"]
    ),
    max_size=9,
)  # fmt: skip


@given(_BLOCKS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_it_is_just_that_or_nothing(blocks: list[str], ending: str, ended: bool) -> None:
    before = ending.join(["devices:", *blocks]) + (ending if ended else "")
    try:
        after = insert_devices(before, [NEW])
    except CannotInsert:
        return
    start = next(at for at in range(len(after)) if after[at : at + 1] != before[at : at + 1])
    assert after.endswith(before[start:]) or not ended
    old, new = parse(before, "").tree, parse(after, "").tree
    assert old is not None
    assert new is not None
    devices = old.value("devices") or {}
    assert {**new, "devices": None} == {**old, "devices": None}
    assert new.value("devices") == {**devices, "new": {"board": "esp32"}}  # type: ignore[dict-item]


FILES = (Setting(key="files", value="[{src: a/, dest: /}]"),)
ADDED = "files: [{src: a/, dest: /}]"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("devices:\n  a:\n    board: x\n    # note\n\n  b: null\n",
         f"devices:\n  a:\n    board: x\n    # note\n    {ADDED}\n\n  b: null\n"),
        ("devices:\n  a:\n  b: null", f"devices:\n  a:\n    {ADDED}\n  b: null"),
        ("devices:\n a:\n      board: x", f"devices:\n a:\n      board: x\n      {ADDED}\n"),
        (".b: &b {board: x}\ndevices:\n  a:\n    <<: *b\n    baud: 1\n# end\n",
         f".b: &b {{board: x}}\ndevices:\n  a:\n    <<: *b\n    baud: 1\n    {ADDED}\n# end\n"),
    ],
)  # fmt: skip
def test_a_device_gets_settings_at_the_end_of_its_own(before: str, after: str) -> None:
    assert insert_settings(before, "a", FILES) == after


@pytest.mark.parametrize(
    "text",
    ["devices:\n  b: null\n", "devices:\n  a: {board: x}\n", "devices:\n  a-[1:2]:\n    board: x\n",
     "devices:\n  a:\n    files: [main.py]\n", "devices: {a: null}\n", "fleet: x\n", "[",
     "devices:\n  b: &b\n    board: x\n  a: *b\n"],
)  # fmt: skip
def test_a_device_that_settings_cannot_be_added_to_is_left(text: str) -> None:
    with pytest.raises(CannotInsert):
        insert_settings(text, "a", FILES)


def test_what_others_share_by_an_anchor_is_not_changed() -> None:
    with pytest.raises(CannotInsert):
        insert_settings("devices:\n  a: &a\n    board: x\n  b: *a\n", "a", FILES)
