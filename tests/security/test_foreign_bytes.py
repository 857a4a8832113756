"""Every parser of bytes that others made: damaged, truncated, absurd. Each ends in a value or in an
error of its own kind, never in another exception; the long runs are `-m slow`.

Manifests have their own (`tests/fuzz_manifest.py`), and boards' answers (`test_hostile_device.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.boards import profile_from, profiles
from provision.core.chips.esp.boot import Bootable, NotBootable, boot_of
from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.core.chips.esp.firmware import read_firmware, regions
from provision.core.chips.esp.image import EspImage, Fault, read_image
from provision.core.chips.esp.partition_table import (
    TABLE_OFFSET,
    TABLE_SIZE,
    TableFault,
    read_table,
)
from provision.core.manifest.template import render, render_path
from provision.errors import ImageError, LockError, SourceError, TemplateError, UsageError
from provision.lockfile.yaml_format import format_lock, parse_lock
from provision.model.chip import Chip
from provision.model.secret import Secret
from provision.project.secrets_files import read_secrets
from provision.sim.esp.firmware import build
from provision.sources.packages import PackageRequest, PackageResolver
from provision.sources.release_index import parse_page

LEAN = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def sound(chip: Chip) -> bytes:
    return build(chip, "1.24.1")


@st.composite
def damage(draw: st.DrawFn, length: int, most: int = 6) -> Callable[[bytes], bytes]:
    """Bytes changed, most of them near the start, where headers are; pieces lost, doubled, cut."""
    near = st.one_of(st.integers(0, min(length, 64)), st.integers(0, length))
    edits = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["set", "set", "set", "drop", "insert", "cut", "double"]),
                near,
                st.one_of(st.sampled_from([b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f"]),
                          st.binary(min_size=1, max_size=8)),
            ),
            max_size=most,
        )
    )  # fmt: skip

    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        for kind, place, piece in edits:
            match kind:
                case "set":
                    changed[place : place + len(piece)] = piece
                case "drop":
                    del changed[place : place + len(piece)]
                case "insert":
                    changed[place:place] = piece
                case "double":
                    changed[place:place] = changed[place : place + 200]
                case _:
                    del changed[place:]
        return bytes(changed)

    return change


chips = st.sampled_from([ESP8266, ESP32, ESP32C3])


def images(chip: Chip, change: Callable[[bytes], bytes]) -> None:
    data = change(sound(chip))
    assert isinstance(read_image(data), EspImage | Fault)
    flash = data if chip is not ESP32 else b"\xff" * 0x1000 + data
    assert isinstance(boot_of(flash, chip), Bootable | NotBootable)
    try:
        firmware = read_firmware(data, "damaged.bin")
    except ImageError as error:
        assert error.message.isprintable()
        assert error.hint
    else:
        assert firmware.identity.machine.isprintable()
        for region in regions(firmware, profiles()["esp32"], 4 << 20):
            assert region.offset + len(region.data) <= firmware.base + len(data) + 0x1000


def tables(change: Callable[[bytes], bytes]) -> None:
    start = TABLE_OFFSET - 0x1000
    found = read_table(change(sound(ESP32)[start : start + TABLE_SIZE]))
    if not isinstance(found, TableFault):
        for part in found:
            assert part.name.isprintable()
            assert 0 <= part.offset <= part.end <= 1 << 33


PAGE = b"""<html><body><a href="/resources/firmware/ESP32_GENERIC-20241129-v1.24.1.bin">v1.24.1</a>
<a href='/resources/firmware/ESP32_GENERIC-SPIRAM-20241129-v1.24.1.bin'>x</a>
<a href="https://[::1/ESP32_GENERIC-20240602-v1.23.0.bin">y</a><!-- <![CDATA[ <a href=&#x110000; -->
"""
LOCK = b"""# Written by provision
devices:
  kitchen:
    mac: 5c:cf:7f:01:02:03
firmware:
  ESP32_GENERIC 1.24.1: {sha256: DIGEST, size: 1712345, url: "https://a/b.bin", version: 1.24.1}
packages:
  umqtt.simple:
    mpy-6: {version: 1.4.0, files: {umqtt/s.mpy: {url: "https://a/c", size: 9, sha256: DIGEST}}}
version: 1
""".replace(b"DIGEST", b"0f3c" * 16)
SECRETS = b"wifi: 'hunter22'\nmqtt: !env MQTT\nother: \"a\\u0041\"\nlong: |\n  one\n  two\n"


def page(change: Callable[[bytes], bytes]) -> None:
    text = change(PAGE).decode("utf-8", "replace")
    for release in parse_page(text, "ESP32_GENERIC", "https://mirror.test"):
        assert release.url.startswith("https://mirror.test/resources/firmware/ESP32_GENERIC-")
        assert release.url.isascii()
        assert release.url.count("/") == 5


def lock(change: Callable[[bytes], bytes]) -> None:
    try:
        held = parse_lock(change(LOCK).decode("utf-8", "replace"), "fleet.lock")
    except LockError as error:
        assert error.message
        return
    assert parse_lock(format_lock(held), "fleet.lock") == held


def secrets(folder: Path, change: Callable[[bytes], bytes]) -> None:
    (folder / "secrets.yaml").write_bytes(change(SECRETS))
    try:
        read = read_secrets(folder, None, {"MQTT": "broker-password"})
    except UsageError:
        return
    for problem in read.problems:
        assert "hunter22" not in str(problem)
        assert "broker" not in str(problem)


words = st.one_of(
    st.sampled_from([
        "", "a.py", "../a.py", "/etc/passwd", "a/../../b", "C:\\a", "a\0b", "lib/a.mpy",
        "github:o/r",
        "github:o/r/x.py", "github:../..", "http://a/b.py", "https://[::1", "ftp://a", "x" * 3000,
        "file:///etc/passwd", "\x1b[2J", "0f3c0f3c", "latest", "\ud800", "~/a", "a//b", "gitlab:",
        "@",
    ]),
    st.text(max_size=12),
)  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(words, st.integers(), st.floats(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=3)),
    max_leaves=8,
)
pairs = st.one_of(values, st.lists(st.one_of(values, st.tuples(words, words)), max_size=4))
listings = st.fixed_dictionaries(
    {}, optional={"hashes": pairs, "urls": pairs, "deps": pairs, "version": values}
)
answers = st.one_of(
    listings.map(lambda content: json.dumps(content).encode()),
    values.map(lambda content: json.dumps(content).encode()),
    st.binary(max_size=60),
    st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000, b"<!doctype html>",
    b'"\\ud800"']),
)  # fmt: skip


def package(data: bytes) -> None:
    resolver = PackageResolver(None, None, index="https://index.test")  # type: ignore[arg-type]
    try:
        content = resolver._parse(PackageRequest.parse("umqtt.simple"), data, "https://a.test/x")
    except SourceError as error:
        assert error.message.isprintable()
        return
    for path, url, _ in content.files:
        assert path.isprintable()
        assert not path.startswith(("/", "\\"))
        assert ".." not in path.split("/")
        assert url.startswith(("http://", "https://"))


EXPRESSIONS = st.lists(
    st.sampled_from([
        "{{", "}}", "{%", "%}", "{#", "#}", " name ", "secret", " for x in ", "range(9**9)",
        "endfor",
        " if ", "endif", "|", "upper", "join('x'*9999)", "[", "]", "(", ")", ".", "__class__", "9",
        "**",
        "*", "'%9999999999d' % 1", "'a'", "\n", " set a = ", "tojson", "include 'x'", "import ",
        "macro m()",
        "call", "%", "loop", "cycler(1)", "namespace()", "~", ":", "-%}", "{%- ", "é\u202e\x1b",
        "a.b.c",
        "'{0.__class__}'.format(a)", "replace('', 'x' * 999)", "wordwrap(1)", "indent(999999)",
    ]),
    max_size=14,
).map("".join)  # fmt: skip


def template(text: str) -> None:
    variables = {"name": "kitchen", "a": [1, {"b": "c"}], "secret": Secret("wifi", "hunter22")}
    for attempt in (
        lambda: render(text, name="main.py.j2", variables=variables),
        lambda: render_path(text, variables=variables),
    ):
        try:
            attempt()
        except TemplateError as error:
            assert error.problem.place.line >= 1
            assert "hunter22" not in str(error)


def board(data: dict[str, Any]) -> None:
    for base in (None, profiles()["esp32"]):
        try:
            profile_from("mine", data, base)
        except ValueError as error:
            assert str(error)


keys = st.sampled_from([
    "title", "chip", "flash_size", "flash_mode", "flash_freq", "header_size", "reset", "download",
    "release", "variant", "usb", "baud", "quirks", "url", "extends", "nothing",
])  # fmt: skip
settings_of = st.dictionaries(
    keys,
    st.one_of(values, st.sampled_from(["esp32", "4MB", "dio", "40m", 115200, "auto", "detect"])),
)


@LEAN
@given(chips, damage(1 << 16))
def test_images(chip: Chip, change: Callable[[bytes], bytes]) -> None:
    images(chip, change)


@LEAN
@given(damage(256))
def test_partition_tables(change: Callable[[bytes], bytes]) -> None:
    tables(change)


@LEAN
@given(damage(len(PAGE)))
def test_index_pages(change: Callable[[bytes], bytes]) -> None:
    page(change)


@LEAN
@given(damage(len(LOCK)))
def test_locks(change: Callable[[bytes], bytes]) -> None:
    lock(change)


@LEAN
@given(damage(len(SECRETS)))
def test_secrets(
    tmp_path_factory: pytest.TempPathFactory, change: Callable[[bytes], bytes]
) -> None:
    secrets(tmp_path_factory.mktemp("secrets"), change)


@LEAN
@given(answers)
def test_packages(data: bytes) -> None:
    package(data)


@LEAN
@given(EXPRESSIONS)
def test_templates(text: str) -> None:
    template(text)


@LEAN
@given(settings_of)
def test_board_profiles(data: dict[str, Any]) -> None:
    board(data)


@pytest.mark.slow
@LONG
@given(chips, damage(1 << 16))
def test_many_images(chip: Chip, change: Callable[[bytes], bytes]) -> None:
    images(chip, change)


@pytest.mark.slow
@LONG
@given(damage(256), damage(len(PAGE)), damage(len(LOCK)))
def test_many_tables_pages_and_locks(
    one: Callable[[bytes], bytes], two: Callable[[bytes], bytes], three: Callable[[bytes], bytes]
) -> None:
    tables(one)
    page(two)
    lock(three)


@pytest.mark.slow
@LONG
@given(answers, EXPRESSIONS, settings_of)
def test_many_packages_templates_and_profiles(
    data: bytes, text: str, profile: dict[str, Any]
) -> None:
    package(data)
    template(text)
    board(profile)
