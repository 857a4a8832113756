"""`-e name=value`: variables that a command line gives go before those of every layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision import api
from tests.cli.conftest import Cli
from tests.fleets import write_tree

MANIFEST = """\
defaults:
  board: esp32
  vars: {topic: all, every: 60}
  files: [{src: c.j2, dest: /c, template: true}]
groups:
  room: {vars: {topic: room, wifi: !secret wifi, nested: {key: !env NOBODYS}}}
devices:
  a-[1:2]: {port: "sim://a{{ index }}", groups: [room]}
  b: {port: sim://b, vars: {topic: own}}
"""
FILES = {
    "fleet.yaml": MANIFEST,
    "secrets.yaml": "wifi: hunter22\n",
    "c.j2": "{{ topic }} {{ every + 1 }} {{ wifi | default('-') }} {{ more | default('-') }}",
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path, FILES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOBODYS", "x")


def contents(**variables: str) -> dict[str, str]:
    fleet = api.load("fleet.yaml", variables=variables)
    return {state.device: state.files[0].content.data.decode() for state in fleet.states}


GIVEN = [
    ({}, "room 61 hunter22 -", "own 61 - -"),
    ({"topic": "new"}, "new 61 hunter22 -", "new 61 - -"),
    ({"every": "9"}, "room 10 hunter22 -", "own 10 - -"),
    ({"topic": "1.20"}, "1.20 61 hunter22 -", "1.20 61 - -"),
    ({"topic": "{{ x }}"}, "{{ x }} 61 hunter22 -", "{{ x }} 61 - -"),
    ({"topic": ""}, " 61 hunter22 -", " 61 - -"),
    ({"more": "yes"}, "room 61 hunter22 yes", "own 61 - yes"),
]


@pytest.mark.parametrize(("given", "a", "b"), GIVEN)
def test_each_device_has_them(given: dict[str, str], a: str, b: str) -> None:
    assert contents(**given) == {"a-1": a, "a-2": a, "b": b}


def test_what_takes_the_place_of_a_secret_is_one(cli: Cli) -> None:
    fleet = api.load("fleet.yaml", variables={"wifi": "correct-horse", "nested": "battery-staple"})
    assert fleet.states[0].files[0].content.data == b"room 61 correct-horse -"
    assert fleet.states[0].files[0].content.sensitive
    assert fleet.masked("correct-horse battery-staple hunter22") == "*** *** ***"
    for words in (("show",), ("show", "--json"), ("validate",)):
        ended = cli(*words, "-e", "wifi=correct-horse", "-e", "nested=battery-staple")
        assert ended.code == 0
        assert not {"correct", "battery"} & set(ended.everything.replace("-", " ").split())


def test_one_that_the_manifest_does_not_have_is_told(cli: Cli) -> None:
    said = cli("validate", "-e", "topci=x", "-e", "name=y")
    assert said.code == 0
    assert "-e topci: the manifest has no such variable; did you mean 'topic'?" in said.err
    assert "-e name" not in said.err


@pytest.mark.parametrize("word", ["topic", "=x", "a-b=c", "1=2", "a b=c"])
def test_what_is_no_variable(cli: Cli, word: str) -> None:
    ended = cli("validate", "-e", word)
    assert ended.code == 2
    assert "hint: write `-e topic=garden`" in ended.err


def test_a_value_that_is_no_text_is_told_without_it(cli: Cli) -> None:
    ended = cli("validate", "-e", "wifi=correct\udcff")
    assert ended.code == 2
    assert "-e wifi: its value is no text" in ended.err
    assert "correct" not in ended.everything


def test_a_saved_plan_has_none(cli: Cli) -> None:
    ended = cli("plan", "-e", "topic=x", "--out", "x.plan")
    assert ended.code == 2
    assert "-e goes with no saved plan" in ended.err
