"""What an edit means for a board, as data: files at once, firmware never, doubt is a look."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from provision.boards import profiles
from provision.core.chips.esp.chips import ESP32
from provision.core.planning.diff import diff
from provision.core.planning.edits import (
    MOST_AT_ONCE,
    changed_paths,
    concerns,
    files_only,
    meaning,
    moved,
    settled,
    small_plan,
)
from provision.model.state import (
    ActualState,
    BoardOwner,
    Check,
    Content,
    DesiredFile,
    DesiredFirmware,
    DesiredState,
    FileState,
    Filesystem,
    FirmwareIdentity,
    FirmwareSource,
    PortSelector,
)
from provision.model.unit_data import DesiredCertificate, NvsEntry

MAC = "24:6f:28:00:00:01"
NVS = NvsEntry(namespace="app", key="serial", type="str", data=b"7")
CERTIFICATE = DesiredCertificate(
    ca="ca.pem", ca_cert=b"", ca_key=b"", cn="kitchen", dest_cert="/c.der", dest_key="/k.der"
)


def identity(version: str) -> FirmwareIdentity:
    return FirmwareIdentity(version=version, machine="Generic ESP32", chip=ESP32)


def file(dest: str, text: str = "new", *, create_only: bool = False) -> DesiredFile:
    content = Content(data=text.encode())
    return DesiredFile(dest=dest, source="app", content=content, create_only=create_only)


def there(text: str = "old") -> FileState:
    return FileState(size=len(text), sha256=hashlib.sha256(text.encode()).hexdigest())


def firmware(version: str, **more: object) -> DesiredFirmware:
    source = FirmwareSource(name=version, version=version)
    return DesiredFirmware(source=source, identity=identity(version), **more)  # type: ignore[arg-type]


BEFORE = DesiredState(
    device="kitchen",
    board=profiles()["esp32"],
    port=PortSelector(kind="path", value="/dev/ttyUSB0"),
    files=(file("/lib/app.py"), file("/main.py")),
)
SEEN = Filesystem(
    files={"/main.py": there(), "/lib/app.py": there("new")}, directories=frozenset({"/lib"})
)
KNOWN = ActualState(chip=ESP32, mac=MAC, firmware=identity("1.24.1"), filesystem=SEEN)


@pytest.mark.parametrize(
    ("wanted", "actual", "flash", "waits"),
    [
        (BEFORE, KNOWN, None, None),
        (replace(BEFORE, firmware=firmware("1.24.1")), KNOWN, None, None),
        (
            replace(BEFORE, firmware=firmware("1.25.0")), KNOWN,
            "1.24.1 is on the board, 1.25.0 is wanted", None,
        ),
        (
            replace(BEFORE, firmware=firmware("1.25.0", erase="always")), KNOWN,
            "1.24.1 is on the board, 1.25.0 is wanted", None,
        ),
        (
            replace(BEFORE, firmware=firmware("1.25.0"), files=(file("/app.mpy"),)), KNOWN,
            "1.24.1 is on the board, 1.25.0 is wanted",
            "its files include bytecode, which is made for the firmware that is wanted",
        ),
        (replace(BEFORE, files=(file("/app.mpy"),)), KNOWN, None, None),
        (
            replace(BEFORE, firmware=firmware("1.24.1")),
            replace(KNOWN, firmware=None, filesystem=None),
            "no MicroPython answers, 1.24.1 is wanted",
            "there is no MicroPython on the board that could take files",
        ),
        (
            replace(BEFORE, nvs=(NVS,)), KNOWN,
            "the manifest has other entries for its NVS", None,
        ),
    ],
    ids=["files", "same", "newer", "erase", "bytecode", "bytecode-same", "blank", "nvs"],
)  # fmt: skip
def test_firmware_is_said_and_files_go_on_where_that_is_safe(
    wanted: DesiredState, actual: ActualState, flash: str | None, waits: str | None
) -> None:
    found = meaning(replace(wanted, check=Check(console="ready")), actual, BEFORE)
    assert (found.flash, found.waits) == (flash, waits)
    assert found.files == replace(wanted, firmware=None, nvs=())
    assert not diff(found.files, actual).flashes


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"mac": MAC}, None),  # the lock has learned it meanwhile
        ({"firmware": firmware("1.25.0")}, None),
        ({"port": PortSelector(kind="path", value="/dev/ttyUSB1")},
         "another port for it now: /dev/ttyUSB1, not /dev/ttyUSB0"),
        ({"board": profiles()["esp32c3"]}, "another board for it now: esp32c3, not esp32"),
        ({"baud": 9600}, "another baud for it now: 9600, not 115200"),
        ({"mac": MAC, "owners": {MAC: BoardOwner(device="kitchen", declared=True)}},
         f"another MAC for it now: {MAC}, not None"),
    ],
    ids=["nothing", "learned", "firmware", "port", "board", "baud", "mac"],
)  # fmt: skip
def test_a_board_that_is_reached_otherwise_is_not_looked_for(
    change: dict[str, object], why: str | None
) -> None:
    said = moved(BEFORE, replace(BEFORE, **change))  # type: ignore[arg-type]
    assert said == (None if why is None else f"the manifest has {why}")


@pytest.mark.parametrize(
    ("change", "asks"),
    [
        ({}, False),
        ({"check": Check(console="ready")}, False),
        ({"variables": {"topic": "garden"}, "groups": ("x",)}, False),
        ({"files": (file("/lib/app.py"), file("/main.py"))}, False),
        ({"files": (file("/lib/app.py"), file("/main.py", "other"))}, True),
        ({"files": (file("/lib/app.py"), file("/main.py", create_only=True))}, True),
        ({"files": ()}, True),
        ({"absent": ("/old.py",)}, True),
        ({"prune": ("/lib",)}, True),
        ({"directories": ("/data",)}, True),
        ({"firmware": firmware("1.25.0")}, True),
        ({"baud": 9600}, True),
        ({"nvs": (NVS,)}, True),
        ({"certificate": CERTIFICATE}, True),
    ],
)
def test_what_asks_a_board_for_something(change: dict[str, object], asks: bool) -> None:
    assert concerns(BEFORE, replace(BEFORE, **change)) is asks  # type: ignore[arg-type]


LARGE = file("/main.py", "x" * (MOST_AT_ONCE + 1))


@pytest.mark.parametrize(
    ("wanted", "known", "actions"),
    [
        (BEFORE, KNOWN, ["write-file"]),
        (replace(BEFORE, files=(file("/a/b.py"),)), KNOWN, ["make-directory", "write-file"]),
        (replace(BEFORE, files=(file("/main.py", "old"),)), KNOWN, []),
        (replace(BEFORE, files=(LARGE,)), KNOWN, None),
        (replace(BEFORE, files=(replace(LARGE, content=Content(data=b"x" * MOST_AT_ONCE)),)),
         KNOWN, ["write-file"]),
        (replace(BEFORE, absent=("/main.py",), files=()), KNOWN, None),
        (replace(BEFORE, prune=("/lib",)), KNOWN, None),
        (replace(BEFORE, directories=("/data",)), KNOWN, None),
        (replace(BEFORE, certificate=CERTIFICATE), KNOWN, None),
        (replace(BEFORE, files=(file("/other.py", create_only=True),)), KNOWN, None),
        (replace(BEFORE, files=(file("/main.py", create_only=True),)), KNOWN, []),
        (replace(BEFORE, files=(file("/lib"),)), KNOWN, None),
        (BEFORE, replace(KNOWN, mac="24:6f:28:00:00:02"), None),
        (BEFORE, replace(KNOWN, filesystem=None), None),
        (BEFORE, replace(KNOWN, filesystem=replace(SEEN, mounted=False)), None),
        (BEFORE, replace(KNOWN, filesystem=replace(SEEN, disabled=frozenset({"/main.py"}))), None),
        (BEFORE, replace(KNOWN, filesystem=replace(SEEN, mounts=frozenset({"/sd"}))), None),
    ],
    ids=["write", "folder", "nothing", "large", "most", "delete", "prune",
         "folders", "certificate", "another-once", "once", "in-the-way", "another-board",
         "unread", "unmounted", "disabled", "mounts"],
)  # fmt: skip
def test_what_goes_out_without_a_look(
    wanted: DesiredState, known: ActualState, actions: list[str] | None
) -> None:
    plan = small_plan(files_only(replace(wanted, mac=MAC)), known, BEFORE)
    if actions is None:
        assert plan is None
        return
    assert plan is not None
    assert [one.kind for one in plan.actions if one.kind != "reset"] == actions
    after = settled(wanted, known, plan)
    assert diff(files_only(wanted), after).change_count == 0
    assert after.filesystem is not None
    assert after.filesystem.free is None  # nobody has asked


def test_the_paths_that_are_told() -> None:
    wanted = replace(BEFORE, absent=("/old.py",), files=(file("/a/b.py"), file("/main.py")))
    seen = replace(SEEN, files={**SEEN.files, "/old.py": there()})
    plan = diff(wanted, replace(KNOWN, filesystem=seen))
    assert changed_paths(plan) == ("/old.py", "/a/b.py", "/main.py")
