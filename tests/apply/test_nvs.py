"""`nvs:` on virtual boards, whose NVS is read back past our own code: by the board's own module and
in the bytes of its flash."""

from __future__ import annotations

import json

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.core.nvs_format import PAGE, NvsItem, items_in, read_entries
from provision.device.flashing.nvs_image import nvs_partition
from provision.model.unit_data import NvsEntry
from tests.apply.station import Station
from tests.nvs_sets import WIFI, entry

START, SIZE = 0x9000, 6 * PAGE
SECRET = "s3cret-of-kitchen"
OF_THE_CHIP = [
    entry(WIFI, "sta.ssid", "blob", b"\x04\0\0\0home" + bytes(28)),
    entry(WIFI, "sta.pswd", "blob", b"wifi-password" + bytes(51)),
    entry("phy", "cal_data", "blob", bytes(range(256)) * 7),
    entry("phy", "cal_version", "u32", 5),
]
OTHERS = [entry("app", "boots", "i32", 12), entry("app", "note", "str", "left alone")]
MANIFEST = """
devices:
  x:
    port: sim://x
    board: esp32
    vars: {{token: !secret token, number: 7}}
    nvs:
      app:
        at: 60
        unit: {{i32: "{{{{ number + 1000 }}}}"}}
        token: {{blob: "{{{{ token }}}}"}}
        key: {{hex: "00 ff 10"}}
{more}"""
NUMBERS = ("u8", "i8", "u16", "i16", "u32", "u64", "i64")


def manifest(station: Station, *entries: str, firmware: bool = False, more: str = "") -> None:
    """The manifest with more entries of the namespace `app`, and more keys of the device."""
    text = MANIFEST.format(more="".join(f"        {one}\n" for one in entries))
    if firmware:
        text += f"    firmware: {{file: {station.firmware(ESP32)}}}\n"
    station.write("fleet.yaml", text + more)
    station.write("secrets.yaml", f"token: {SECRET}\n")


def preload(station: Station, entries: list[NvsEntry]) -> None:
    """NVS as it lies in flash before the board boots."""
    with station.flash_file("x").open("r+b") as flash:
        flash.seek(START)
        flash.write(nvs_partition(entries, SIZE))


def held(station: Station) -> dict[str, object]:
    partition = station.flash("x")[START : START + SIZE]
    return {one.name: one.value for one in read_entries(partition)}


def items_of(station: Station, *namespaces: str) -> list[NvsItem]:
    items = list(items_in(station.flash("x")[START : START + SIZE]))
    names = {one.head[24] for one in items if one.namespace == 0 and one.key in namespaces}
    return sorted((one for one in items if one.namespace in names), key=lambda one: one.head)


WANTED = {
    "app.at": 60,
    "app.key": b"\x00\xff\x10",
    "app.token": SECRET.encode(),
    "app.unit": 1007,
}


def test_entries_are_set_and_nothing_else_is_touched(station: Station) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    preload(station, [*OF_THE_CHIP, *OTHERS, entry("app", "at", "i32", 5)])
    before, wifi = items_of(station, WIFI, "phy"), held(station)
    manifest(station)
    plan = station.plan("--json")
    assert plan.planned("x") == ["write-nvs"] * 4 + ["reset"]
    assert SECRET not in plan.said
    reasons = {
        one["key"]: one["reason"] for one in plan.of("device-planned")[0]["plan"]["actions"][:4]
    }
    assert reasons["at"] == "it is 5, 60 is wanted"
    assert held(station) == wifi, "a plan writes nothing, not even an empty namespace"

    ended = station.apply("-vv")
    assert ended.done("x") == ["write-nvs"] * 4 + ["reset"]
    assert SECRET not in ended.said
    assert SECRET.encode().hex() not in ended.said
    assert held(station) == {**wifi, **WANTED}
    assert items_of(station, WIFI, "phy") == before, "byte for byte"
    code = "import esp32; n = esp32.NVS('app'); b = bytearray(9)"
    assert station.type("x", code, "n.get_i32('unit'), n.get_blob('key', b), bytes(b[:3])") == (
        "(1007, 3, b'\\x00\\xff\\x10')"
    )
    again = station.apply()
    assert again.outcomes == {"x": "ok"}
    assert again.done("x") == []


def test_a_namespace_in_all_its_types_goes_with_the_firmware(station: Station) -> None:
    """A blank board: one visit to download mode, nothing left for the REPL."""
    station.board("x", ESP32, None)
    every = [f"{kind}: {{{kind}: 100}}" for kind in NUMBERS]
    manifest(station, *every, "say: {str: Grüße}", firmware=True, more="    files: [main.py]\n")
    station.write("main.py", "print(1)")
    ended = station.apply("--yes")
    assert [one for one in ended.done("x") if one == "write-nvs"] == ["write-nvs"] * 12
    assert not [one for one in ended.of("stage-started") if one["stage"] in ("nvs", "files")]
    found = held(station)
    numbers = {f"app.{kind}": 100 for kind in NUMBERS}
    assert found == {**WANTED, **numbers, "app.say": "Grüße"}
    assert station.apply().outcomes == {"x": "ok"}


