"""A plan on disk: what `provision plan --out FILE` writes, and `provision apply FILE` carries out.

The first line says what it is and in which version; below it stands JSON, one object a line: what
the plan is about, each device's actions, and a digest of all of it. It holds no secret and no
digest of one: what secrets there were is told by a key that stays with its user. It may come from
anywhere: its actions are only compared, and what is written comes from manifest and lock. What it
says of `--fresh` is asked again, and of `--accept-new-board` told, before any board is touched.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from provision._version import __version__
from provision.atomic_files import read_plain_file, write_atomic
from provision.core.wording import listed, printable, quoted
from provision.errors import Place, Problem, SavedPlanError, UsageError
from provision.model.language import record
from provision.model.plan import SAVED_PLAN, Action, Plan
from provision.model.state import ActualState
from provision.output.jsonlines import plain_data
from provision.output.text import action_text

VERSION = 1
MOST = 64 * 1024 * 1024  # bytes: 10,000 devices with 50 files each are half of it
_TITLE = re.compile(rf"{SAVED_PLAN} ([0-9]{{1,9}})", re.ASCII)
_NAME = re.compile(r"\w[\w.-]{0,99}")
_END = "end"
MOST_NAMED = 4  # actions, or files, in one message


@record
class SavedDevice:
    """What was planned for one device, on the board with this MAC: actions as plain data, each with
    what it `does` in words."""

    device: str
    mac: str | None
    actions: tuple[Mapping[str, Any], ...]

    def differs(self, plan: Plan, actual: ActualState) -> str | None:
        """Why the plan of now, its secrets masked, is not the one that was saved; None where it is,
        or where nothing is left to do."""
        if not plan.changes:
            return None
        if None not in (self.mac, actual.mac) and self.mac != actual.mac:
            mac = printable(self.mac or "")
            return f"its board was {mac}, and the one on its port is {actual.mac}"
        now = [_action_data(action) for action in plan.actions]
        if now == [dict(action) for action in self.actions]:
            return None
        before = {str(action.get("does")) for action in self.actions}
        does = {str(action["does"]) for action in now}
        more = [str(each["does"]) for each in now if each["does"] not in before]
        less = [str(each.get("does")) for each in self.actions if each.get("does") not in does]
        parts = [
            f"{words} {listed([printable(each) for each in some], MOST_NAMED)}"
            for words, some in (("now it takes to", more), ("no longer to", less))
            if some
        ]
        return "; ".join(parts) or "it takes the same to be done, for other reasons"


@record
class SavedPlan:
    """A plan as it is on disk at `path`. `manifest` is relative to the folder of that; `loaded` are
    the devices that the plan was asked for, `left_out` why some of them have none. `inputs` tell
    of what the plan was made of by name, `secrets` of its secrets to who has the key of that name.
    """

    path: Path
    tool: str
    made: str
    fleet: str
    manifest: str
    fresh: bool
    accept_new: tuple[str, ...]
    loaded: tuple[str, ...]
    left_out: Mapping[str, str]
    inputs: Mapping[str, str]
    secrets: str | None
    key: str
    devices: Mapping[str, SavedDevice]

    @property
    def manifest_path(self) -> Path:
        return self.path.parent / self.manifest


def saved_device(plan: Plan, actual: ActualState) -> SavedDevice:
    """What is saved of a plan whose secrets are masked."""
    actions = tuple(_action_data(action) for action in plan.actions)
    return SavedDevice(device=plan.device, mac=actual.mac, actions=actions)


def _action_data(action: Action) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(json.dumps(plain_data(action)))
    return {"does": action_text(action), **data}


def is_saved_plan(path: Path) -> bool:
    """Whether a file says that it is one, whatever its name; False for what cannot be read."""
    start = f"{SAVED_PLAN} ".encode()
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except (OSError, ValueError):
        return False


def write_plan(plan: SavedPlan) -> None:
    """Write it to its path, for this user alone; OSError when that cannot be."""
    head = {
        name: plain_data(getattr(plan, name))
        for name in (
            "made", "fleet", "manifest", "fresh", "accept_new", "loaded", "left_out", "inputs",
            "secrets", "key",
        )
    }  # fmt: skip
    lines = [
        f"{SAVED_PLAN} {VERSION}",
        json.dumps({"tool": __version__, **head}),
        *(json.dumps(plain_data(device)) for device in plan.devices.values()),
    ]
    text = "".join(f"{line}\n" for line in lines)
    write_atomic(plan.path, (text + _end_of(text)).encode(), mode=0o600)


def _end_of(text: str) -> str:
    return json.dumps({_END: hashlib.sha256(text.encode()).hexdigest()}) + "\n"


def read_plan(path: Path) -> SavedPlan:
    """A plan from disk. SavedPlanError, with the place, where it is no whole one of ours;
    UsageError where there is no such file."""
    try:
        data = read_plain_file(path, most=MOST + 1, root=None)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{path} cannot be read: {reason}", hint="name a saved plan") from error
    return _Reader(path).read(data)


class _Reader:
    """Reads one file, and stops at the first thing that is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, data: bytes) -> SavedPlan:
        if len(data) > MOST:
            raise self._wrong(1, f"larger than any plan: more than {MOST:,} bytes")
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise self._wrong(data[: error.start].count(b"\n") + 1, "this is no text") from None
        lines = text.split("\n")
        title = _TITLE.fullmatch(lines[0])
        if title is None:
            raise self._wrong(1, f"expected `{SAVED_PLAN} {VERSION}`: this is no saved plan")
        if int(title[1]) != VERSION:
            message = f"a plan of version {title[1]}; this provision reads version {VERSION}"
            raise self._wrong(1, message)
        if len(lines) < 4 or lines[-1]:
            raise self._wrong(len(lines), "the file was cut short: its end is missing")
        objects = [self._object(number, line) for number, line in self._numbered(lines)]
        whole = "".join(f"{line}\n" for line in lines[:-2])
        if _END not in objects[-1]:
            raise self._wrong(len(lines), "the file was cut short: its end is missing")
        if objects[-1] != json.loads(_end_of(whole)):
            message = "what is above is not what was written here: the digests differ"
            raise self._wrong(len(lines) - 1, message)
        return self._plan(objects)

    def _numbered(self, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
        return ((number, line) for number, line in enumerate(lines[1:-1], start=2))

    def _object(self, number: int, line: str) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            raise self._wrong(number, error.msg, column=error.colno) from None
        except (ValueError, RecursionError) as error:
            raise self._wrong(number, f"no plan: {error}") from None
        if not isinstance(found, dict):
            raise self._wrong(number, "expected an object in braces")
        return found

    def _plan(self, objects: Sequence[dict[str, Any]]) -> SavedPlan:
        head = objects[0]
        devices = [self._device(number, each) for number, each in enumerate(objects[1:-1], start=3)]
        return SavedPlan(
            path=self._path,
            tool=self._text(2, head, "tool"),
            made=self._text(2, head, "made"),
            fleet=self._text(2, head, "fleet"),
            manifest=self._text(2, head, "manifest"),
            fresh=head.get("fresh") is True,
            accept_new=self._names(2, head, "accept_new"),
            loaded=self._names(2, head, "loaded"),
            left_out=self._texts(2, head, "left_out"),
            inputs=self._texts(2, head, "inputs"),
            secrets=self._text(2, head, "secrets") if head.get("secrets") is not None else None,
            key=self._text(2, head, "key"),
            devices={each.device: each for each in devices},
        )

    def _device(self, number: int, data: Mapping[str, Any]) -> SavedDevice:
        (name,) = self._names(number, {"device": [data.get("device")]}, "device")
        mac = self._text(number, data, "mac") if data.get("mac") is not None else None
        actions = data.get("actions")
        if not isinstance(actions, list) or not all(isinstance(each, dict) for each in actions):
            raise self._wrong(number, "expected a list of objects", key="actions")
        return SavedDevice(device=name, mac=mac, actions=tuple(actions))

    def _text(self, number: int, data: Mapping[str, Any], key: str) -> str:
        found = data.get(key)
        if not isinstance(found, str) or "\0" in found:
            raise self._wrong(number, "expected some text", key=key)
        return found

    def _texts(self, number: int, data: Mapping[str, Any], key: str) -> Mapping[str, str]:
        found = data.get(key)
        if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
            raise self._wrong(number, "expected an object of texts", key=key)
        return found

    def _names(self, number: int, data: Mapping[str, Any], key: str) -> tuple[str, ...]:
        found = data.get(key)
        if not isinstance(found, list):
            raise self._wrong(number, "expected a list of devices", key=key)
        for each in found:
            if not isinstance(each, str) or not _NAME.fullmatch(each):
                raise self._wrong(number, f"{quoted(str(each))} is no device's name", key=key)
        return tuple(found)

    def _wrong(self, line: int, message: str, *, column: int = 1, key: str = "") -> SavedPlanError:
        place = Place(file=str(self._path), line=line, column=column)
        return SavedPlanError(Problem(place=place, path=key, message=message))
