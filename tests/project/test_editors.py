"""A manifest in an editor: mistakes, completion and explanations, by the YAML language server that
VS Code, Neovim, Helix and others run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provision.project.schemas import fleet_schema
from tests.language_server import LanguageServer, inserted, language_server
from tests.project.test_examples import BLOCK, MANIFESTS

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "schemas" / "fleet.schema.json"
FIRST = f"# yaml-language-server: $schema={SCHEMA.as_uri()}\n"
SERVER = "node_modules/yaml-language-server/bin/yaml-language-server"
# .ci/run installs it beside what pip has installed.
INSTALLED = Path(sys.prefix) / "editors" / SERVER

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node"),
    pytest.mark.skipif(
        not INSTALLED.exists(),
        reason="needs `npm install --prefix .venv/editors yaml-language-server@1.25.0`",
    ),
]


def settings() -> dict[str, Any]:
    """Those of VS Code in docs/editors.md; nothing is looked up elsewhere."""
    page = (ROOT / "docs" / "editors.md").read_text("utf-8")
    (block,) = re.findall(r"^```json\n(\{\n +\"yaml\.customTags\".*?)^```$", page, re.M | re.S)
    tags = json.loads(block)["yaml.customTags"]
    common = {"validate": True, "hover": True, "completion": True}
    return {"yaml": {**common, "customTags": tags, "schemaStore": {"enable": False}}}


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageServer]:
    with language_server(["node", INSTALLED, "--stdio"], settings()) as started:
        yield started


def offered(server: LanguageServer, path: Path, text: str) -> dict[str, str]:
    """What is completed where the text has a |."""
    before, _, after = text.partition("|")
    uri = server.open(path, FIRST + before + after)
    return server.completions(uri, before.count("\n") + 1, len(before.rpartition("\n")[2]))


def test_a_mistake_is_shown_where_it_is(server: LanguageServer, tmp_path: Path) -> None:
    text = """\
devices:
  kitchen:
    prot: /dev/ttyUSB0
    mac: 5c-cf
    vars: {wifi: !secret wifi, home: !env HOME}
    files:
      - {src: app/, state: gone}
    firmware: 1.20
