"""What must be so after an apply, told from a twin's own flash before and after, and from nothing
that the apply itself has said of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from provision.core.rehearsal.report import Finding
from provision.core.wording import listed, printable
from provision.model.board_path import TEMPORARY_NAME, at_or_below, disabled_name
from provision.model.plan import DeleteFile, EraseFlash, Plan, phase_of
from provision.model.state import DesiredState

Files = Mapping[str, bytes]
"""The sha256 of each file, by its path."""

SAMPLE = "/rehearsal-sample.dat"
"""What stands on a twin for the data that a board makes in the field."""

_MOST_NAMED = 3


def sample_path(desired: DesiredState) -> str | None:
    """Where a twin is given a file that no manifest names, as apps make them; None where all that
    is not named is to go."""
    covered = any(at_or_below(SAMPLE, folder) for folder in (*desired.pruned, *desired.absent))
    return None if covered or SAMPLE in desired.files_by_dest else SAMPLE


def lost_files(
    desired: DesiredState,
    before: Files,
    after: Files,
    *,
    named: Collection[str],
    plans: Sequence[Plan],
) -> Iterator[Finding]:
    """What was on the board before, is gone, and may not be. `named` are the paths that some state
    of the manifest has put there: those are its own, and go where it prunes; all others the board
    has made. `plans` are those that were carried out."""
    gone = [
        path
        for path in sorted(before)
        if path not in after
        and path not in desired.files_by_dest
        and TEMPORARY_NAME not in path
        and disabled_name(path) not in after
        and not any(at_or_below(path, each) for each in desired.absent)
    ]
    pruned = [path for path in gone if any(at_or_below(path, each) for each in desired.pruned)]
    erased = _erased(plans)
    deleted = {
        action.path for plan in plans for action in plan.actions if isinstance(action, DeleteFile)
    }
    own = [path for path in pruned if path not in named]
    if own:
        yield pruned_data(desired, own)
    rest = [path for path in gone if path not in pruned]
    wanted = desired.firmware is not None and desired.firmware.erase == "always"
    unsaid = [path for path in rest if path not in deleted]
    made = [path for path in unsaid if path not in named]
    if made and erased is not None and not wanted:
        yield Finding(
            code="data-lost",
            message=f"apply erases the board ({erased}), and with it "
            f"{_named(made)}, made on the board",
            hint="`provision backup` saves the files of real boards before; where they may go, "
            "--allow data-lost",
        )
    elif unsaid and erased is None:
        yield Finding(
            code="data-lost",
            message=f"{_named(unsaid)} {'is' if len(unsaid) == 1 else 'are'} gone after "
            "apply, and neither the manifest nor a plan says so",
            hint="that is a mistake of this tool: report it, with the command below",
        )
    for path, file in desired.files_by_dest.items():
        if not file.create_only or path not in before or path not in after or erased is not None:
            continue
        first = bytes.fromhex(file.content.sha256)
        if before[path] != first and after[path] == first:
            yield Finding(
                code="data-lost",
                message=f"{printable(path)} was changed on the board, and is the manifest's again, "
                "though it is `create_only`",
                hint="if the app does not do so itself, that is a mistake of this tool: report it",
            )


def pruned_data(desired: DesiredState, paths: Sequence[str]) -> Finding:
    """Of files that the board has made where the manifest prunes."""
    folders = sorted({each for each in desired.pruned for path in paths if at_or_below(path, each)})
    return Finding(
        code="data-lost",
        message=f"apply deletes {_named(paths)}, made on the board: no entry names "
        f"{_it(paths)}, and `prune: [{', '.join(map(printable, folders))}]` deletes what none "
        "names",
        hint="have the app write elsewhere, or prune less; where it may go, --allow data-lost",
    )


def unstable(
    desired: DesiredState, plan: Plan, *, named: Collection[str], texts: Sequence[str]
) -> Finding:
    """Of a second apply that found this to do, though nothing but the board itself can have changed
    anything; `texts` tell of it."""
    deleted = [each.path for each in plan.actions if isinstance(each, DeleteFile)]
    changes = [each for each in plan.actions if phase_of(each) != "finish"]
    if deleted and len(deleted) == len(changes) and not set(deleted) & set(named):
        return pruned_data(desired, deleted)
    return Finding(
        code="not-converged",
        message="a second apply, with nothing changed, would still "
        + (listed(texts, _MOST_NAMED) or "run the check again"),
        hint="the app or the firmware undoes it: name the file `create_only: true`, or have the "
        "app write elsewhere",
    )


def wrong_files(desired: DesiredState, after: Files) -> Iterator[Finding]:
    """What is not as the manifest says, on a board that apply has called converged."""
    wrong = []
    for path, file in desired.files_by_dest.items():
        found = after.get(path)
        if found is None:
            wrong.append(f"{printable(path)} is missing")
        elif not file.create_only and found != bytes.fromhex(file.content.sha256):
            wrong.append(f"{printable(path)} has other bytes")
    wrong += [
        f"{printable(path)} is still there"
        for path in sorted(after)
        if any(at_or_below(path, each) for each in desired.absent)
        and path not in desired.files_by_dest
    ]
    if wrong:
        yield Finding(
            code="file-differs",
            message=f"apply has ended well, and yet {listed(wrong, _MOST_NAMED)}",
            hint="if the app changes or removes it at once, name it `create_only: true`, or have "
            "the app write elsewhere",
        )


def _erased(plans: Sequence[Plan]) -> str | None:
    """Why the filesystem was made anew, where it was."""
    for plan in plans:
        for action in plan.actions:
            if isinstance(action, EraseFlash):
                return action.reason
    return None


def _named(paths: Sequence[str]) -> str:
    return listed([*map(printable, paths)], _MOST_NAMED)


def _it(paths: Sequence[str]) -> str:
    return "it" if len(paths) == 1 else "them"
