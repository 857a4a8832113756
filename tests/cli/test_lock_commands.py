"""`provision lock`, `vendor` and `cache`: a fleet resolved once is had again without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.sim.esp.firmware import build
from provision.sources.cache import Cache, object_path, user_cache
from tests.cli.conftest import Cli
from tests.fakes.indexes import serve_package, serve_releases
from tests.fakes.web import Site, serving, status
from tests.fleets import write_tree

V124 = build(ESP32, "1.24.1")
V125 = build(ESP32, "1.25.0")
OWN = build(ESP8266, "1.23.0")
NAME_124 = "ESP32_GENERIC-20241129-v1.24.1.bin"
NAME_125 = "ESP32_GENERIC-20250415-v1.25.0.bin"
SIMPLE = b"M\x06\x00\x1f simple"

MANIFEST = """
fleet: greenhouse
firmware:
  newest: {version: latest, board: ESP32_GENERIC}
  own: {file: own.bin, version: 1.23.0}
defaults: {board: esp32, packages: [umqtt.simple]}
devices:
  kitchen: {firmware: newest}
  garden: {firmware: 1.24.1, files: [{src: app.py, compile: true}]}
  gate: {board: wemos-d1-mini, firmware: own}
  attic: {files: [app.py]}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Both indexes, and a project in `tmp_path` that finds them."""
    write_tree(tmp_path, {"fleet.yaml": MANIFEST, "app.py": "print('hello')\n"})
    (tmp_path / "own.bin").write_bytes(OWN)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with serving() as running:
        monkeypatch.setenv("PROVISION_INDEX", running.base)
        serve_releases(running, "ESP32_GENERIC", {NAME_124: V124})
        serve_package(running, "umqtt.simple", {"umqtt/simple.mpy": SIMPLE}, version="1.4.0")
        serve_package(running, "umqtt.simple", {"umqtt/simple.py": b"x = 1\n"}, kind="py")
        yield running


def lock_file(folder: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = yaml.safe_load((folder / "fleet.lock").read_text())
    return found


def test_locks_what_a_fleet_needs(cli: Cli, site: Site, tmp_path: Path) -> None:
    ended = cli("lock")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0].startswith("+ ESP32_GENERIC 1.24.1: 1.24.1, sha256 ")
    assert "+ umqtt.simple (mpy-6): 1.4.0, 1 file" in ended.out
    locked = lock_file(tmp_path)
    assert set(locked["firmware"]) == {
        "ESP32_GENERIC 1.24.1",
        "ESP32_GENERIC latest",
        "own.bin",
    }
    assert locked["packages"]["umqtt.simple"].keys() == {"mpy-6", "py"}  # type: ignore[attr-defined]
    assert cli("lock").out == "the lock is up to date\n"


def test_what_is_locked_needs_no_network(cli: Cli, site: Site, tmp_path: Path) -> None:
    assert cli("lock").code == 0
    shown = cli("show", "--json", "--offline").json
    files = {
        device["name"]: {file["dest"]: file["source"] for file in device["files"]}
        for device in shown["devices"]
    }
    assert files == {
        "kitchen": {"/lib/umqtt/simple.mpy": "umqtt.simple"},
        "garden": {"/app.mpy": "app.py", "/lib/umqtt/simple.mpy": "umqtt.simple"},
        "gate": {"/lib/umqtt/simple.mpy": "umqtt.simple"},
        "attic": {"/app.py": "app.py", "/lib/umqtt/simple.py": "umqtt.simple"},
    }
    asked = len(site.requests)
    for device in ("kitchen", "garden", "gate"):
        ended = cli("image", "build", device, "-o", f"{device}.bin", "--offline")
        assert ended.code == 0, ended.err
    assert (tmp_path / "kitchen.bin").read_bytes()[:0x7000] == V124[:0x7000]
    assert cli("lock", "--offline").out == "the lock is up to date\n"
    assert len(site.requests) == asked


def test_nothing_is_resolved_but_by_lock(cli: Cli, site: Site) -> None:
    ended = cli("show")
    assert ended.code == 3
    assert "has no entry in fleet.lock" in ended.err
    assert "provision lock" in ended.err
    ended = cli("image", "build", "kitchen", "-o", "kitchen.bin")
    assert ended.code == 3
    assert site.requests == []
    assert cli("validate").code == 0  # a manifest is no less valid for not being locked yet


def test_latest_stays_until_upgraded(cli: Cli, site: Site, tmp_path: Path) -> None:
    assert cli("lock").code == 0
    serve_releases(site, "ESP32_GENERIC", {NAME_124: V124, NAME_125: V125})
    serve_package(site, "umqtt.simple", {"umqtt/simple.mpy": SIMPLE + b"!"}, version="1.5.0")
    assert cli("lock").out == "the lock is up to date\n"
    ended = cli("lock", "--upgrade", "newest", "--json")
    assert [
        (change["name"], change["before"][:6], change["after"][:6])
        for change in ended.json["changes"]
    ] == [("ESP32_GENERIC latest", "1.24.1", "1.25.0")]
    ended = cli("lock", "fleet.yaml", "--upgrade")
    assert "~ umqtt.simple (mpy-6): 1.4.0, 1 file -> 1.5.0, 1 file" in ended.out
    ended = cli("lock", "--upgrade", "newst")
    assert ended.code == 2
    assert "did you mean 'newest'" in ended.err


def test_check_tells_what_lock_would_do(cli: Cli, site: Site, tmp_path: Path) -> None:
    ended = cli("lock", "--check")
    assert ended.code == 3
    assert "+ ESP32_GENERIC latest: not resolved" in ended.out
    assert "not up to date" in ended.err
    assert site.requests == []
    assert not (tmp_path / "fleet.lock").exists()
    assert cli("lock").code == 0
    asked = len(site.requests)
    assert cli("lock", "--check").code == 0
    manifest = MANIFEST.replace("[umqtt.simple]", "[umqtt.simple@1.4.0]")
    (tmp_path / "fleet.yaml").write_text(manifest)
    ended = cli("lock", "--check", "--json")
    assert ended.code == 3
    assert {(change["name"], change["after"]) for change in ended.json["changes"]} == {
        ("umqtt.simple (mpy-6)", None),
        ("umqtt.simple (py)", None),
        ("umqtt.simple@1.4.0 (mpy-6)", "not resolved"),
        ("umqtt.simple@1.4.0 (py)", "not resolved"),
    }
    (tmp_path / "fleet.yaml").write_text(MANIFEST)
    (tmp_path / "own.bin").write_bytes(build(ESP8266, "1.23.0", size=700_000))
    assert "~ own.bin: 1.23.0" in cli("lock", "--check").out
    assert len(site.requests) == asked


def test_a_file_that_changed_is_refused_until_it_is_locked(
    cli: Cli, site: Site, tmp_path: Path
) -> None:
    assert cli("lock").code == 0
    (tmp_path / "own.bin").write_bytes(build(ESP8266, "1.23.0", size=700_000))
    ended = cli("image", "build", "gate", "-o", "gate.bin")
    assert ended.code == 3
    assert "fleet.lock has" in ended.err
    assert cli("lock").out.startswith("~ own.bin: 1.23.0")
    assert cli("image", "build", "gate", "-o", "gate.bin").code == 0


def test_what_devices_learned_stays_in_the_lock(cli: Cli, site: Site, tmp_path: Path) -> None:
    learned = "version: 1\ndevices: {kitchen: {mac: '5c:cf:7f:01:02:03'}}\nother: {x: 1}\n"
    (tmp_path / "fleet.lock").write_text(learned)
    assert cli("lock").code == 0
    locked = lock_file(tmp_path)
    assert locked["devices"] == {"kitchen": {"mac": "5c:cf:7f:01:02:03"}}
    assert locked["other"] == {"x": 1}
    assert "firmware" in locked


def test_a_failing_lock_leaves_the_old_one(cli: Cli, site: Site, tmp_path: Path) -> None:
    assert cli("lock").code == 0
    before = (tmp_path / "fleet.lock").read_bytes()
    site.serve("/pi/v2/package/py/umqtt.simple/latest.json", status(403))
    ended = cli("lock", "--upgrade")
    assert ended.code == 3
    assert "403" in ended.err
    assert (tmp_path / "fleet.lock").read_bytes() == before


def test_a_damaged_lock_is_told(cli: Cli, site: Site, tmp_path: Path) -> None:
    (tmp_path / "fleet.lock").write_text("version: 1\nfirmware: {a: {size: x}}\n")
    for command in ("lock", "show"):
        ended = cli(command)
        assert ended.code == 3
        assert "fleet.lock:2:15: firmware.a: it needs a `sha256`" in ended.err
        assert "fleet.lock:2:22: firmware.a: it needs a `size`" in ended.err
        assert "delete the damaged entries and run `provision lock`" in ended.err


def test_a_package_that_is_one_file(cli: Cli, site: Site, tmp_path: Path) -> None:
    url = site.serve("/one.py", b"one = 1\n")
    write_tree(tmp_path, {"fleet.yaml": f"devices: {{d: {{board: esp32, packages: ['{url}']}}}}"})
    assert cli("lock").code == 0
    assert (
        cli("show", "--json", "--offline").json["devices"][0]["files"][0]["dest"] == "/lib/one.py"
    )


# -- vendor --------------------------------------------------------------------------------------


def test_a_vendored_project_needs_neither_network_nor_cache(
    cli: Cli, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = cli("vendor")
    assert ended.code == 2
    assert "provision lock" in ended.err
    assert cli("lock").code == 0
    ended = cli("vendor")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("vendor: 3 files, ")
    stick = tmp_path / "stick"
    stick.mkdir()
    for name in ("fleet.yaml", "fleet.lock", "app.py", "own.bin", "vendor"):
        path = tmp_path / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, stick / name)
    monkeypatch.setenv("PROVISION_CACHE_DIR", str(tmp_path / "empty"))
    asked = len(site.requests)
    for device in ("kitchen", "gate"):
        ended = cli("image", "build", device, str(stick), "-o", f"{device}.bin", "--offline")
        assert ended.code == 0, ended.err
    assert len(site.requests) == asked
    assert not (tmp_path / "empty").exists()


def test_vendor_elsewhere_and_again(cli: Cli, site: Site, tmp_path: Path) -> None:
    assert cli("lock").code == 0
    ended = cli("vendor", "usb", "--offline")
    assert (ended.code, ended.out.partition(",")[0]) == (0, "usb: 3 files")
    assert "PROVISION_CACHE_DIR" in ended.err
    sums = (tmp_path / "usb" / "SHA256SUMS").read_text().splitlines()
    assert len(sums) == 3
    assert all((tmp_path / "usb" / line.split("  ")[1]).is_file() for line in sums)
    serve_releases(site, "ESP32_GENERIC", {NAME_124: V124, NAME_125: V125})
    assert cli("lock", "--upgrade", "newest").code == 0
    assert cli("vendor", "usb").out.startswith("usb: 4 files")
    (tmp_path / "fleet.yaml").write_text("devices: {d: {board: esp32, firmware: latest}}")
    assert cli("lock").code == 0
    assert "removed 3 files" in cli("vendor", "usb").out


# -- cache ---------------------------------------------------------------------------------------


def test_the_cache_is_looked_after(cli: Cli, site: Site, tmp_path: Path) -> None:
    assert cli("cache", "list").out.startswith("0 files, 0 B in ")
    assert cli("lock").code == 0
    ended = cli("cache", "list")
    assert NAME_124 in ended.out
    assert "3 files" in ended.out
    entries = cli("cache", "list", "--json").json["entries"]
    (image,) = [entry for entry in entries if entry["name"] == NAME_124]
    assert (image["size"], image["url"]) == (
        len(V124),
        site.url(f"/resources/firmware/{NAME_124}"),
    )
    assert cli("cache", "verify").out == "3 files sound, 0 damaged\n"
    object_path(user_cache(), image["sha256"]).write_bytes(b"damage")
    ended = cli("cache", "verify")
    assert ended.code == 3
    assert f"removed {image['sha256'][:12]}  {NAME_124}" in ended.out
    assert cli("cache", "verify").code == 0
    ended = cli("image", "build", "kitchen", "-o", "kitchen.bin")
    assert ended.code == 0, ended.err
    assert cli("cache", "prune").out == "removed 0 files, 0 B\n"
    assert cli("cache", "prune", "--days", "0").code == 0
    assert Cache(user_cache()).entries() == []


def test_terminal_escapes_of_a_server_stay_out_of_the_list(cli: Cli) -> None:
    Cache(user_cache()).add(b"x", name="\x1b]0;evil\x07name", url="http://a/\x1b[2J")
    assert "\x1b" not in cli("cache", "list").out
    assert os.environ["PROVISION_CACHE_DIR"] in cli("cache", "list").out


FLEET = "{defaults: {board: esp32}, devices: {kitchen: {}, hall: {mac: '5c:cf:7f:01:02:09'}}}"
THEIRS = (
    "{version: 1, devices: {kitchen: {mac: '5c:cf:7f:01:02:03'}, gone: {mac: '5c:cf:7f:01:02:04'}}}"
)


def test_the_boards_of_another_host_are_merged(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": FLEET, "room-1.lock": THEIRS})
    ended = cli("lock", "--merge", "room-1.lock")
    assert (ended.code, ended.out) == (0, "+ kitchen: 5c:cf:7f:01:02:03\n"), ended.err
    assert lock_file(tmp_path)["devices"] == {"kitchen": {"mac": "5c:cf:7f:01:02:03"}}
    assert cli("lock", "--merge", "room-1.lock").out == "the lock knows them all\n"

    other = THEIRS.replace("02:03", "02:07").replace("gone", "hall")
    write_tree(tmp_path, {"room-1.lock": other})
    refused = cli("lock", "--merge", "room-1.lock", "--json")
    assert refused.code == 3
    assert refused.json["learned"] == {}
    assert [each["device"] for each in refused.json["conflicts"]] == ["hall", "kitchen"]
    assert "kitchen would be 5c:cf:7f:01:02:07, and is 5c:cf:7f:01:02:03" in refused.err
    assert "`provision lock --merge room-1.lock --accept-new-board kitchen`" in refused.err
    accepted = cli("lock", "--merge", "room-1.lock", "--accept-new-board", "kitchen")
    assert accepted.code == 3, "what the manifest declares stays"
    assert "change its `mac:` in the manifest" in accepted.err
    assert lock_file(tmp_path)["devices"] == {"kitchen": {"mac": "5c:cf:7f:01:02:07"}}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--merge", "none.lock"], 3, "there is no none.lock"),
        (["--merge", "bad.lock"], 3, "it has no `version`"),
        (["--merge", "bad.lock", "--check"], 2, "--merge goes with neither --check nor --upgrade"),
        (["--accept-new-board", "kitchen"], 2, "--accept-new-board goes with --merge"),
        (["--merge", "-", "--accept-new-board", "kitchn"], 2, "did you mean 'kitchen'?"),
    ],
)
def test_a_merge_that_cannot_be(
    cli: Cli, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    write_tree(tmp_path, {"fleet.yaml": FLEET, "bad.lock": "{devices: {}}"})
    ended = cli("lock", *words)
    assert ended.code == code, ended.err
    assert said in ended.err
    assert not (tmp_path / "fleet.lock").exists()