def test_an_erase_that_spares_nvs_leaves_wifi_alone(station: Station) -> None:
    """A board whose firmware is gone, and whose Wi-Fi is not: its entries are set one by one."""
    station.board("x", ESP32, None)
    preload(station, [*OF_THE_CHIP, *OTHERS])
    before, there = items_of(station, WIFI, "phy"), held(station)
    manifest(station, firmware=True)
    ended = station.apply("--yes")
    assert [one for one in ended.of("stage-started") if one["stage"] == "nvs"]
    assert held(station) == {**there, **WANTED}
    assert items_of(station, WIFI, "phy") == before
    assert station.apply().outcomes == {"x": "ok"}


def test_what_micropython_cannot_write_is_refused_where_wifi_is_to_stay(station: Station) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    preload(station, OF_THE_CHIP)
    manifest(station, "say: {str: hello}")
    before = station.flash("x")
    ended = station.apply(code=4)
    assert ended.outcomes == {"x": "refused"}
    finished = ended.finished("x")
    assert "app.say (str) cannot be set" in finished["error"]
    assert "erase: always" in finished["hint"]
    assert station.flash("x") == before


def test_facts_lists_it_with_secrets_and_wifi_masked(station: Station) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    preload(station, [*OF_THE_CHIP, *OTHERS])
    manifest(station)
    station.apply()
    shown = station.provision("facts", "--nvs", "fleet.yaml")
    assert shown.code == 0
    lines = [line.split() for line in shown.out.splitlines() if line.startswith("  ")]
    assert ["app.at", "i32", "60"] in lines
    assert ["app.note", "str", "left", "alone"] in lines
    assert ["app.token", "blob", "***"] in lines
    assert [f"{WIFI}.sta.pswd", "blob", "(not", "read)"] in lines
    assert SECRET not in shown.said
    assert "wifi-password" not in shown.said
    data = json.loads(station.provision("facts", "--nvs", "--json", "fleet.yaml").out)
    values = {(one["namespace"], one["key"]): one["value"] for one in data[0]["nvs"]}
    assert values["app", "boots"] == 12
    assert values["app", "token"] == "***"
    assert values["phy", "cal_version"] is None


def test_an_update_that_was_cut_is_finished(station: Station) -> None:
    """The board dies in the middle of its entries, and the next run sets the rest."""
    station.board("x", ESP32, station.firmware(ESP32))
    preload(station, [*OF_THE_CHIP, *OTHERS])
    before, wifi = items_of(station, WIFI, "phy"), held(station)
    manifest(station)
    station.fault("x", "cut-write", after=6)
    station.provision("apply", "fleet.yaml", "--json")
    station.fault("x", "power-on")
    assert set(held(station)) != {*wifi, *WANTED}
    ended = station.apply()
    assert ended.outcomes == {"x": "changed"}
    assert held(station) == {**wifi, **WANTED}
    assert items_of(station, WIFI, "phy") == before


def test_the_image_for_other_tools_has_it(station: Station) -> None:
    manifest(station, firmware=True, more="    files: [main.py]\n")
    station.write("main.py", "print(1)")
    made = station.provision("image", "build", "x", "-o", "x.bin")
    assert made.code == 0, made.said
    data = (station.work / "x.bin").read_bytes()
    found = read_entries(data[START - 0x1000 : START - 0x1000 + SIZE])
    assert {one.name: one.value for one in found} == WANTED


@pytest.mark.parametrize(
    ("nvs", "told"),
    [
        ("{app: {k: {u8: 300}}}", "'300' is no u8, which goes from 0 to 255"),
        ("{app: {k: {i32: '{{ name }}'}}}", "'x' is not a whole number"),
        ("{app: {k: {hex: abc}}}", "'abc' is not hexadecimal digits"),
        ("{app: {k: {base64: '*'}}}", "'*' is not base64"),
        ("{app: {k: {u8: '{{ pin }}'}}}", "a value (not shown: a secret is part of it) is no u8"),
        ("{app: {k: {file: gone.bin}}}", "'gone.bin': No such file"),
        ("{app: {k: {blob: '{{ nobody }}'}}}", "'nobody' is undefined"),
        ("{nvs.net80211: {k: 1}}", "the namespace 'nvs.net80211' is the firmware's own"),
        ("{app: {a-key-too-long-for-it: 1}}", "'a-key-too-long-for-it' cannot be a name in NVS"),
        ("{app: {k: text}}", "expected a whole number or a mapping, got 'text'"),
        ("{app: {k: {u8: 1, i8: 2}}}", "expected exactly one of u8"),
        ("{app: {k: {word: 1}}}", "unknown key 'word'"),
    ],
)
def test_mistakes_are_told_where_they_are(station: Station, nvs: str, told: str) -> None:
    head = "devices:\n  x:\n    port: sim://x\n    board: esp32\n    vars: {pin: !secret token}\n"
    station.write("fleet.yaml", f"{head}    nvs: {nvs}\n")
    station.write("secrets.yaml", "token: '98765'\n")
    ended = station.provision("validate", "fleet.yaml")
    assert ended.code == 3
    assert told in ended.said
    assert "fleet.yaml:6:" in ended.said
    assert "98765" not in ended.said


def test_a_chip_without_nvs_is_told(station: Station) -> None:
    station.write(
        "fleet.yaml",
        "devices:\n  x:\n    port: sim://x\n    board: wemos-d1-mini\n    nvs: {app: {k: 1}}\n",
    )
    ended = station.provision("validate", "fleet.yaml")
    assert ended.code == 3
    assert "fleet.yaml:5:17: devices.x.nvs.app.k: an ESP8266 has no NVS" in ended.said
    assert ESP8266.label in ended.said
