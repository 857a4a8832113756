"""The built-in board profiles, and boards of a manifest's own."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource

from provision.boards import profile_from, profiles
from provision.core.chips.esp.chips import CHIPS as ESP_CHIPS
from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.family import ChipFamily
from provision.core.chips.registry import CHIPS, FAMILIES
from provision.model.board import ResetWiring
from provision.model.chip import Chip

MB = 1024 * 1024
SCHEMAS = {
    path.name: json.loads(path.read_text("utf-8"))
    for path in (Path(__file__).parents[2] / "schemas").glob("*.schema.json")
}
SCHEMA = SCHEMAS["board.schema.json"]
REGISTRY = Registry().with_resources(
    (name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)
WRITTEN = {
    Path(entry.name).stem: yaml.safe_load(entry.read_text("utf-8"))
    for entry in files("provision.boards").iterdir()
    if entry.name.endswith(".yaml")
}


def of_family(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = SCHEMAS[f"board-{name}.schema.json"]
    return schema


@pytest.mark.parametrize("schema", [SCHEMA, *map(of_family, FAMILIES)])
def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert all({"title", "description"} <= set(each) for each in schema["properties"].values())


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_family_has_a_schema_for_its_own_settings(family: ChipFamily) -> None:
    own = of_family(family.name)
    assert set(own["properties"]) == set(family.board_settings)
    assert not set(own["properties"]) & set(SCHEMA["properties"])
    assert {"$ref": f"board-{family.name}.schema.json"} in SCHEMA["allOf"]


def test_a_board_of_a_manifest_has_the_same_keys() -> None:
    manifest = SCHEMAS["fleet.schema.json"]["$defs"]["board"]["properties"]
    shared = set(SCHEMA["properties"])
    assert set(manifest) == shared.union(*(of_family(name)["properties"] for name in FAMILIES))
    assert manifest["chip"]["enum"] == SCHEMA["properties"]["chip"]["enum"] == list(CHIPS)


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_every_profile_is_valid(name: str) -> None:
    jsonschema.Draft202012Validator(SCHEMA, registry=REGISTRY).validate(WRITTEN[name])
    profile = profiles()[name]
    assert profile.name == name
    assert profile.download.endswith(".")
    assert profile.usb


# The table of the page this project started from: chip, flash, who enters download mode, header.
TABLE = [
    ("esp8266-bare", None, ResetWiring.NONE, "dio", "detect"),
    ("nodemcu", 4 * MB, ResetWiring.AUTO, "dio", "detect"),
    ("lolin-nodemcu", 4 * MB, ResetWiring.AUTO, "dio", "detect"),
    ("adafruit-huzzah-breakout", 4 * MB, ResetWiring.NONE, "dio", "detect"),
    ("adafruit-feather-huzzah", 4 * MB, ResetWiring.AUTO, "dio", "detect"),
    ("wemos-d1-mini", 4 * MB, ResetWiring.AUTO, "dio", "detect"),
    ("wemos-d1-mini-pro", 16 * MB, ResetWiring.AUTO, "dio", "4MB"),
    ("olimex-esp8266-dev", 2 * MB, ResetWiring.NONE, "dio", "detect"),
    ("olimex-esp8266-evb", 2 * MB, ResetWiring.NONE, "dio", "detect"),
]


@pytest.mark.parametrize(("name", "flash", "reset", "mode", "header"), TABLE)
def test_the_boards_of_the_table(
    name: str, flash: int | None, reset: ResetWiring, mode: str, header: str
) -> None:
    board = profiles()[name]
    assert board.chip is ESP8266
    assert (board.flash_size, board.reset) == (flash, reset)
    assert (board.settings["flash_mode"], board.settings["header_size"]) == (mode, header)
    assert board.release == "ESP8266_GENERIC"


@pytest.mark.parametrize("chip", CHIPS.values())
def test_every_chip_has_a_generic_board(chip: Chip) -> None:
    assert profiles()[chip.name].chip is chip


def test_words_for_fingers_name_the_button() -> None:
    assert "hold the user button" in profiles()["olimex-esp8266-evb"].download.lower()
    assert "GPIO0 to ground" in profiles()["esp8266-bare"].download
    assert profiles()["esp8266-1m"].variant == "FLASH_1M"


# esptool, docs/en/advanced-topics/boot-mode-selection.rst: IO9 where nothing else is said.
BOOT_PINS = {"esp32": 0, "esp32s2": 0, "esp32s3": 0, "esp32p4": 35, "esp32c5": 28}


@pytest.mark.parametrize("chip", [chip for chip in ESP_CHIPS if chip != ESP8266])
def test_the_button_for_download_mode_is_at_the_chips_own_pin(chip: Chip) -> None:
    pin = BOOT_PINS.get(chip.name, 9)
    assert f"BOOT (IO{pin})" in profiles()[chip.name].download
    quirks = [quirk for quirk in profiles()[chip.name].quirks if "boot pin" in quirk]
    assert quirks == ([f"Its boot pin is IO{pin}, not IO0."] if pin else [])


def test_a_board_of_ones_own_extends_another() -> None:
    base = profiles()["wemos-d1-mini"]
    data = {"extends": "wemos-d1-mini", "reset": "none", "baud": "230400", "usb": ["10C4:EA60"]}
    board = profile_from("shed", data, base)
    assert (board.name, board.title) == ("shed", "shed")
    assert (board.reset, board.baud, board.usb) == (ResetWiring.NONE, 230400, ("10c4:ea60",))
    assert (board.flash_size, board.download) == (base.flash_size, base.download)


def test_a_board_of_ones_own_from_its_chip_alone() -> None:
    board = profile_from("node", {"chip": "esp32c3", "title": "Node", "flash_size": "4MB"}, None)
    assert (board.title, board.flash_size, board.release) == ("Node", 4 * MB, "ESP32_GENERIC_C3")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "which chip"),
        ({"chip": "esp8288"}, "chip must be one of esp8266, esp32"),
        ({"chip": "esp32", "flash_size": "4 megs"}, "flash_size must be a size such as 4MB"),
        ({"chip": "esp32", "flash_mode": "dual"}, "flash_mode must be one of qio"),
        ({"chip": "esp32", "flash_freq": "40"}, "such as 40m"),
        ({"chip": "esp32", "reset": "maybe"}, "reset must be one of auto, usb-jtag, usb, none"),
        ({"chip": "esp32", "header_size": "big"}, "header_size must be a size"),
        ({"chip": "esp32", "usb": "10c4:ea60"}, "usb must be a list"),
        ({"chip": "esp32", "usb": ["cp2102"]}, "VID:PID"),
        ({"chip": "esp32", "baud": "fast"}, "bits per second"),
        ({"chip": "esp32", "title": " "}, "title must be text"),
        ({"chip": "esp32", "colour": "red"}, "a board with an ESP32 has no colour"),
    ],
)
def test_what_is_no_board(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        profile_from("x", data, None)


def test_a_board_cannot_extend_one_with_another_chip() -> None:
    with pytest.raises(ValueError, match="wemos-d1-mini has an ESP8266"):
        profile_from("x", {"chip": "esp32"}, profiles()["wemos-d1-mini"])


def test_editors_complete_every_built_in_board() -> None:
    """By name, with its title beside; a board without its line there is valid all the same."""
    schema = SCHEMAS["fleet.schema.json"]
    assert schema["$defs"]["boardName"]["defaultSnippets"] == [
        {"label": name, "description": one["title"], "body": name}
        for name, one in sorted(WRITTEN.items())
    ]
