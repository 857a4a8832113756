"""This project and what people use today, side by side on the same virtual board.

    python -m tests.bench [--quick] [--json FILE] [--only WORD] [--alone] [--scale X]

Each row is one run of one tool as a user types it, against a virtual board behind a modelled line
(baud, a USB bridge's latency and highest rate, a receive ring of 256 bytes; flash timing where the
row says so). `wall` is what the user waits, the start of the tool's interpreter included; `line` is
from the first byte on the wire to the last. `of the wire` is the share of `line` in which bytes
went to the board, at the highest rate of the row's tool; `x` is how many times longer `line` is
than this project's, for the same job on the same board. The machine must be otherwise idle: two
processes of the virtual board need their CPU. On one that is not, `--scale 0.25` makes each of the
line's seconds last four; `line` stays in the line's own, so that what the tools' and the boards'
CPU adds counts for a quarter.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import serial

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.sim.esp.firmware import build
from tests.bench import trees
from tests.bench.tools import Mpremote, Mpytool, Provision, write_flash
from tests.bench.unit import VERSION, Failed, Line, Measured, Unit, unit

FIRMWARE_SIZES = {ESP32: 1_500_000, ESP8266: 600_000}  # bytes, about a release's
CONSOLE = 115200  # the rate of every released MicroPython, and the only one mpremote can set


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement."""

    line: str
    tree: str
    job: str  # first, nothing changed, one changed …
    tool: str
    baud: int  # the highest that it travels at
    limit: float | None  # seconds that the compressed tree alone takes on the wire
    measured: Measured


def sync_rows(work: Path, line: Line, tree: str, *, others: bool) -> Iterator[Row]:
    """First sync, nothing changed and one file changed, by every tool that can."""
    files = trees.TREES[tree]()
    limit = trees.compressed(files) * 10 / line.rate
    tools: list[Callable[[Unit], Provision | Mpremote | Mpytool]] = [Provision]
    if others:
        tools += [Mpytool, Mpremote] if line.baud == CONSOLE else [Mpytool]
    for number, make in enumerate(tools):
        folder = work / "tree"
        shutil.rmtree(folder, ignore_errors=True)
        trees.write(files, folder)
        with unit(work, f"{tree}-{number}", line) as board:
            tool = make(board)
            for job in ("first", "nothing changed", "one changed"):
                if job == "one changed":
                    changed = max(files, key=lambda name: (name.endswith(".py"), name))
                    with (folder / changed).open("ab") as file:
                        file.write(b"# changed\n")
                board.booted()  # who changes files last restarts the board
                yield Row(
                    line=str(line),
                    tree=tree,
                    job=job,
                    tool=tool.name,
                    baud=line.rate if make is Provision else line.baud,
                    limit=limit if job == "first" else None,
                    measured=tool.sync(),
                )


def flash_rows(work: Path, line: Line, flash_baud: int) -> Iterator[Row]:
    """From a blank chip to firmware and app tree: in one go, and as people do it in two."""
    chip = line.chip
    where = flashing(line, flash_baud)
    image = work / f"large-{chip}.bin"
    image.write_bytes(build(chip, VERSION, size=FIRMWARE_SIZES[chip]))
    files = trees.app()
    folder = work / "tree"
    shutil.rmtree(folder, ignore_errors=True)
    trees.write(files, folder)

    def row(job: str, tool: str, measured: Measured) -> Row:
        return Row(
            line=where,
            tree="app",
            job=job,
            tool=tool,
            baud=flash_baud,
            limit=None,
            measured=measured,
        )

    with unit(work, "one-go", line, blank=True) as board:
        tool = Provision(board, firmware=image, flash_baud=flash_baud)
        yield row("blank to converged", tool.name, tool.sync())
        board.booted()
        yield row("nothing changed", tool.name, tool.sync())
    with unit(work, "two-steps", line, blank=True) as board:
        firmware = write_flash(board, image, baud=flash_baud)
        yield row("firmware alone", "esptool", firmware)
        booted = board.booted()  # esptool leaves before; mpremote would not get in
        tree = Mpremote(board).sync()
        yield row("then the files", "mpremote", tree)
        yield row("blank to converged", "two steps", firmware.then(booted).then(tree))


def flashing(line: Line, baud: int) -> str:
    return f"{line}, flashing at {baud}"


