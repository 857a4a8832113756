"""Chip families: each is complete, and nothing above them names a chip."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.core.chips.family import ChipFamily
from provision.core.chips.registry import CHIPS, FAMILIES, chip_named, family_of, paces_of
from provision.model.chip import Chip
from provision.model.firmware import Firmware
from provision.model.state import ActualState, FirmwareIdentity
from tests.images import profile

ROOT = Path(__file__).parents[3] / "provision"
ESPRESSIF = re.compile(r"esp(32|8266|tool)", re.IGNORECASE)


def code_of(source: str) -> str:
    """A module without its comments."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(lines)


def neutral_modules() -> list[Path]:
    rooms = [ROOT / room for room in ("engine", "model", "interfaces", "device/micropython")]
    files = [ROOT / name for name in ("api.py", "app.py")]
    return [*files, *(path for room in rooms for path in sorted(room.rglob("*.py")))]


@pytest.mark.parametrize("path", neutral_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_above_the_families_names_a_chip(path: Path) -> None:
    named = ESPRESSIF.findall(code_of(path.read_text("utf-8")))
    assert named == []


def test_a_chip_in_code_would_be_seen() -> None:
    assert ESPRESSIF.search(code_of("X = 1  # as esptool has it\n")) is None
    assert ESPRESSIF.search(code_of('def f():\n    return "esp32"\n')) is not None


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_family_is_complete(family: ChipFamily) -> None:
    assert FAMILIES[family.name] is family
    for chip in family.chips:
        assert chip.family == family.name
        assert family_of(chip) is family
        assert family.bytecode_architecture(chip)
        assert family.chip_of_machine(f"Some board with {chip.label.replace('-', '')}") == chip
        leads = [pace.lead for pace in family.paces(chip)]
        assert leads
        assert all(lead <= 256 for lead in leads)  # the smallest receive ring there is
        offset, size = family.image_start(chip)
        assert offset >= 0
        assert not family.starts_image(b"\xff" * size)


def test_chips_are_found_by_name() -> None:
    assert all(chip_named(name) is chip and chip.name == name for name, chip in CHIPS.items())
    with pytest.raises(ValueError, match=r"must be one of esp8266, esp32, .*, not 'esp99'"):
        chip_named("esp99")


def test_a_chip_that_is_not_known_yet_is_fed_as_the_smallest() -> None:
    assert paces_of(None) == paces_of(ESP8266)
    assert paces_of(ESP32) != paces_of(ESP8266)


def test_an_image_of_another_family_is_refused_for_its_chip() -> None:
    other = Chip(name="other1", label="Other-1", family="other")
    identity = FirmwareIdentity(version="1.24.1", machine="Some board with Other-1", chip=other)
    firmware = Firmware(name="x.uf2", data=b"1234", identity=identity, base=0)
    refusals = family_of(ESP32).image_refusals(firmware, profile(ESP32), ActualState())
    assert [refusal.kind for refusal in refusals] == ["wrong-chip"]


def test_an_image_of_another_family_is_not_taken_apart() -> None:
    other = Chip(name="other1", label="Other-1", family="other")
    identity = FirmwareIdentity(version="1.24.1", machine="Some board with Other-1", chip=other)
    firmware = Firmware(name="x.uf2", data=b"1234", identity=identity, base=0)
    with pytest.raises(TypeError, match=r"x\.uf2 is no image of this family"):
        family_of(ESP32).regions(firmware, profile(ESP32), None)
