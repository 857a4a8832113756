"""Reads the planner's cases: one JSON file each, states in, plan out.

Shapes are short where the model is long. A board is a profile's name, the firmware an identity
with how it is declared, a file on the board its text, its size, or null where its content is not
known. A key that nobody reads is an error.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from provision.boards import profiles
from provision.core.chips.registry import chip_named
from provision.core.planning.check_state import state_digest
from provision.model.plan import Action, Plan
from provision.model.state import (
    ActualState,
    BoardOwner,
    Check,
    CheckRecord,
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
from tests.nvs_sets import entry

CASES = Path(__file__).parent
DEVICE = "kitchen"
THIS_STATE = "this"  # in place of its digest, while a case is read


@dataclass(frozen=True, kw_only=True)
class DiffCase:
    about: str
    desired: DesiredState
    actual: ActualState
    plan: dict[str, Any]


def diff_case(path: Path) -> DiffCase:
    data = json.loads(path.read_text("utf-8"))
    case = DiffCase(
        about=data.pop("about"),
        desired=_desired(data.pop("desired")),
        actual=_actual(data.pop("actual")),
        plan=data.pop("plan"),
    )
    _nothing_left(data, path.name)
    remembered = case.actual.last_check
    if remembered is not None and remembered.state == THIS_STATE:
        state = state_digest(case.desired, case.actual)
        last = replace(remembered, state=state)
        case = replace(case, actual=replace(case.actual, last_check=last))
    return case


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan as the cases write it."""
    return {
        "actions": [_action_data(action) for action in plan.actions],
        "refusals": [asdict(refusal) for refusal in plan.refusals],
    }


def _action_data(action: Action) -> dict[str, Any]:
    data = {"kind": action.kind, **asdict(action)}
    for key in ("losses", "spares"):  # a case leaves out what is empty
        names = data.pop(key, ())
        if names:
            data[key] = list(names)
    if "identity" in data:
        data["identity"] = _identity_data(data["identity"])
    if data["kind"] == "write-nvs" and not data["replaces"]:
        del data["replaces"]
    if "check" in data:
        data["check"] = data["check"]["expression"]
    return data


def _identity_data(identity: dict[str, Any]) -> str:
    return f"{identity['version']}; {identity['machine']}; {identity['chip']['name']}"


def _desired(data: dict[str, Any]) -> DesiredState:
    check = data.pop("check", None)
    state = DesiredState(
        device=DEVICE,
        board=profiles()[data.pop("board", "wemos-d1-mini")],
        port=None,
        mac=data.pop("mac", None),
        owners={mac: BoardOwner(**owner) for mac, owner in data.pop("owners", {}).items()},
        firmware=_firmware(data.pop("firmware", None)),
        files=tuple(_file(dest, file) for dest, file in sorted(data.pop("files", {}).items())),
        absent=tuple(data.pop("absent", ())),
        prune=tuple(data.pop("prune", ())),
        fresh=data.pop("fresh", False),
        only=data.pop("only", None),
        nvs=_nvs(data.pop("nvs", {})) or (),
        check=None if check is None else Check(expression=check),
    )
    _nothing_left(data, "desired")
    return state


def _firmware(data: dict[str, Any] | None) -> DesiredFirmware | None:
    if data is None:
        return None
    identity = data.pop("identity", None)
    firmware = DesiredFirmware(
        source=FirmwareSource(name=data.pop("name", "esp"), version=data.pop("version", None)),
        identity=None if identity is None else _identity(identity),
        erase=data.pop("erase", "auto"),
    )
    _nothing_left(data, "firmware")
    return firmware


def _identity(text: str) -> FirmwareIdentity:
    version, machine, chip = text.split("; ")
    return FirmwareIdentity(version=version, machine=machine, chip=chip_named(chip))


def _file(dest: str, data: str | dict[str, Any]) -> DesiredFile:
    data = {"text": data} if isinstance(data, str) else data
    file = DesiredFile(
        dest=dest,
        source=dest.lstrip("/"),
        content=Content(data=data.pop("text").encode(), secrets=frozenset(data.pop("secrets", ()))),
        create_only=data.pop("create_only", False),
    )
    _nothing_left(data, dest)
    return file


def _last_check(outcome: str | None) -> CheckRecord | None:
    """ "passed" and "failed" are of this very state, "passed elsewhere" of another one."""
    match outcome:
        case None:
            return None
        case "begun":
            return CheckRecord(outcome="begun")
        case "passed" | "failed":
            return CheckRecord(outcome=outcome, state=THIS_STATE)
        case "passed elsewhere":
            return CheckRecord(outcome="passed", state="0" * 64)
        case _:
            raise AssertionError(outcome)


def _flash(data: dict[str, Any] | None) -> FlashContents | None:
    if data is None:
        return None
    flash = FlashContents(
        filesystem=data.pop("filesystem"),
        misfit=data.pop("misfit", None),
        fits=data.pop("fits", True),
        spared=tuple(data.pop("spared", ())),
        unspared=tuple(data.pop("unspared", ())),
    )
    _nothing_left(data, "flash")
    return flash


def _actual(data: dict[str, Any]) -> ActualState:
    firmware = data.pop("firmware", None)
    filesystem = data.pop("filesystem", None)
    chip = data.pop("chip", "esp8266")
    state = ActualState(
        chip=None if chip is None else chip_named(chip),
        mac=data.pop("mac", None),
        flash_size=data.pop("flash_size", None),
        firmware=None if firmware is None else _identity(firmware),
        filesystem=None if filesystem is None else _filesystem(filesystem),
        secured=data.pop("secured", None),
        last_check=_last_check(data.pop("last_check", None)),
        interrupted_update=data.pop("interrupted_update", False),
        repl_unresponsive=data.pop("repl_unresponsive", False),
        repl_error=data.pop("repl_error", None),
        flash=_flash(data.pop("flash", None)),
        flash_differs=tuple(data.pop("flash_differs", ())),
        nvs=_nvs(data.pop("nvs", None)),
    )
    _nothing_left(data, "actual")
    return state


def _nvs(data: dict[str, Any] | None) -> tuple[NvsEntry, ...] | None:
    """By name ("app.key"): an i32, or a type with its value, and the secrets that went into it."""
    if data is None:
        return None
    made = []
    for name, written in sorted(data.items()):
        value = {"i32": written} if isinstance(written, int) else dict(written)
        secrets = frozenset(value.pop("secrets", ()))
        [(kind, of_it)] = value.items()
        namespace, _, key = name.partition(".")
        made.append(replace(entry(namespace, key, kind, of_it), secrets=secrets))
    return tuple(made)


def _filesystem(data: dict[str, Any]) -> Filesystem:
    filesystem = Filesystem(
        files={path: _found(file) for path, file in data.pop("files", {}).items()},
        directories=frozenset(data.pop("directories", ())),
        mounts=frozenset(data.pop("mounts", ())),
        mounted=data.pop("mounted", True),
        disabled=frozenset(data.pop("disabled", ())),
    )
    _nothing_left(data, "filesystem")
    return filesystem


def _found(file: str | int | None) -> FileState:
    if not isinstance(file, str):
        return FileState(size=file, sha256=None)
    data = file.encode()
    return FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _nothing_left(data: dict[str, Any], where: str) -> None:
    assert not data, f"{where}: nobody reads {', '.join(data)}"