def campaign(
    work: Path, *, quick: bool, alone: bool, scale: float
) -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
    """What is to be measured: the line's name, and what does it."""
    lines = [Line()]
    if not quick:
        lines += [
            Line(latency="16ms"),
            Line(chip=ESP8266),
            Line(chip=ESP8266, latency="16ms"),
            Line(baud=460800),
            Line(baud=921600),
            Line(timing=True),
            Line(chip=ESP8266, timing=True),
            Line(raised=True),
            Line(raised=True, latency="16ms"),
            Line(chip=ESP8266, raised=True),
            Line(raised=True, timing=True),
            Line(chip=ESP8266, raised=True, timing=True),
            Line(raised=True, server="own"),
            Line(raised=True, server="ser2net"),
        ]
    for plain in lines:
        line = replace(plain, scale=scale)
        for tree in ("app",) if quick or line.timing else trees.TREES:
            others = not alone and not line.server
            others = others and (tree == "app" or plain in (Line(), Line(raised=True)))
            yield str(line), partial(sync_rows, work, line, tree, others=others)
    if alone:
        return
    flashings = [(Line(scale=scale), 921600)]
    if not quick:
        flashings += [
            (Line(scale=scale), 460800),
            (Line(scale=scale), 115200),
            (Line(timing=True, scale=scale), 921600),
            (Line(chip=ESP8266, timing=True, scale=scale), 460800),
        ]
    for line, baud in flashings:
        yield flashing(line, baud), partial(flash_rows, work, line, baud)


HEADINGS = (
    *("tree", "job", "tool"),
    *("wall s", "line s", "x", "to board", "back", "turns", "of the wire"),
)


def cells(row: Row, ours: Measured | None) -> tuple[str, ...]:
    m = row.measured
    share = m.to_board * 10 / row.baud / m.talking if m.talking else 0.0
    return (
        row.tree,
        row.job,
        row.tool,
        f"{m.seconds:.2f}",
        f"{m.talking:.2f}",
        f"{m.talking / ours.talking:.1f}" if ours and ours.talking else "",
        f"{m.to_board:,}",
        f"{m.from_board:,}",
        f"{m.turnarounds:,}",
        f"{share:.0%}" if row.limit else "",
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one line, one tree, one flashing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement here")
    parser.add_argument("--only", metavar="WORD", default="", help="rows whose line has this word")
    parser.add_argument("--alone", action="store_true", help="files by this project alone")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="see above")
    options = parser.parse_args()
    if not options.alone and find_spec("mpytool") is None:
        parser.error("mpytool is not installed: pip install '.[bench]', or measure with --alone")
    serial.protocol_handler_packages.append("provision.sim")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work = Path(name)
        os.environ["PROVISION_SIM_HOME"] = str(work / "boards")
        os.environ["PROVISION_STATE_DIR"] = str(work / "state")
        os.environ["PROVISION_RUNTIME_DIR"] = str(work / "run")
        heading = ""
        ours: dict[str, Measured] = {}
        for where, part in campaign(
            work, quick=options.quick, alone=options.alone, scale=options.scale
        ):
            if options.only not in where:
                continue
            shutil.rmtree(work / "boards", ignore_errors=True)
            (work / "fleet.lock").unlink(missing_ok=True)
            try:
                for row in part():
                    if row.line != heading:
                        heading = row.line
                        print(f"\n{heading}\n" + table(HEADINGS), flush=True)
                    key = f"{row.line}/{row.tree}/{row.job}"
                    if row.tool == Provision.name:
                        ours[key] = row.measured
                    print(table(cells(row, ours.get(key))), flush=True)
                    rows.append(row)
            except Failed as error:
                print(f"FAILED: {error}", file=sys.stderr)
    if not rows:
        print(f"nothing was measured: no line has {options.only!r}", file=sys.stderr)
    if options.json:
        record = {
            "machine": {"cpus": os.cpu_count(), "system": platform.platform()},
            "rows": [as_json(row) for row in rows],
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0 if rows else 1


WIDTHS = (6, 19, 10, 8, 8, 6, 10, 9, 7, 11)


def table(texts: tuple[str, ...]) -> str:
    return "  ".join(
        text.ljust(width) if index < 3 else text.rjust(width)
        for index, (text, width) in enumerate(zip(texts, WIDTHS, strict=True))
    ).rstrip()


def as_json(row: Row) -> dict[str, object]:
    record = asdict(row)
    measured = record.pop("measured")
    del measured["output"]
    return {**record, **measured}


if __name__ == "__main__":
    sys.exit(main())
