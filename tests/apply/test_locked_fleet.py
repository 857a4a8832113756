"""A fleet that was locked once converges with no network, on the very bytes that were locked."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.sim.esp.firmware import build
from provision.sources.cache import Cache, user_cache
from provision.sources.mpy_cross import Compiler
from tests.apply.station import Station
from tests.fakes.indexes import serve_package, serve_releases
from tests.fakes.web import serving

MANIFEST = """
defaults: {packages: [greet], check: {expression: "__import__('app').ready()", timeout: 20}}
devices:
  one: {port: sim://one, board: esp32, firmware: latest, files: [{src: app.py, compile: true}]}
  two: {port: sim://two, board: wemos-d1-mini, firmware: 1.24.1, files: [app.py]}
"""
APP = "import greet\n\ndef ready():\n    return greet.hello() == 'hello'\n"


def test_lock_then_cut_the_network(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    station.board("one", ESP32)
    station.board("two", ESP8266)
    station.write("app.py", APP)
    station.write("fleet.yaml", MANIFEST)
    source = b"def hello():\n    return 'hello'\n"
    package = Compiler(Cache(user_cache())).compile(
        source, name="greet.py", version="1.24.1", chip=ESP32
    )
    with serving() as site:
        monkeypatch.setenv("PROVISION_INDEX", site.base)
        refused = station.provision("apply", "--yes")
        assert refused.code == 3, refused.said
        assert "provision lock" in refused.err
        for board, chip in (("ESP32_GENERIC", ESP32), ("ESP8266_GENERIC", ESP8266)):
            name = f"{board}-20241129-v1.24.1.bin"
            serve_releases(site, board, {name: build(chip, "1.24.1")})
        serve_package(site, "greet", {"greet.mpy": package}, version="1.0")
        locked = station.provision("lock")
        assert locked.code == 0, locked.said
    # Nobody answers at the index any more.
    ended = station.apply("--yes")
    assert ended.outcomes == {"one": "changed", "two": "changed"}
    assert station.files("one").keys() >= {"/app.mpy", "/lib/greet.mpy"}
    assert station.files("two", ESP8266)["/lib/greet.mpy"] == package
    assert station.apply().outcomes == {"one": "ok", "two": "ok"}
    station.type("one", "import os; os.rename('/lib/greet.mpy', '/greet.mpy')")
    again = station.apply("--limit", "one")
    assert "write-file /lib/greet.mpy" in again.done("one")


def test_bytecode_replaces_the_source_that_would_shadow_it(station: Station) -> None:
    """The board held the source; now its bytecode is wanted, and is what gets imported."""
    station.board("one", ESP32, station.firmware(ESP32))
    station.write("mod.py", "WHERE = 'old'\n")
    manifest = """
    devices:
      one: {{port: sim://one, board: esp32, firmware: {{file: {image}}}, files: [{entry}]}}
    """
    image = station.firmware(ESP32)
    station.write("fleet.yaml", manifest.format(image=image, entry="mod.py"))
    station.apply()
    station.write("mod.py", "WHERE = 'new'\n")
    compiled = "{src: mod.py, compile: true}"
    station.write("fleet.yaml", manifest.format(image=image, entry=compiled))
    ended = station.apply()
    assert {"write-file /mod.mpy", "delete-file /mod.py"} <= set(ended.done("one"))
    assert station.type("one", "import mod", "mod.WHERE") == "'new'"
    assert station.apply().outcomes == {"one": "ok"}


def test_a_stick_with_everything_on_it(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.board("two", ESP8266)
    station.write(
        "fleet.yaml", "devices: {two: {port: sim://two, board: wemos-d1-mini, firmware: 1.24.1}}"
    )
    with serving() as site:
        monkeypatch.setenv("PROVISION_INDEX", site.base)
        name = "ESP8266_GENERIC-20241129-v1.24.1.bin"
        serve_releases(site, "ESP8266_GENERIC", {name: build(ESP8266, "1.24.1")})
        assert station.provision("lock").code == 0
        assert station.provision("vendor").code == 0
    monkeypatch.setenv("PROVISION_CACHE_DIR", str(tmp_path / "another computer"))
    ended = station.apply("--yes", "--offline")
    assert ended.outcomes == {"two": "changed"}
    assert not (tmp_path / "another computer").exists()
