"""The state before the last apply: what has to be kept of a board for it, what it is as a desired
state, so that diff, plan and execute bring it back as they bring any other, and which of the two
states a board is in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

from provision.core.wording import plural
from provision.model.board_path import below
from provision.model.kept import ApplyPhase, KeptState
from provision.model.language import record
from provision.model.plan import DeleteFile, MakeDirectory, Plan, RemoveDirectory, WriteFile
from provision.model.state import (
    ActualState,
    Content,
    DesiredFile,
    DesiredFirmware,
    DesiredState,
    FileState,
    Filesystem,
    FirmwareIdentity,
    FirmwareSource,
)

BEFORE = "the state before the last apply"


def changed_files(
    desired: DesiredState, plan: Plan, seen: Filesystem | None = None
) -> dict[str, str | None]:
    """The files that a plan writes or deletes, with the sha256 of what it puts there; of one that
    erases the flash also those that go with it, of all that is `seen`."""
    found: dict[str, str | None] = {}
    own = desired.certificate.paths if desired.certificate is not None else frozenset()
    for action in plan.actions:
        if getattr(action, "path", None) in own:
            continue  # a key is kept on its board alone
        if isinstance(action, WriteFile):
            found[action.path] = desired.files_by_dest[action.path].content.sha256
        elif isinstance(action, DeleteFile):
            found[action.path] = None
    if plan.erases and seen is not None:
        for path in seen.files.keys() - own:
            found.setdefault(path, None)
    return found


def kept_for(
    desired: DesiredState,
    plan: Plan,
    actual: ActualState,
    contents: Mapping[str, bytes | None],
    last: KeptState | None,
) -> KeptState:
    """What to keep before `plan` is carried out, `contents` being what its files hold now. After a
    run that ended in the middle the state before is still the one before that run. What it changes
    and neither `contents` nor that run has are private keys, which nobody keeps."""
    changed = changed_files(desired, plan, actual.filesystem)
    known = last.files.keys() if last is not None and last.unfinished else frozenset()
    keys = changed.keys() - contents.keys() - known
    changed = {path: digest for path, digest in changed.items() if path not in keys}
    there = actual.filesystem.directories if actual.filesystem is not None else frozenset()
    gone = there if plan.erases else frozenset()
    made = frozenset(one.path for one in plan.actions if isinstance(one, MakeDirectory))
    removed = frozenset(one.path for one in plan.actions if isinstance(one, RemoveDirectory))
    kept = KeptState(
        phase="writing",
        files=contents,
        written={path: (digest,) for path, digest in changed.items()},
        made=made - gone,
        removed=removed | gone,
        spared=frozenset(
            path
            for path in changed
            if path in desired.files_by_dest and desired.files_by_dest[path].create_only
        ),
        firmware=actual.firmware,
        check_after=desired.check,
        image=last.image if last is not None else None,
        keys=frozenset(keys),
    )
    if last is None:
        return kept
    if not last.unfinished:
        passed = last.check_after if last.phase == "applied" else last.check_before
        return replace(kept, check_before=passed)
    written = dict(last.written)
    for path, digest in changed.items():
        earlier = written.get(path, ())
        written[path] = (*(each for each in earlier if each != digest), digest)
    return replace(
        kept,
        files={**kept.files, **last.files},
        written=written,
        made=last.made | (kept.made - last.removed),
        removed=last.removed | (kept.removed - last.made),
        spared=last.spared | (kept.spared - last.files.keys()),
        firmware=last.firmware,
        flash=last.flash,
        check_before=last.check_before,
        keys=last.keys | kept.keys,
    )


def state_before(desired: DesiredState, kept: KeptState, *, others: bool) -> DesiredState:
    """What the device had to be before its last apply: the files that it replaced or deleted as
    they were, those that it made gone, and the firmware as it was or, where that was not written,
    left alone. `others`: what else `desired` has is to be there as well, since it was before, as
    right after an apply of it."""
    files = {
        path: DesiredFile(
            dest=path,
            source=BEFORE,
            content=Content(data=data, secrets=_secrets(desired, path)),
        )
        for path, data in kept.files.items()
        if data is not None
    }
    if others:
        files |= {
            file.dest: file
            for file in desired.files
            if file.dest not in kept.files and not file.create_only
        }
    gone = (path for path, data in kept.files.items() if data is None)
    return replace(
        desired,
        firmware=_firmware_before(kept),
        files=tuple(file for _, file in sorted(files.items())),
        directories=tuple(sorted(kept.removed)),
        absent=tuple(sorted({*kept.made, *gone})),
        prune=(),
        certificate=None,  # the board keeps what it has
        nvs=(),  # what it was before is kept with the flash alone
        fresh=False,
        check=kept.check_before,
        packages=(),
        origin=BEFORE,
    )


def _firmware_before(kept: KeptState) -> DesiredFirmware | None:
    """Where its banner tells it from the new one, that is trusted."""
    if kept.flash is None or kept.firmware is None:
        return None
    same = kept.firmware.agrees_with(kept.flash.written)
    return DesiredFirmware(
        source=FirmwareSource(name=kept.firmware.version, file=kept.flash.name),
        identity=kept.firmware,
        verify="flash" if same else "banner",
    )


def _secrets(desired: DesiredState, path: str) -> frozenset[str]:
    """A file that is made of secrets now was most likely made of some before."""
    file = desired.files_by_dest.get(path)
    return file.content.secrets if file is not None else frozenset()


@record
class FilesFound:
    """The files that the last apply changes, by what a board has of them: as they were before; as
    they were to be since; neither, of which it is `lost` to put back the old ones; and the board's
    own by now, as they were `create_only`."""

    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


def expected_files(kept: KeptState) -> dict[str, FileState]:
    """What to expect of the kept files, so that a look at a board tells the sha256 of each."""
    expected = {}
    for path, data in kept.files.items():
        digests = (_sha256(data), *kept.written[path])
        digest = next((each for each in digests if each is not None), None)
        expected[path] = FileState(size=None, sha256=digest)
    return expected


def find_files(kept: KeptState, filesystem: Filesystem) -> FilesFound:
    """Which of the kept files the board has as they were, and which as the last apply has them."""
    found: dict[str, list[str]] = {"old": [], "new": [], "other": [], "lost": [], "own": []}
    for path, data in sorted(kept.files.items()):
        there = filesystem.files.get(path)
        digest = there.sha256 if there is not None else None
        readable = there is None or digest is not None
        if readable and digest == _sha256(data):
            found["old"].append(path)
            continue
        if readable and digest == kept.written[path][-1]:
            found["new"].append(path)
            continue
        unknown = there is not None and (not readable or digest not in kept.written[path])
        if unknown and path in kept.spared:
            found["own"].append(path)
            continue
        found["other"].append(path)
        if unknown:
            found["lost"].append(path)
    return FilesFound(**{kind: tuple(paths) for kind, paths in found.items()})


def _sha256(data: bytes | None) -> str | None:
    return hashlib.sha256(data).hexdigest() if data is not None else None


def sparing(
    before: DesiredState, kept: KeptState, seen: Filesystem, own: Container[str]
) -> DesiredState:
    """The state before, less what is the board's own by now: its `own` files, and the directories
    that the last apply made and that hold what it did not."""
    others = [
        path
        for path in (*seen.files, *seen.directories, *seen.mounts)
        if path in own or (path not in kept.files and path not in kept.made)
    ]
    stays = {folder for folder in kept.made if any(below(path, folder) for path in others)}
    absent = (path for path in before.absent if path not in own and path not in stays)
    return replace(before, absent=tuple(absent))


_HAS = "the board has "
_CAME: Mapping[ApplyPhase, str] = {
    "writing": "its last apply did not come to its end",
    "rolling-back": "the rollback of its last apply did not come to its end",
    "rolled-back": "its last apply was rolled back",
}


def told(
    device: str, kept: KeptState, found: FilesFound | None, runs: FirmwareIdentity | None
) -> str | None:
    """What became of the last apply of a board which `runs` this firmware, which state it is in,
    and the ways on; None where the apply came to its end."""
    if kept.phase == "applied":
        return None
    what = "firmware and files" if kept.flash is not None and kept.files else (
        "firmware" if kept.flash is not None else "files"
    )  # fmt: skip
    if kept.unfinished:
        ways = (
            f"`provision apply` goes on with the new {what}, "
            f"`provision rollback -l {device}` puts back those from before"
        )
    else:
        ways = "`provision apply` tries the new ones again"
    firmware, files = [*_which_firmware(kept, runs)], [*_which_files(kept, found)]
    if firmware and firmware[0].startswith(_HAS):
        files = [each.removeprefix(_HAS) for each in files]
    return f"{_CAME[kept.phase]}: {' and '.join((*firmware, *files))}. {ways}"


def _which_firmware(kept: KeptState, runs: FirmwareIdentity | None) -> Iterator[str]:
    if kept.flash is None or kept.firmware is None:
        return
    if runs is None:
        yield "no firmware answers on the board"
    elif kept.firmware.agrees_with(kept.flash.written):
        yield f"both firmwares call themselves {kept.firmware.version}"
    elif runs.agrees_with(kept.firmware):
        yield f"the board has the firmware from before it ({runs.version})"
    elif runs.agrees_with(kept.flash.written):
        yield f"the board has the new firmware ({runs.version})"
    else:
        yield f"the board has a firmware of neither ({runs.version})"


def _which_files(kept: KeptState, found: FilesFound | None) -> Iterator[str]:
    if found is None:
        yield "nobody could look which files the board has"
    elif not kept.files and kept.flash is not None:
        return
    elif not found.new and not found.other:
        yield "the board has the files from before it"
    elif not found.old and not found.other:
        yield "the board has the new files"
    else:
        counts = [
            *([f"{len(found.new)} new"] if found.new else []),
            *([f"{len(found.old)} from before it"] if found.old else []),
            *([f"{len(found.other)} of neither"] if found.other else []),
        ]
        changed = plural(len(found.old) + len(found.new) + len(found.other), "changed file")
        yield f"of {changed} the board has {', '.join(counts)}"
