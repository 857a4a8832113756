"""Hypothesis strategies for the model, shared by every property test.

Paths come from a small alphabet, so that what is wanted, what is there, what is absent and what
is pruned meet often. The states are possible ones: no file lies below another file.
"""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st

from provision.boards import profiles
from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.board_path import STARTUP_FILES, at_or_below, below
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
    FlashContents,
)
from provision.model.unit_data import NvsEntry

names = st.sampled_from(["boot.py", "main.py", "lib", "a", "b"])
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
roots = st.one_of(st.just("/"), paths)
MAC = "5c:cf:7f:01:02:03"
macs = st.sampled_from([MAC, MAC, MAC, MAC, MAC, "5c:cf:7f:01:02:04"])
texts = st.sampled_from(["", "one", "two", "three"])
contents = st.builds(
    lambda text, secret: Content(
        data=text.encode(), secrets=frozenset([text]) if secret and text else frozenset()
    ),
    texts,
    st.booleans(),
)


def _apart(found: list[str]) -> list[str]:
    """Only paths none of which lies inside another."""
    kept: list[str] = []
    for path in found:
        if not any(at_or_below(path, other) or below(other, path) for other in kept):
            kept.append(path)
    return kept


files_apart = st.lists(paths, max_size=6, unique=True).map(_apart)


@st.composite
def file_states(draw: st.DrawFn) -> FileState:
    text = draw(texts)
    kind = draw(st.sampled_from(["known", "unknown", "size"]))
    return FileState(
        size=None if kind == "unknown" else len(text),
        sha256=hashlib.sha256(text.encode()).hexdigest() if kind == "known" else None,
    )


@st.composite
def filesystems(draw: st.DrawFn) -> Filesystem:
    files = draw(files_apart)
    spare = draw(st.lists(paths, max_size=4, unique=True))
    directories = [path for path in spare if not any(at_or_below(path, file) for file in files)]
    return Filesystem(
        files={path: draw(file_states()) for path in files},
        directories=frozenset(directories),
        disabled=frozenset(path for path in files if path in STARTUP_FILES and draw(st.booleans())),
    )


@st.composite
def identities(draw: st.DrawFn) -> FirmwareIdentity:
    chip = draw(st.sampled_from([ESP8266] * 8 + [ESP32]))
    return FirmwareIdentity(
        version=draw(st.sampled_from(["1.20.0", "1.24.1"])),
        machine=draw(st.sampled_from(["Generic module", "Other module"])),
        chip=chip,
        date=draw(st.sampled_from(["", "2024-11-29"])),
    )


@st.composite
def firmwares(draw: st.DrawFn) -> DesiredFirmware:
    return DesiredFirmware(
        source=FirmwareSource(
            name="firmware", version=draw(st.sampled_from([None, "1.24.1", "1.20"]))
        ),
        identity=draw(st.none() | identities()),
        erase=draw(st.sampled_from(["auto", "always", "never"])),
    )


nvs_entries = st.lists(
    st.builds(
        lambda key, value, kind: NvsEntry(namespace="app", key=key, type=kind, data=value),
        st.sampled_from("abc"),
        st.sampled_from([b"\1\0\0\0", b"\2\0\0\0"]),
        st.sampled_from(["i32", "i32", "i32", "blob", "u32"]),
    ),
    max_size=3,
    unique_by=lambda entry: entry.key,
).map(lambda entries: tuple(sorted(entries, key=lambda entry: entry.key)))


@st.composite
def desired_states(draw: st.DrawFn) -> DesiredState:
    files = [
        DesiredFile(
            dest=dest,
            source="src",
            content=draw(contents),
            create_only=draw(st.sampled_from([False, False, False, True])),
        )
        for dest in sorted(draw(files_apart))
    ]
    return DesiredState(
        device="kitchen",
        board=profiles()["wemos-d1-mini"],
        port=None,
        mac=draw(st.none() | macs),
        owners=draw(st.sampled_from([{}] * 4 + [{MAC: BoardOwner(device="hall")}])),
        firmware=draw(st.none() | firmwares()),
        files=tuple(files),
        absent=tuple(draw(st.lists(paths, max_size=3, unique=True))),
        prune=tuple(draw(st.lists(roots, max_size=2, unique=True))),
        fresh=draw(st.booleans()),
        nvs=draw(nvs_entries),
        check=draw(st.none() | st.just(Check(expression="True"))),
    )


flash_contents = st.builds(
    FlashContents,
    filesystem=st.sampled_from(["blank", "readable", "readable", "opaque", "damaged"]),
    misfit=st.sampled_from([None, None, "the filesystem moves"]),
    fits=st.sampled_from([True, True, False]),
    spared=st.sampled_from([(), ("NVS",)]),
    unspared=st.sampled_from([(), ("the partition storage",)]),
)


@st.composite
def actual_states(draw: st.DrawFn) -> ActualState:
    """Mostly the board that is meant: refusals would hide everything else."""
    right = draw(st.sampled_from([True, True, True, True, False]))
    return ActualState(
        chip=ESP8266 if right else draw(st.sampled_from([ESP8266, ESP32, None])),
        mac=MAC if right else draw(st.none() | macs),
        flash_size=4 << 20 if right else draw(st.sampled_from([None, 4 << 20, 1 << 20])),
        firmware=draw(st.none() | identities()),
        filesystem=draw(st.none() | filesystems()),
        secured=None if right else draw(st.sampled_from([None, None, "secure boot"])),
        interrupted_update=draw(st.booleans()),
        repl_unresponsive=draw(st.booleans()),
        flash=draw(st.none() | flash_contents),
        flash_differs=draw(st.sampled_from([(), (), ("app",)])),
        nvs=draw(st.none() | nvs_entries),
    )
