"""fleet.lock as text: written and read back the same, unknown keys too; damage has its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import LockError
from provision.lockfile.entries import (
    Lock,
    LockedDevice,
    LockedFile,
    LockedFirmware,
    LockedPackage,
)
from provision.lockfile.yaml_format import format_lock, parse_lock

MAC = "5c:cf:7f:01:02:03"
FILE = LockedFile(url="https://example.org/a.bin", size=7, sha256="0123456789abcdef" * 4)
DIGITS = LockedFile(url="", size=0, sha256="12345678" * 8)
LOCK = Lock(
    devices={"kitchen": LockedDevice(mac=MAC), "shed": LockedDevice()},
    firmware={
        "ESP32_GENERIC 1.20": LockedFirmware(file=FILE, version="1.20"),
        "own.bin": LockedFirmware(file=DIGITS, version="1.24.1"),
    },
    packages={
        ("umqtt.simple", "6"): LockedPackage(version="1.4", files={"umqtt/simple.mpy": FILE}),
        ("umqtt.simple", "py"): LockedPackage(version="", files={"umqtt/simple.py": DIGITS}),
        ("github:org/repo@v1", "6"): LockedPackage(version="on", files={}),
    },
)
TEXT = f"""\
# Written by provision, to be committed with the manifest: which board is which.
devices:
  kitchen:
    mac: {MAC}
  shed: {{}}
firmware:
  ESP32_GENERIC 1.20:
    sha256: {FILE.sha256}
    size: 7
    url: https://example.org/a.bin
    version: '1.20'
  own.bin:
    sha256: '{DIGITS.sha256}'
    size: 0
    version: 1.24.1
packages:
  github:org/repo@v1:
    mpy-6:
      files: {{}}
      version: 'on'
  umqtt.simple:
    mpy-6:
      files:
        umqtt/simple.mpy:
          sha256: {FILE.sha256}
          size: 7
          url: https://example.org/a.bin
      version: '1.4'
    py:
      files:
        umqtt/simple.py:
          sha256: '{DIGITS.sha256}'
          size: 0
      version: ''
version: 1
"""


def test_is_written_sorted_and_read_back() -> None:
    assert format_lock(LOCK) == TEXT
    assert parse_lock(TEXT, "fleet.lock") == LOCK


def test_nothing_locked_is_no_section() -> None:
    assert format_lock(Lock()).splitlines()[1:] == ["version: 1"]
    assert parse_lock("version: 1\nfirmware:\npackages: ~\n", "fleet.lock") == Lock()


UNKNOWN = f"""\
# Written by provision, to be committed with the manifest: which board is which.
devices:
  kitchen:
    mac: {MAC}
    since: 2025-01-01
firmware:
  esp32:
    license: MIT
    preview: true
    sha256: {FILE.sha256}
    size: 123
    version: '1.20'
notes:
- {{}}
- null
packages:
  umqtt.simple:
    py:
      author: somebody
      files:
        simple.py:
          mode: 33188
          sha256: {FILE.sha256}
          size: 9
      version: 1.4.0
