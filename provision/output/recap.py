"""The end of a run, as lines: what became of each device, failures first, and the totals.

Thirty boards are one thing to read: what became of many alike is one line, with the devices as a
range, and with what to do next where that is the same for all. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from textwrap import wrap
from typing import get_args

from provision.core.wording import columns, device_group, fitting, one_line, padded, plural
from provision.model.event import DeviceFinished, Outcome
from provision.model.language import record
from provision.output.style import PLAIN, Style
from provision.output.text import duration

UNFOLDED = 8  # devices of which each has a line of its own
BESIDE = 45  # columns of a terminal that the outcome beside a name needs
ALIKE = 3  # lines of a larger fleet, from which on one stands for them
_BAD: tuple[Outcome, ...] = ("failed", "rolled-back", "refused", "unreachable", "interrupted")
_FIRST: tuple[Outcome, ...] = (*_BAD, "skipped", "pending", "changed", "ok")
assert set(_FIRST) == set(get_args(Outcome))
# What differs from device to device in what is said of one cause: ports, MACs, times, amounts. What
# is no device's own stays: chips, versions, files of a board, numbers of errors. Each begins where
# nothing of its kind is before it, so that no text, however long, is looked at twice.
_OWN = re.compile(
    r"""(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://[^\s'"`()]+
    | /dev/[^\s'"`()]+
    | \bCOM\d{1,4}\b
    | (?<![\w:-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5,7}(?![\w:-])
    | \b(?:0x[0-9A-Fa-f]+|[0-9A-Fa-f]{16})\b
    | \b\d{8}T\d{6}[\w.]*
    | (?<![\w.,-])(?<!Errno[ ])(?<!OSError:[ ])\d[\d,]*(?:\.\d+)?(?![\w-]|\.\d)""",
    re.VERBOSE,
)


def cause(finished: DeviceFinished) -> tuple[str, ...]:
    """What is the same for devices that failed alike, whatever their names, ports and amounts."""
    texts = (finished.error or "", finished.hint or "", finished.board_state or "")
    if not any(texts):
        return (finished.outcome, finished.code or "", *texts)
    own = re.compile(rf"(?<![\w-]){re.escape(finished.device)}(?![\w-])")
    alike = (_OWN.sub("#", own.sub("#", one_line(each))) for each in texts)
    return (finished.outcome, finished.code or "", *alike)


@record(kw_only=False)
class _Row:
    """What one line tells of: devices that ended alike."""

    who: str
    devices: Sequence[DeviceFinished]

    @property
    def first(self) -> DeviceFinished:
        return self.devices[0]


def recap_lines(
    finished: Sequence[DeviceFinished],
    seconds: float,
    style: Style = PLAIN,
    width: int | None = None,
    left_out: Collection[str] = (),
) -> list[str]:
    """The end of a run. `width` cuts long lines, if given. Devices that are `left_out` are told of
    elsewhere, and count in the totals alone."""
    rows = _rows([one for one in finished if one.device not in left_out])
    column = max((columns(row.who) for row in rows), default=0)
    stacked = width is not None and width - column < BESIDE
    lines = [style("Recap", "bold")]
    for row in rows:
        one = row.first
        word = style.outcome(one.outcome, 13)
        changes = f"changed={one.changes}{'+' * one.partly}"  # and a part of another
        spent = duration(max(each.seconds for each in row.devices))
        why = _why(row)
        if width is not None and stacked:
            lines += [*wrap(row.who, width), f"  {word}{changes}  {spent}"]
            lines += [fitting(f"  {why}", width)] if why else []
        else:
            head = f"{padded(row.who, column)}  "
            rest = f"{changes:<12}{spent.rjust(9)}" + (f"  {why}" if why else "")
            if width is not None:
                rest = fitting(rest, width - columns(head) - 13)
            lines.append(f"{head}{word}{rest}".rstrip())
        if len(row.devices) > 1 and one.hint:
            differ = any(each.hint != one.hint for each in row.devices)
            lines.append(f"  hint: {f'as {one.device}: ' if differ else ''}{one_line(one.hint)}")
    return [*lines, totals_line(finished, seconds, style)]


def _why(row: _Row) -> str:
    """What is said of the first that failed, or was left undone; "" where all is well."""
    one = row.first
    if one.error is None:
        return f"left undone: {one_line(one.left[0])}" if one.left else ""
    differ = any(each.error != one.error for each in row.devices)
    return f"{one.code or 'error'}: {f'as {one.device}: ' if differ else ''}{one_line(one.error)}"


def _rows(finished: Sequence[DeviceFinished]) -> list[_Row]:
    """Failures first; in a fleet that is not small, those that ended alike as one."""
    groups: dict[object, list[DeviceFinished]] = {}
    for one in finished:
        groups.setdefault((one.changes, one.partly, one.left, *cause(one)), []).append(one)
    rows = []
    for alike in groups.values():
        if len(finished) > UNFOLDED and len(alike) >= ALIKE:
            rows.append(_Row(device_group([one.device for one in alike]), alike))
        else:
            rows += [_Row(one.device, (one,)) for one in alike]
    place = {id(one): number for number, one in enumerate(finished)}
    return sorted(rows, key=lambda row: (_FIRST.index(row.first.outcome), place[id(row.first)]))


def totals_line(finished: Sequence[DeviceFinished], seconds: float, style: Style = PLAIN) -> str:
    """`30 devices in 12 s: changed=3 ok=26 failed=0 unreachable=1`; rarer outcomes when any."""
    numbers = Counter(one.outcome for one in finished)
    always: tuple[Outcome, ...] = ("changed", "ok", "failed", "unreachable")
    rarely: tuple[Outcome, ...] = (
        "pending",
        "rolled-back",
        "refused",
        "interrupted",
        "skipped",
    )
    parts = []
    for outcome in (*always, *(each for each in rarely if numbers[each])):
        part = f"{outcome}={numbers[outcome]}"
        part = style(part, "red" if outcome in _BAD else "bold") if numbers[outcome] else part
        parts.append(part)
    return f"{plural(len(finished), 'device')} in {duration(seconds)}: {' '.join(parts)}"
