"""Plans that are saved, and what they were made of. Its functions are `api`'s own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from provision._version import __version__
from provision.app import open_fleet
from provision.atomic_files import project_root, read_plain_file
from provision.core.wording import listed, printable
from provision.errors import ManifestError, Refused, UsageError
from provision.model.report import RunReport
from provision.model.secret import MASK
from provision.output.run_log import user_key
from provision.output.saved.plan_file import SavedPlan, is_saved_plan, saved_device, write_plan
from provision.output.scrub import scrub
from provision.project.fleet import Fleet
from provision.project.parts.main_file import MOST, STDIN_FILE, SUFFIXES, manifest_bytes


def check_plan_path(fleet: Fleet, path: Path) -> None:
    """UsageError where a plan of this fleet cannot be saved there: it would overwrite what is no
    plan, or become a source of its own manifest."""
    why, hint = None, "name another file, such as fleet.plan"
    if fleet.loaded.file == STDIN_FILE:
        why, hint = "the manifest came from standard input, and cannot be read again", "name a file"
    elif path.is_dir():
        why = "that is a directory"
    elif not path.absolute().parent.is_dir():
        why = f"there is no directory {path.absolute().parent}"
    elif path.exists() and not is_saved_plan(path):
        why = "there is another file of that name, which is no saved plan"
    elif path.suffix != ".plan" and path.resolve().parent in fleet.loaded.looked_at[1]:
        why = "it would be a file for the boards there; its name has to end in .plan"
    if why is not None:
        raise UsageError(f"the plan cannot be saved as {printable(str(path))}: {why}", hint=hint)


def save_plan(
    fleet: Fleet,
    report: RunReport,
    path: Path,
    *,
    fresh: bool = False,
    accept_new_boards: Sequence[str] = (),
) -> SavedPlan:
    """Save what a run of `plan` has found to be done, for `apply` to carry out exactly that; the
    arguments are those that it was given. Devices without a plan are left out, with the reason.
    UsageError where it cannot be written, or where nothing was planned."""
    check_plan_path(fleet, path)
    key = user_key()
    devices = {
        each.device: saved_device(each.plan, each.actual)
        for each in report.devices
        if each.plan is not None and each.actual is not None and each.error is None
    }
    if not devices:
        raise UsageError("no device has a plan that could be saved", hint="see above why")
    made = SavedPlan(
        path=path,
        tool=__version__,
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        fleet=fleet.name,
        manifest=os.path.relpath(fleet.loaded.path, path.resolve().parent),
        fresh=fresh,
        accept_new=tuple(sorted(fleet.select_new_boards(accept_new_boards))),
        loaded=fleet.devices,
        left_out={
            each.device: each.error.message if each.error is not None else each.outcome
            for each in report.devices
            if each.device not in devices
        },
        inputs=fleet.inputs(),
        secrets=fleet.secret_digest(key),
        key=_key_name(key),
        devices=devices,
    )
    try:
        write_plan(scrub(made, fleet.masked))
    except OSError as error:
        raise UsageError(
            f"the plan cannot be saved as {path}: {error.strerror}", hint="name another file"
        ) from error
    return made


def open_planned(
    saved: SavedPlan,
    *,
    limit: Sequence[str] = (),
    secrets: Path | None = None,
    offline: bool = False,
    here: bool = False,
    host: str | None = None,
) -> Fleet:
    """The fleet that a plan was made for, as it is now, with those of its devices that `limit`,
    `here` and `host` select as of `load`; Refused, with what has changed, where any of it is no
    longer what the plan was made of."""
    manifest = saved.manifest_path
    try:
        digest = hashlib.sha256(manifest_bytes(manifest)).hexdigest()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the manifest of {saved.path}, {printable(str(manifest))}, cannot be read: {error}",
            hint="a plan is kept where it was saved: what it names is found from there",
        ) from error
    if saved.inputs.get(manifest.name) not in (digest, MASK):
        raise _outdated(saved, f"changed: {printable(manifest.name)}")
    try:
        fleet = open_fleet(
            manifest, limit=saved.loaded, secrets=secrets, offline=offline, host=host
        )
    except (ManifestError, UsageError) as error:  # of what it includes something has changed
        changed = _changed_files(saved)
        if changed:
            raise _outdated(saved, f"changed: {listed(changed, 4)}") from error
        raise
    now = fleet.inputs()
    changed = [name for name in now if name in saved.inputs and now[name] != saved.inputs[name]]
    parts = [
        ("changed", changed),
        ("new", [name for name in now if name not in saved.inputs]),
        ("gone", [name for name in saved.inputs if name not in now]),
    ]
    if made_here(saved) and saved.secrets != fleet.secret_digest(user_key()):
        # A source that held the old one is no input with a name until then, and is now.
        parts = [("changed", [*changed, "a secret"])]
    told = [f"{how}: {listed(list(map(printable, names)), 4)}" for how, names in parts if names]
    if told:
        raise _outdated(saved, "; ".join(told))
    wanted = {state.device for state in fleet.select(limit)}
    if here:
        wanted &= {*fleet.loaded.names(limit, fleet.host)}
    return replace(fleet, states=tuple(each for each in fleet.states if each.device in wanted))


def _changed_files(saved: SavedPlan) -> list[str]:
    """The files of the project that a plan names and that are others now, or gone."""
    folder = saved.manifest_path.parent
    changed = []
    for name, digest in saved.inputs.items():
        try:
            data = read_plain_file(folder / name, most=MOST, root=project_root(folder))
        except FileNotFoundError:
            if not name.endswith((*SUFFIXES, ".csv")):  # images and packages are no files of it
                continue
            data = b""
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() != digest != MASK:
            changed.append(printable(name))
    return changed


def planned_of(fleet: Fleet, saved: SavedPlan, limit: Sequence[str]) -> list[str]:
    """The devices that `limit` selects and that a plan was made for; UsageError for none."""
    selected = [state.device for state in fleet.select(limit)] if fleet.states else []
    planned = [device for device in selected if device in saved.devices]
    if not planned:
        about = listed(selected, 4) or "what hangs here"
        raise UsageError(
            f"{saved.path} has no plan for {about}",
            hint=f"it has one for {listed(list(saved.devices), 4)}; to have one for others, make a "
            "new plan with `provision plan --out FILE`",
        )
    return planned


def made_here(saved: SavedPlan) -> bool:
    """Whether this user made it on this computer, and so can tell whether secrets have changed."""
    return saved.key == _key_name(user_key())


def _outdated(saved: SavedPlan, why: str) -> Refused:
    return Refused(
        f"not what {saved.path} was made of any more: {why}",
        hint="nothing was written; make a new plan with `provision plan --out FILE`",
    )


def _key_name(key: bytes) -> str:
    """Tells keys apart, and gives none away."""
    return hashlib.sha256(b"name:" + key).hexdigest()[:12]
