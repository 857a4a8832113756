"""The virtual board's NVS is in real pages: what it writes the tool's own reader finds, what
Espressif's generator wrote it finds, and wherever the power fails nothing else is lost."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.core.nvs_format import PAGE, items_in, read_entries
from provision.device.flashing.nvs_image import nvs_partition
from provision.model.unit_data import NvsEntry
from provision.sim.chip.flash import Work
from provision.sim.esp.firmware import build
from tests.nvs_sets import WIFI, entry, random_set
from tests.sim.bench import Bench

START, SIZE = 0x9000, 6 * PAGE
OPEN = "from esp32 import NVS; o = {}\ndef s(n): return o.get(n) or o.setdefault(n, NVS(n))"
OF_WIFI = [
    entry(WIFI, "sta.ssid", "blob", b"\x04\0\0\0home" + bytes(28)),
    entry(WIFI, "opmode", "u8", 1),
    entry("phy", "cal_version", "u32", 5),
]


def with_nvs(bench: Bench, entries: list[NvsEntry]) -> None:
    """A board whose NVS holds these when it boots first."""
    bench.flash.erase(START, SIZE)
    bench.flash.program(START, nvs_partition(entries, SIZE))


def held(bench: Bench) -> dict[str, NvsEntry]:
    return {one.name: one for one in read_entries(bench.flash.read(START, SIZE))}


def wifi_items(bench: Bench) -> list[tuple[bytes, bytes | None]]:
    """Those of the chip's own namespaces as they lie in flash, byte for byte."""
    items = list(items_in(bench.flash.read(START, SIZE)))
    names = {item.head[24] for item in items if item.namespace == 0 and item.key in (WIFI, "phy")}
    return sorted((item.head, item.data) for item in items if item.namespace in names)


def test_what_espressif_wrote_the_board_reads(tmp_path: Path) -> None:
    wanted = [one for one in random_set(3) if one.type in ("i32", "blob")] + OF_WIFI[:1]
    with Bench(tmp_path, ESP32) as bench:
        with_nvs(bench, wanted)
        bench.boot()
        bench.raw()
        bench.run(f"{OPEN}\nb = bytearray(9000)")
        for one in wanted:
            if one.type == "i32":
                code = f"print(s('{one.namespace}').get_i32('{one.key}'))"
                assert bench.run(code) == str(one.value)
            else:
                bench.run(f"n = s('{one.namespace}').get_blob('{one.key}', b)")
                told = bench.run("import hashlib; print(n, hashlib.sha256(b[:n]).digest().hex())")
                assert told == f"{len(one.data or b'')} {sha256(one.data or b'').hexdigest()}"
        assert sorted(held(bench)) == sorted(one.name for one in wanted), "reading writes nothing"


@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_board_writes_the_reader_finds(tmp_path: Path, seed: int) -> None:
    """Values come, change and go until every page has been moved more than once."""
    rng = random.Random(seed)
    expected = {one.name: one for one in OF_WIFI}
    with Bench(tmp_path, ESP32) as bench:
        with_nvs(bench, OF_WIFI)
        bench.boot()
        bench.raw()
        before = wifi_items(bench)
        bench.run(OPEN)
        for _ in range(25):
            code = []
            for _ in range(12):
                space, key = f"n{rng.randint(0, 2)}", f"k{rng.randint(0, 9)}"
                name, kind = f"{space}.{key}", rng.choice(["i32", "blob", "gone"])
                there = expected.get(name)
                if kind == "gone" or (there is not None and there.type != kind):
                    if expected.pop(name, None) is not None:
                        code.append(f"s('{space}').erase_key('{key}')")
                elif kind == "i32":
                    number = rng.randint(-(1 << 31), (1 << 31) - 1)
                    code.append(f"s('{space}').set_i32('{key}', {number})")
                    expected[name] = entry(space, key, "i32", number)
                else:
                    size, byte = rng.choice([0, 5, 32, 400, 1900]), rng.randrange(256)
                    code.append(f"s('{space}').set_blob('{key}', bytes([{byte}]) * {size})")
                    expected[name] = entry(space, key, "blob", bytes([byte]) * size)
            assert bench.run("\n".join(code)) == ""
            assert held(bench) == expected
        assert wifi_items(bench) == before
        numbers = {item.page for item in items_in(bench.flash.read(START, SIZE))}
        assert max(numbers) > 6, "no page was moved"


def test_errors_are_the_chips(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32) as bench:
        bench.boot()
        bench.raw()
        code = (
            f"{OPEN}\ndef t(f, *a):\n try:\n  f(*a)\n except OSError as e:\n  print(e)\n"
            "t(s('app').get_i32, 'k')\nt(s('app').erase_key, 'k')\nt(NVS, 'x' * 16)\n"
            "t(s('app').set_i32, 'x' * 16, 1)\ns('app').set_blob('b', b'123')\n"
            "t(s('app').get_blob, 'b', bytearray(2))\nt(s('app').set_blob, 'c', bytes(24000))"
        )
        assert bench.run(code).split("\n") == [
            "(-4354, 'ESP_ERR_NVS_NOT_FOUND')",
            "(-4354, 'ESP_ERR_NVS_NOT_FOUND')",
            "(-4361, 'ESP_ERR_NVS_KEY_TOO_LONG')",
            "(-4361, 'ESP_ERR_NVS_KEY_TOO_LONG')",
            "(-4364, 'ESP_ERR_NVS_INVALID_LENGTH')",
            "(-4357, 'ESP_ERR_NVS_NOT_ENOUGH_SPACE')",
        ]


@pytest.mark.parametrize("work", [Work.PROGRAM, Work.ERASE])
def test_a_power_cut_loses_nothing_that_was_there(tmp_path: Path, work: Work) -> None:
    """At any of its writes: the value is the old or the new one, all others are as they were."""
    for count in range(1, 12 if work is Work.PROGRAM else 3):
        folder = tmp_path / f"{work}{count}"
        folder.mkdir()
        with Bench(folder, ESP32) as bench:
            # So full that a new value needs a page to be moved.
            full = [entry("app", f"f{number}", "blob", bytes(3000)) for number in range(5)]
            with_nvs(bench, [*OF_WIFI, *full, entry("app", "k", "i32", 1)])
            bench.boot()
            bench.raw()
            before, wifi = held(bench), wifi_items(bench)
            bench.run("from esp32 import NVS; n = NVS('app')")
            cut: list[bool] = []
            bench.application.cut_power(work, count, lambda cut=cut: cut.append(True))
            bench.application.receive(b"n.erase_key('f0'); n.set_blob('f1', b'1' * 3900)\x04")
            bench.wait(lambda cut=cut, bench=bench: cut or b"\x04>" in bench.output, "the end")
            bench.application.cancel_power_cut()
            bench.boot()
            bench.raw()
            after = held(bench)
            for name, one in before.items():
                if name not in ("app.f0", "app.f1"):
                    assert after.get(name) == one, (count, name)
            assert after["app.f1"].data in (bytes(3000), b"1" * 3900), count
            assert [data for _, data in wifi_items(bench)] == [data for _, data in wifi]
            bench.run("from esp32 import NVS; NVS('app').set_i32('k', 7)")
            assert held(bench)["app.k"].value == 7, count


def test_nothing_is_there_twice_after_a_first_boot(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32, firmware=None) as bench:
        bench.install(build(ESP32, "1.24.1"))
        bench.boot()
        assert held(bench) == {}
        assert bench.flash.read(START, 4) == b"\xfe\xff\xff\xff"
