"""Texts for events: times, actions, plans and the recap, as lines.

Pure functions, shared by every output that people read, so that a live terminal, a log and a CI
job say the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from textwrap import wrap

from provision.core.wording import (
    byte_size,
    columns,
    device_group,
    listed,
    one_line,
    padded,
    plural,
    printable,
)
from provision.model.event import DeviceFinished, DeviceUpdated, EditFailed, Stage
from provision.model.language import assert_never
from provision.model.plan import (
    Action,
    DeleteFile,
    EraseFlash,
    MakeDirectory,
    Plan,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RewriteFilesystem,
    RunCheck,
    WriteFile,
    WriteFirmware,
    WriteNvs,
)
from provision.model.state import StepResult
from provision.output.style import PLAIN, Colour, Style

STAGE_TEXTS: dict[Stage, str] = {
    "connect": "connecting",
    "observe": "reading the board's state",
    "manual-action": "waiting for a person",
    "erase": "erasing flash",
    "flash": "writing flash",
    "verify-flash": "verifying flash",
    "read-flash": "reading flash",
    "boot": "waiting for the board to boot",
    "nvs": "setting entries of NVS",
    "files": "sending files",
    "read-files": "reading files",
    "reset": "resetting",
    "check": "checking the app",
    "verify-files": "checking the result",
}

MOST_PATHS = 4  # of what an edit has changed on a board
MOST_MISTAKES = 20  # of a project that is edited
NARROW = 60  # columns of a terminal, with fewer of which nothing is put side by side
_DEFAULT_WIDTH = 100  # columns, where there is no terminal to ask


def duration(seconds: float) -> str:
    """Seconds for people: `0.3 s`, `42 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def action_text(one: Action) -> str:
    """What an action does, as an imperative: `write /main.py (1.2 kB)`. One line."""
    return one_line(_imperative(one))


def _imperative(one: Action) -> str:
    match one:
        case EraseFlash():
            what = f"flash but for {listed(one.spares)}" if one.spares else "whole flash"
            return f"erase the {what}{_losing(one.losses)}"
        case RewriteFilesystem():
            kept = plural(one.files, "file")
            return f"rewrite the filesystem, {kept} kept{_losing(one.losses)}"
        case WriteFirmware():
            return f"write MicroPython {one.identity.version} for {one.identity.machine}"
        case RestoreFile():
            return f"restore {one.path}"
        case DeleteFile():
            return f"delete {one.path}"
        case RemoveDirectory():
            return f"remove the directory {one.path}"
        case MakeDirectory():
            return f"make the directory {one.path}"
        case WriteFile():
            return f"write {one.path} ({byte_size(one.size)})"
        case WriteNvs():
            size = f", {byte_size(one.size)}" if one.type in ("str", "blob") else ""
            return f"set {one.namespace}.{one.key} in NVS ({one.type}{size})"
        case Reset():
            return "reset"
        case RunCheck():
            if one.check.steps:
                return f"check {listed([step.name or '' for step in one.check.steps])}"
            if one.check.expression is not None:
                limits = limits_text(one.check.min, one.check.max)
                return f"check that {one.check.expression}{limits and ' is a number' + limits}"
            return f"check that the console prints {one.check.console!r}"
        case _:
            return assert_never(one)


def _losing(losses: Sequence[str]) -> str:
    return f", losing {listed(losses)}" if losses else ""


def done_text(one: Action) -> str:
    """The same in the past: `wrote /main.py (1.2 kB)`."""
    return one_line(_past(one))


def _past(one: Action) -> str:
    match one:
        case EraseFlash():
            return "erased the flash"
        case RewriteFilesystem():
            return _imperative(one).replace("rewrite", "rewrote", 1)
        case WriteFirmware() | WriteFile():
            return _imperative(one).replace("write", "wrote", 1)
        case RestoreFile():
            return f"restored {one.path}"
        case DeleteFile():
            return f"deleted {one.path}"
        case RemoveDirectory():
            return f"removed the directory {one.path}"
        case MakeDirectory():
            return f"made the directory {one.path}"
        case WriteNvs():
            return _imperative(one)
        case Reset():
            return "reset"
        case RunCheck():
            return "check passed"
        case _:
            return assert_never(one)


def step_text(result: StepResult) -> str:
    """What a named step of a check came to: `supply 3.31 (3.2 to 3.4)`; "" for one without a
    name's worth of news, a check that is a single question."""
    if result.name == result.asked:
        return ""
    limits = limits_text(result.min, result.max)
    value = f" {one_line(result.value)}" if result.value is not None else ""
    return f"{one_line(result.name)}{value}{limits}{'' if result.passed else ': failed'}"


def limits_text(least: float | None, most: float | None) -> str:
    """` (3.2 to 3.4)`, ` (at least 3)`; "" without limits."""
    match least, most:
        case None, None:
            return ""
        case _, None:
            return f" (at least {least:g})"
        case None, _:
            return f" (at most {most:g})"
        case _:
            return f" ({least:g} to {most:g})"


def _action_colour(one: Action) -> Colour:
    match one:
        case EraseFlash() | DeleteFile() | RemoveDirectory():
            return "red"
        case WriteFirmware() | RewriteFilesystem():
            return "yellow"
        case WriteFile() | MakeDirectory() | RestoreFile() | WriteNvs():
            return "yellow"
        case Reset() | RunCheck():
            return "cyan"
        case _:
            return assert_never(one)


def _changes_file(one: Action) -> bool:
    match one:
        case WriteFile() | DeleteFile() | RestoreFile():
            return True
        case EraseFlash() | RewriteFilesystem() | WriteFirmware():
            return False
        case MakeDirectory() | RemoveDirectory() | WriteNvs():
            return False
        case Reset() | RunCheck():
            return False
        case _:
            return assert_never(one)


Told = dict[object, str]
"""The device for which each shape of plan was told first."""


def plan_lines(
    plans: Sequence[Plan], style: Style = PLAIN, width: int | None = 80, told: Told | None = None
) -> list[str]:
    """Plans as people read them: devices with the same plan together, then the totals.

    The size of a file that a template makes for each device anew makes no other plan, nor does the
    device's name in a path or a reason: where sizes differ, the smallest and the largest are told,
    and the name is `{{ name }}`. Those without changes come first, on one line, since the end of a
    text is what stays in view. Reasons are wrapped at `width` columns; where there is None, they
    stay whole. A plan that was `told` before of another device is not told again.
    """
    told = {} if told is None else told
    groups: dict[object, list[Plan]] = {}
    for plan in plans:
        groups.setdefault(plan_shape(plan), []).append(plan)
    lines: list[str] = []
    ordered = sorted(
        groups.items(), key=lambda each: each[1][0].changes or bool(each[1][0].refusals)
    )
    for shape, same in ordered:
        lines += _group(same, style, width, told.get(shape))
        told.setdefault(shape, same[0].device)
    return [*lines, _plan_summary(plans, style)]


def plan_shape(plan: Plan) -> object:
    """Equal for plans that people read as the same."""
    return (tuple(nameless(each, plan.device) for each in plan.actions), plan.refusals)


def nameless(action: Action, device: str) -> Action:
    """The action without what a device has of its own: its name, and the size of a file."""
    own = re.compile(rf"(?<![\w-]){re.escape(device)}(?![\w-])")
    changes: dict[str, object] = {"reason": own.sub("{{ name }}", action.reason)}
    if (path := getattr(action, "path", None)) is not None:
        changes["path"] = own.sub("{{ name }}", path)
    if isinstance(action, WriteFile):
        changes["size"] = 0
    # mypy cannot tell which keys a union of actions has: each is looked for above.
    return replace(action, **changes)  # type: ignore[arg-type]


def joint_text(alike: Sequence[tuple[str, Action]]) -> tuple[str, str]:
    """What the same action does to several devices, and why; the names of one are its own."""
    device, first = alike[0]
    if len(alike) > 1:
        first = nameless(first, device)
    secret = ", secret" if isinstance(first, WriteFile) and first.sensitive else ""
    reason = f"{one_line(first.reason)}{secret}"
    if not isinstance(first, WriteFile):
        return action_text(first), reason
    sizes = [each.size for _, each in alike if isinstance(each, WriteFile)]
    shown = dict.fromkeys(byte_size(size) for size in (min(sizes), max(sizes)))
    return one_line(f"write {first.path} ({' to '.join(shown)})"), reason


def _group(same: Sequence[Plan], style: Style, width: int | None, told: str | None) -> list[str]:
    plan = same[0]
    who = device_group([each.device for each in same])
    if plan.refusals:
        lines = [f"{style(who, 'bold')}: {style('refused', 'red')}"]
        for refusal in plan.refusals:
            lines += _indented(f"{refusal.kind}: {refusal.message}", width)
            lines += _indented(f"hint: {refusal.hint}", width)
        return lines
    if not plan.changes:
        return [f"{style(who, 'bold')}: {style('no changes', 'green')}"]
    what = plural(plan.change_count, "change") if plan.change_count else "no changes, to be checked"
    if told is not None:
        return [f"{style(who, 'bold')}: {what}, as {told}"]
    lines = [f"{style(who, 'bold')}: {what}"]
    rows = [
        joint_text([(each.device, each.actions[place]) for each in same])
        for place in range(len(plan.actions))
    ]
    if width is not None and width < NARROW:
        return lines + _stacked(plan.actions, rows, style, width)
    widest = max(columns(text) for text, _ in rows)
    column = min(widest, max((width or _DEFAULT_WIDTH) - 34, 20))
    margin = " " * (column + 4)
    for each, (text, reason) in zip(plan.actions, rows, strict=True):
        reasons = _wrapped(reason, width, column + 4)
        words = style(padded(text, column), _action_colour(each))
        if columns(text) > column and width is not None:
            lines.append(f"  {words}")
        else:
            lines.append(f"  {words}  {style(reasons.pop(0), 'dim')}")
        lines += [f"{margin}{style(line, 'dim')}" for line in reasons]
    return lines


def _stacked(
    actions: Sequence[Action], rows: Sequence[tuple[str, str]], style: Style, width: int
) -> list[str]:
    """Each action above its reason, where there is no room for one beside the other."""
    lines = []
    for each, (text, reason) in zip(actions, rows, strict=True):
        lines += [f"  {style(line, _action_colour(each))}" for line in _wrapped(text, width, 2)]
        lines += [f"    {style(line, 'dim')}" for line in _wrapped(reason, width, 4)]
    return lines


def _wrapped(text: str, width: int | None, margin: int) -> list[str]:
    """At least one line, to stand behind `margin` columns."""
    return wrap(text, max(width - margin, 20)) if width is not None and text else [text]


def _indented(text: str, width: int | None) -> list[str]:
    return wrap(
        one_line(text),
        max(width or _DEFAULT_WIDTH, 40),
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plan_summary(plans: Sequence[Plan], style: Style) -> str:
    refused = sum(bool(plan.refusals) for plan in plans)
    changing = [plan for plan in plans if plan.change_count]
    unchecked = sum(plan.changes and not plan.change_count for plan in plans)
    erased = sum(plan.erases for plan in changing)
    flashed = sum(plan.flashes for plan in changing)
    files = sum(_changes_file(each) for plan in changing for each in plan.actions)
    details = [f"{number} to {verb}" for number, verb in ((erased, "erase"), (flashed, "flash"))]
    shown = [text for text, number in zip(details, (erased, flashed), strict=True) if number]
    if files:
        shown.append(plural(files, "file"))
    parts = [f"{len(changing)} to change" + (f" ({', '.join(shown)})" if shown else "")]
    if unchecked:
        parts.append(f"{unchecked} to check")
    parts.append(f"{len(plans) - len(changing) - unchecked - refused} without changes")
    if refused:
        parts.append(style(f"{refused} refused", "red"))
    return f"{style('Plan', 'bold')}: {plural(len(plans), 'device')}: {', '.join(parts)}"


def outcome_line(finished: DeviceFinished, style: Style = PLAIN) -> str:
    """The outcome of a device: `changed: 3 changes in 4.2 s`, `failed after 1.0 s: why`."""
    word = style.outcome(finished.outcome)
    if finished.error is not None:
        return f"{word} after {duration(finished.seconds)}: {one_line(finished.error)}"
    what = f": {plural(finished.changes, 'change')}" if finished.changes else ""
    return f"{word}{what} in {duration(finished.seconds)}"


def error_lines(finished: DeviceFinished) -> list[str]:
    """What follows a failure: the state that the board is left in, and what to do next."""
    lines = []
    if finished.board_state:
        lines.append(f"the board: {one_line(finished.board_state)}")
    if finished.hint:
        lines.append(f"hint: {one_line(finished.hint)}")
    return lines


def update_lines(updated: DeviceUpdated) -> list[str]:
    """What has become of a board by an edit: `/main.py in 0.3 s`."""
    seconds = f"{updated.seconds:.2f} s"
    if updated.error is not None:
        lines = [f"not updated: {one_line(updated.error)}"]
        return lines + ([f"  hint: {one_line(updated.hint)}"] if updated.hint else [])
    if not updated.paths:
        return ["its files are as the manifest says"]
    files = listed([printable(path) for path in updated.paths], MOST_PATHS)
    return [f"{files} in {seconds}" + ("" if updated.restarted else ", its app is stopped")]


def edit_lines(failed: EditFailed, style: Style = PLAIN) -> list[str]:
    """What is wrong with a project that was edited, each mistake where it stands."""
    lines = [
        f"{each.file}:{each.line}:{each.column}: "
        + (f"{style(one_line(each.path), 'bold')}: " if each.path else "")
        + one_line(each.message)
        for each in failed.problems[:MOST_MISTAKES]
    ]
    more = len(failed.problems) - len(lines)
    if more > 0:
        lines.append(f"… and {more:,} more (`provision validate` tells all)")
    if not failed.problems:
        lines.append(f"{one_line(failed.error)}; {one_line(failed.hint)}")
    return [*lines, f"{style('not valid:', 'red', 'bold')} boards keep what they have"]