version: 1
""".replace("2025-01-01", "'2025-01-01'")


def test_keys_and_sections_that_are_not_known_are_kept() -> None:
    lock = parse_lock(UNKNOWN, "fleet.lock")
    assert lock.unknown == {"notes": [{}, None]}
    assert lock.devices["kitchen"].unknown == {"since": "2025-01-01"}
    assert lock.firmware["esp32"].file.unknown == {"license": "MIT", "preview": True}
    assert format_lock(lock) == UNKNOWN


def test_what_is_not_known_does_not_tell_two_files_apart() -> None:
    entry = parse_lock(UNKNOWN, "fleet.lock").firmware["esp32"]
    assert entry == LockedFirmware(
        file=LockedFile(url="", size=123, sha256=FILE.sha256), version="1.20"
    )


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**17), max_value=10**17)
    | st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=20)
    | st.sampled_from(
        ["1.20", "on", "0123", "true", "null", "~", "", "1e3", "0x10", "- a", "a: b"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc.:-", min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
MORE = st.dictionaries(st.sampled_from(["more", "notes", "0"]), DATA, max_size=2)


@given(unknown=MORE, of_device=MORE, of_file=MORE, of_package=MORE)
def test_whatever_is_not_known_survives_writing_and_reading(
    unknown: dict[str, object],
    of_device: dict[str, object],
    of_file: dict[str, object],
    of_package: dict[str, object],
) -> None:
    file = LockedFile(url="", size=1, sha256=FILE.sha256, unknown=of_file)
    lock = Lock(
        devices={"kitchen": LockedDevice(mac=MAC, unknown=of_device)},
        firmware={"a": LockedFirmware(file=file, version="1.20")},
        packages={("b", "6"): LockedPackage(version="", files={"c": file}, unknown=of_package)},
        unknown=unknown,
    )
    read = parse_lock(format_lock(lock), "fleet.lock")
    assert read == lock
    assert read.firmware["a"].file.unknown == of_file
    package = read.packages["b", "6"]
    assert (package.unknown, package.files["c"].unknown) == (of_package, of_file)


GOOD = "sha256: " + FILE.sha256


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("devices: {}\n", 1, "no `version`"),
        ("version: 2\n", 1, "newer provision"),
        ("version: one\n", 1, "not a number"),
        ("version: 1\ndevices: [a]\n", 2, "expected a mapping"),
        ("version: 1\ndevices:\n  kitchen: oops\n", 3, "expected `mac"),
        ("version: 1\ndevices:\n  kitchen:\n    mac: 5c:cf\n", 4, "not a MAC"),
        ("version: 1\ndevices:\n  kitchen: {mac: 5C:CF:7F:01:02:03}\n", 3, "not a MAC"),
        ("version: 1\ndevices:\n  kitchen: {}\n  kitchen: {}\n", 4, "kitchen"),
        ("version: 1\ndevices: {kitchen\n", None, ""),
        ("version: 1\ndevi\x00ces: {}\n", 2, "not allowed"),
        ("a list\n", 1, "key: value"),
        ("version: 1\ndevices: !!python/object/apply:os.system [ls]\n", 2, ""),
        ("version: 1\nfirmware: []\n", 2, "expected a mapping"),
        ("version: 1\nfirmware:\n  a: b\n", 3, "expected `version`, `size`"),
        (f"version: 1\nfirmware:\n  a: {{url: u, size: x, {GOOD}}}\n", 3, "needs a `size`"),
        (f"version: 1\nfirmware:\n  a:\n    size: -7\n    {GOOD}\n", 4, "needs a `size`"),
        (f"version: 1\nfirmware:\n  a: {{url: u, {GOOD}}}\n", 3, "needs a `size`"),
        (f"version: 1\nfirmware:\n  a:\n    size: 7\n    url: [u]\n    {GOOD}\n", 5, "a text"),
        ("version: 1\nfirmware:\n  a:\n    size: 7\n    sha256: abc\n", 5, "needs a `sha256`"),
        ("version: 1\nfirmware:\n  a:\n    size: 7\n", 4, "needs a `sha256`"),
        ("version: 1\npackages: {a: []}\n", 2, "expected a mapping"),
        ("version: 1\npackages: {a: {6: {files: {}}}}\n", 2, "expected `mpy-`"),
        ("version: 1\npackages:\n  a:\n    mpy-6: {files: [x]}\n", 4, "expected a mapping"),
        (
            "version: 1\npackages:\n  a: {py: {files: {x: {size: 7, sha256: 8}}}}\n",
            3,
            "needs a `sha",
        ),
    ],
)
def test_damage_is_a_located_error(text: str, line: int | None, words: str) -> None:
    with pytest.raises(LockError, match=r"^fleet\.lock is damaged") as caught:
        parse_lock(text, "fleet.lock")
    (problem,) = caught.value.problems
    assert problem.place.file == "fleet.lock"
    assert line is None or problem.place.line == line
    assert words in problem.message
    assert "version control" in caught.value.hint
    assert ("provision lock" in caught.value.hint) is ("firmware" in text or "packages" in text)
    assert caught.value.exit_code == 3


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(LockError) as caught:
        parse_lock("version: 1\ndevices:\n  a: {mac: x}\nfirmware:\n  b: {size: y}\n", "fleet.lock")
    assert [problem.place.line for problem in caught.value.problems] == [3, 5, 5]
    assert [problem.path for problem in caught.value.problems] == [
        "devices.a.mac",
        "firmware.b",
        "firmware.b",
    ]
    assert "delete" not in caught.value.hint  # what is learned of devices is not had again so


def test_an_unresolved_merge_has_its_own_message() -> None:
    text = "devices:\n<<<<<<< HEAD\n  kitchen: {mac: a}\n=======\n  shed: {mac: b}\n>>>>>>> topic\n"
    with pytest.raises(LockError, match="unresolved merge") as caught:
        parse_lock(text, "fleet.lock")
    assert [problem.place.line for problem in caught.value.problems] == [2, 4, 6]
    assert "keep the lines of both sides" in caught.value.hint


@given(data=st.binary(max_size=200))
def test_random_bytes_are_a_lock_or_a_located_error(data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    try:
        parse_lock(text, "fleet.lock")
    except LockError as error:
        assert error.problems