"""
    uri = server.open(tmp_path / "fleet.yaml", FIRST + text)
    told = {one["range"]["start"]["line"]: one["message"] for one in server.diagnostics(uri)}
    assert told == {
        3: "Property prot is not allowed.",
        4: 'a MAC address such as "5c:cf:7f:01:02:03"',
        7: 'Value is not accepted. Valid values: "present", "absent".',
    }


def test_tags_are_unknown_without_the_setting(tmp_path: Path) -> None:
    """The day that this fails, docs/editors.md need not ask for it any more."""
    with language_server(["node", INSTALLED, "--stdio"], {"yaml": {"validate": True}}) as plain:
        uri = plain.open(tmp_path / "x.yaml", FIRST + "devices: {a: {vars: {b: !secret c}}}\n")
        assert [one["message"] for one in plain.diagnostics(uri)] == ["Unresolved tag: !secret"]


def test_the_first_line_goes_before_what_an_editor_knows_of_the_name(tmp_path: Path) -> None:
    """SchemaStore has `fleet.yaml` for Rancher Fleet: a schema like that, as a setting."""
    other = tmp_path / "other.json"
    other.write_text('{"type": "object", "required": ["namespace"]}')
    known = settings()
    known["yaml"]["schemas"] = {other.as_uri(): "fleet.yaml"}
    with language_server(["node", INSTALLED, "--stdio"], known) as started:
        uri = started.open(tmp_path / "fleet.yaml", "devices: {}\n")
        (told,) = started.diagnostics(uri)
        assert told["message"] == 'Missing property "namespace".'
        uri = started.open(tmp_path / "sub" / "fleet.yaml", FIRST + "devices: {}\n")
        assert started.diagnostics(uri) == []
    entry = json.loads((ROOT / "tools" / "schemastore.json").read_text("utf-8"))
    assert entry.keys() == {"name", "description", "fileMatch", "url"}
    assert entry["url"].endswith("/schemas/fleet.schema.json")
    assert not any("fleet.yaml" in pattern for pattern in entry["fileMatch"])


MEANT = {"firmwear"}  # what the tutorial has its reader find


def shipped() -> list[tuple[str, str]]:
    """Every whole manifest of the examples and of the documentation."""
    found = [(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in MANIFESTS]
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, block in enumerate(BLOCK.findall(page.read_text("utf-8"))):
            meant = any(word in block for word in MEANT)
            if re.search(r"^devices:", block, re.MULTILINE) and not meant:
                found.append((f"{page.stem}-{number}", block))
    return found


def test_no_manifest_that_is_shown_has_a_mistake(server: LanguageServer, tmp_path: Path) -> None:
    wrong = {}
    texts = shipped()
    assert len(texts) > 15
    for place, (name, text) in enumerate(texts):
        own = re.sub(r"^# yaml-language-server.*\n", "", text)
        uri = server.open(tmp_path / f"{place}.yaml", FIRST + own)
        if told := [one["message"] for one in server.diagnostics(uri)]:
            wrong[name] = told
    assert wrong == {}


KEYS = {
    "top": ("|\n", ""),
    "defaults": ("defaults:\n  |\n", "devices: {}\n"),
    "device": ("devices:\n  kitchen:\n    |\n", ""),
    "firmware": ("devices: {}\nfirmware:\n  mine:\n    |\n", ""),
    "port": ("devices:\n  kitchen:\n    port:\n      |\n", ""),
    "file": ("devices:\n  kitchen:\n    files:\n      - |\n", ""),
    "check": ("devices:\n  kitchen:\n    check:\n      |\n", ""),
    "devices": ("devices:\n  |\n", ""),
    "step": ("devices:\n  kitchen:\n    check:\n      - |\n", ""),
    "nvs": ("devices:\n  kitchen:\n    nvs:\n      app:\n        key:\n          |\n", ""),
    "certificate": ("devices:\n  kitchen:\n    certificate:\n      |\n", ""),
    "station": ("devices: {unit: {}}\nstation:\n  |\n", ""),
    "rollout": ("devices: {}\nrollout:\n  |\n", ""),
    "board": ("devices: {}\nboards:\n  mine:\n    |\n", ""),
}
SHOWN = {
    "top": {"devices", "groups", "defaults", "firmware", "station"},
    "device": {"board", "firmware", "port", "files", "groups", "mac", "vars", "check"},
    "file": {"src", "dest", "template", "state", "create_only"},
    # The server completes no keys where only one may be: snippets stand for them.
    "port": {"by its USB socket", "by its USB serial number", "by its MAC address"},
    "nvs": {"a text, as bytes", "the bytes of a file"},
    "devices": {"one board", "a range of boards"},
    "check": {"console", "expression", "timeout", "on_failure", "a line on the console"},
}


@pytest.mark.parametrize("where", KEYS)
def test_keys_are_completed_with_a_value_that_is_valid(
    server: LanguageServer, tmp_path: Path, where: str
) -> None:
    before, after = KEYS[where]
    snippets = offered(server, tmp_path / f"{where}.yaml", before + after)
    keys = {label: text for label, text in snippets.items() if not label.startswith("!")}
    assert keys.keys() >= SHOWN.get(where, set()) and keys
    lead, _, tail = before.partition("|")
    (indent,) = re.findall(r"^ *", lead.rpartition("\n")[2])  # editors indent as the line is
    wrong = {}
    for label, snippet in keys.items():
        text = lead + inserted(snippet).replace("\n", f"\n{indent}").rstrip(" ") + tail + after
        uri = server.open(tmp_path / f"{where}-{label}.yaml", FIRST + text)
        told = {one["message"] for one in server.diagnostics(uri)}
        if told := {each for each in told if not is_for_the_user(each, snippet)}:
            wrong[label] = (text, told)
    assert wrong == {}


def is_for_the_user(message: str, snippet: str) -> bool:
    """A key that is missing still, or a value that nothing was proposed for."""
    is_open = re.search(r": *$|\$\d|\$\{\d\}", snippet, re.MULTILINE) is not None
    return message.startswith("Missing property") or (
        is_open and message.startswith(("Incorrect type", "Value is not accepted"))
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("devices:\n  k:\n    board: |\n", {"esp32", "pico-w", "wemos-d1-mini"}),
        ("devices:\n  k:\n    firmware:\n      verify: |\n", {"banner", "flash"}),
        ("devices:\n  k:\n    files:\n      - src: a\n        state: |\n", {"present", "absent"}),
        ("devices:\n  k:\n    check:\n      on_failure: |\n", {"keep", "rollback"}),
        ("devices: {}\nboards:\n  b:\n    reset: |\n", {"auto", "usb-jtag", "usb", "none"}),
    ],
)
def test_values_are_completed(
    server: LanguageServer, tmp_path: Path, text: str, values: set[str]
) -> None:
    assert offered(server, tmp_path / f"{sorted(values)[0]}.yaml", text).keys() >= values


def test_no_proposal_has_the_name_of_a_type(server: LanguageServer, tmp_path: Path) -> None:
    """An example that is a mapping is shown as `[object Object]`: that is what snippets are for."""
    for key in fleet_schema()["properties"]:
        labels = offered(server, tmp_path / f"top-{key}.yaml", f"{key}: |\n")
        assert not [label for label in labels if "object" in label]
    for key in fleet_schema()["$defs"]["device"]["properties"]:
        path = tmp_path / f"device-{key}.yaml"
        snippets = offered(server, path, f"devices:\n  k:\n    {key}: |\n")
        assert not [each for pair in snippets.items() for each in pair if "object" in each]


def test_keys_are_explained(server: LanguageServer, tmp_path: Path) -> None:
    text = "rollout: {batches: [1]}\ndevices:\n  kitchen:\n    check: {on_failure: keep}\n"
    uri = server.open(tmp_path / "hover.yaml", FIRST + text)
    schema = fleet_schema()
    for line, character, part in (
        (1, 2, schema["properties"]["rollout"]),
        (2, 2, schema["properties"]["devices"]),
        (4, 14, schema["$defs"]["checkStep"]["properties"]["on_failure"]),
    ):
        shown = server.hover(uri, line, character).replace("\\", "")
        assert part["title"] in shown
        assert part["description"].replace("`", "") in shown.replace("`", "")
