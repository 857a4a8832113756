"""docs/performance.md from what was measured: one table, one plot, and every measurement.

    python -m tests.bench --json FILE && python -m tests.bench.page FILE …

What stands between `<!-- NAME -->` and `<!-- end of NAME -->` is written anew, the rest of the page
is left alone; docs/peers.svg is drawn. Of a row that two files have, the later counts.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
TOOLS = ("provision", "mpytool", "mpremote", "esptool", "two steps")
COLOURS = ("#1f6feb", "#1a7f37", "#d1242f", "#9a6700", "#d1242f")
PLAIN = "ESP32, 115200 baud, 1ms"
RAISED = "ESP32, 115200 baud raised to 921600, 1ms"
FLASHING = "ESP32, 115200 baud, 1ms{}, flashing at 921600"
TIMED = ", flash timing"
BLANK = "blank to converged"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A line of the table: where it was measured, and how many times longer the others, by name,
    were to take at least."""

    title: str
    line: str
    tree: str
    job: str
    wanted: Mapping[str, float]


JOBS = (
    Job(title="app of 25 files, 144 kB, first", line=RAISED, tree="app", job="first",
        wanted={"mpremote": 20, "mpytool": 6}),
    Job(title="the same, nothing changed", line=PLAIN, tree="app", job="nothing changed",
        wanted={"mpremote": 20}),
    Job(title="one file changed", line=PLAIN, tree="app", job="one changed", wanted={}),
    Job(title="200 files of 500 bytes, first", line=RAISED, tree="small", job="first", wanted={}),
    Job(title="one file of 500 kB", line=RAISED, tree="big", job="first", wanted={"mpremote": 25}),
    Job(title="the app, where flash takes its time", line=RAISED + TIMED, tree="app", job="first",
        wanted={"mpremote": 8}),
    Job(title="blank board to firmware and app", line=FLASHING.format(""), tree="app", job=BLANK,
        wanted={"two steps": 3}),
    Job(title="the same, where flash takes its time", line=FLASHING.format(TIMED), tree="app",
        job=BLANK, wanted={"two steps": 3.3}),
)  # fmt: skip

Row = Mapping[str, object]
Key = tuple[str, str, str, str]


def read(paths: Sequence[Path]) -> dict[Key, Row]:
    """Every row by line, tree, job and tool."""
    rows: dict[Key, Row] = {}
    for path in paths:
        for row in json.loads(path.read_text("utf-8"))["rows"]:
            rows[row["line"], row["tree"], row["job"], row["tool"]] = row
    return rows


def seconds(row: Row | None) -> float | None:
    """The line's, of a row that was measured."""
    return float(str(row["talking"])) if row is not None else None


def table(rows: Mapping[Key, Row]) -> Iterator[str]:
    """The one that a user reads. What was wanted and is not reached is bold."""
    yield "| seconds of the line | provision | mpytool | mpremote | esptool, then mpremote |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for job in JOBS:
        ours = seconds(rows.get((job.line, job.tree, job.job, "provision")))
        if ours is None:
            continue
        cells = [job.title, f"{ours:.2f}"]
        for tool in ("mpytool", "mpremote", "two steps"):
            theirs = seconds(rows.get((job.line, job.tree, job.job, tool)))
            cells.append("" if theirs is None else _beside(theirs, ours, job.wanted.get(tool)))
        yield f"| {' | '.join(cells)} |"


def _beside(theirs: float, ours: float, wanted: float | None) -> str:
    times = f"{theirs / ours:.1f}"
    if wanted is None:
        return f"{theirs:.2f} ({times} times)"
    times = times if theirs / ours >= wanted else f"**{times}**"
    return f"{theirs:.2f} ({times} times, {wanted:g} wanted)"


def measurements(rows: Mapping[Key, Row]) -> Iterator[str]:
    """Every row, a table a line."""
    for line in dict.fromkeys(key[0] for key in rows):
        yield f"**{line}**\n"
        yield "| tree | job | tool | line s | to board | turns | of the wire | x |"
        yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
        for (_, tree, job, tool), row in rows.items():
            if row["line"] != line:
                continue
            took = float(str(row["talking"]))
            ours = seconds(rows.get((line, tree, job, "provision")))
            times = f"{took / ours:.1f}" if ours and tool != "provision" else ""
            sent = int(str(row["to_board"]))
            share = f"{sent * 10 / int(str(row['baud'])) / took:.0%}" if row["limit"] else ""
            turns = int(str(row["turnarounds"]))
            yield (
                f"| {tree} | {job} | {tool} | {took:.2f} | {sent:,} | {turns:,} | {share} "
                f"| {times} |"
            )
        yield ""


def draw(rows: Mapping[Key, Row]) -> str:
    """The table's seconds as bars, on a scale of tenfolds: what is shorter is quicker."""
    left, width, bar = 260, 560, 14
    least, most = math.log10(0.05), math.log10(200)

    def across(value: float) -> float:
        return (math.log10(max(value, 0.05)) - least) / (most - least) * width

    parts: list[str] = []
    top = 36
    for job in JOBS:
        found = [
            (tool, colour, took)
            for tool, colour in zip(TOOLS, COLOURS, strict=True)
            if (took := seconds(rows.get((job.line, job.tree, job.job, tool)))) is not None
        ]
        if not found:
            continue
        middle = top + len(found) * bar / 2 + 4
        parts.append(f'<text x="{left - 8}" y="{middle:.0f}" text-anchor="end">{job.title}</text>')
        for tool, colour, took in found:
            end = left + across(took)
            name = "esptool, then mpremote" if tool == "two steps" else tool
            parts.append(
                f'<rect x="{left}" y="{top}" width="{across(took):.1f}" height="{bar - 2}" '
                f'fill="{colour}"/><text x="{end + 5:.1f}" y="{top + bar - 4}" font-size="11">'
                f"{took:.2f} s {name}</text>"
            )
            top += bar
        top += 10
    whole = left + width + 150
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {top}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{whole}" height="{top}" fill="white"/>',
            f'<text x="{left}" y="20" font-size="14">seconds of the line, in tenfolds</text>',
            *parts,
            "</svg>",
            "",
        )
    )


def filled(page: str, name: str, lines: Iterator[str]) -> str:
    """The page with these lines between the marks of that name, which it must have."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    whole = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    text = start + "\n".join(lines).rstrip() + "\n" + end
    found, count = whole.subn(lambda _: text, page)
    if count != 1:
        raise SystemExit(f"the page has {count} places for {name}")
    return found


def main() -> None:
    paths = [Path(word) for word in sys.argv[1:]]
    if not paths:
        raise SystemExit(__doc__)
    rows = read(paths)
    page = DOCS / "performance.md"
    text = filled(page.read_text("utf-8"), "table", table(rows))
    page.write_text(filled(text, "measurements", measurements(rows)), "utf-8")
    (DOCS / "peers.svg").write_text(draw(rows), "utf-8")


if __name__ == "__main__":
    main()
