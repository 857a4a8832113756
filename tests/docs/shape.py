"""Whether a command printed what its page shows, in shape: times, dates, MACs, digests and large
numbers are another each time, and columns are as wide as what is in them.

Boards are worked on at once, so the lines of each device are compared by themselves. A page may
show standard output alone, or both streams as a terminal shows them; `…` stands for what is left
out, as a line for lines and in a line for words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LEFT_OUT = "…"
_ANOTHER_EACH_TIME = (
    (re.compile(r"/home/[a-z]+"), "~"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b"), "MAC"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?\b"), "TIME"),
    (re.compile(r"\b\d{8}-\d{6}\b"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "DATE"),
    (re.compile(r"\b(\d+ min )?\d+(\.\d+)? s\b|\b\d+ min\b"), "DURATION"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{10,64}\b"), "DIGEST"),
    (re.compile(r"(?<=token=)[\w-]{32}\b"), "TOKEN"),
    (re.compile(r"\b\d{5,}\b|^\d{2,}$"), "NUMBER"),
    (re.compile(r"\b\d{1,3}(,\d{3})+\b"), "NUMBER"),
    # Which devices an apply tells of together is a matter of who was quicker.
    (re.compile(r"^.+: (\d+ changes?), as [\w-]+$"), r"OTHERS: \1"),
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r"), ""),
)
_CONSOLE = re.compile(r"[\w-]+ +\|(?: |$)")
_OWNER = re.compile(r"([\w-]+)(?::| +\|)(?:\s|$)")


def differs(shown: Sequence[str], out: str, err: str, *, excerpt: bool = False) -> bool:
    """Whether what is shown is neither standard output, nor standard error, nor both; of an
    excerpt, whether it is no part of them."""
    wanted = _by_owner(shown)
    said, told = _whole_lines(out), err.splitlines()
    return not any(
        _agree(wanted, _by_owner(first), _by_owner(second), excerpt or LEFT_OUT in shown)
        for first, second in ((said, []), (said, told), ([], told))
    )


def shape(line: str) -> str:
    """A line without what is another each time; of what an app prints, without any number."""
    for pattern, name in _ANOTHER_EACH_TIME:
        line = pattern.sub(name, line)
    if _CONSOLE.match(line):
        line = re.sub(r"\d+", "NUMBER", line)
    return " ".join(line.split())


def _by_owner(lines: Sequence[str]) -> dict[str, list[str]]:
    """The lines about each device, those that its app prints, and the rest; one that is indented
    belongs to that before it."""
    found: dict[str, list[str]] = {}
    owner = ""
    for line in lines:
        if line.strip() == LEFT_OUT:
            continue
        if not line.startswith(" "):
            match = _OWNER.match(line)
            owner = f"{match[1]}{'|' if _CONSOLE.match(line) else ''}" if match else ""
        form = shape(line)
        if form.startswith("OTHERS: "):
            owner = "OTHERS"
        lines_of_owner = found.setdefault(owner, [])
        # How often an app has said the same is a matter of time.
        if not (owner.endswith(("|", "OTHERS")) and form in lines_of_owner[-1:]):
            lines_of_owner.append(form)
    return found


def _whole_lines(out: str) -> list[str]:
    """The lines of an output, without those of apps that were cut as the time was up."""
    lines = out.splitlines()
    forms = [shape(line) for line in lines]

    def cut(form: str) -> bool:
        return any(whole.startswith(form) and whole != form for whole in forms)

    return [
        line
        for line, form in zip(lines, forms, strict=True)
        if not _CONSOLE.match(line) or form.endswith("|") or not cut(form)
    ]


def _agree(
    wanted: dict[str, list[str]],
    out: dict[str, list[str]],
    err: dict[str, list[str]],
    some_left_out: bool,
) -> bool:
    owners = wanted.keys() if some_left_out else wanted.keys() | out.keys() | err.keys()
    return all(
        _interleaved(wanted.get(owner, []), out.get(owner, []), err.get(owner, []), some_left_out)
        for owner in owners
    )


def _interleaved(wanted: list[str], out: list[str], err: list[str], some_left_out: bool) -> bool:
    """Whether `wanted` is `out` and `err`, each in its order, however they came one amid the other;
    with `some_left_out` lines of both may be missing."""
    reached = {(0, 0)}  # how much of each may have been used up
    for line in wanted:
        if some_left_out:
            reached = {
                (said, told)
                for first, second in reached
                for said in range(first, len(out) + 1)
                for told in range(second, len(err) + 1)
            }
        reached = {
            *(
                (said + 1, told)
                for said, told in reached
                if said < len(out) and _same(line, out[said])
            ),
            *(
                (said, told + 1)
                for said, told in reached
                if told < len(err) and _same(line, err[told])
            ),
        }
    return bool(reached) if some_left_out else (len(out), len(err)) in reached


def _same(wanted: str, line: str) -> bool:
    if LEFT_OUT not in wanted:
        return wanted == line
    parts = map(re.escape, wanted.split(LEFT_OUT))
    return re.fullmatch(".*".join(parts), line) is not None
