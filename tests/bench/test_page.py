"""The page of what was measured: its numbers are those of the rows, and its marks stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.page import DOCS, RAISED, draw, filled, measurements, read, table


def row(tool: str, talking: float) -> dict[str, object]:
    return {
        "line": RAISED,
        "tree": "app",
        "job": "first",
        "tool": tool,
        "baud": 921600,
        "limit": 0.7,
        "talking": talking,
        "to_board": 67_000,
        "turnarounds": 52,
    }


def measured(folder: Path, *rows: dict[str, object], name: str = "rows.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"rows": rows}))
    return path


def test_the_others_stand_beside_ours_and_what_is_missed_is_bold(tmp_path: Path) -> None:
    rows = read(
        [measured(tmp_path, row("provision", 1.25), row("mpytool", 9), row("mpremote", 20))]
    )
    found = list(table(rows))[2:]
    assert found == [
        "| app of 25 files, 144 kB, first | 1.25 | 9.00 (7.2 times, 6 wanted) "
        "| 20.00 (**16.0** times, 20 wanted) |  |"
    ]
    assert "| app | first | mpremote | 20.00 | 67,000 | 52 | 4% | 16.0 |" in measurements(rows)
    drawn = draw(rows)
    assert "1.25 s provision" in drawn
    assert "20.00 s mpremote" in drawn


def test_the_later_of_two_measurements_counts(tmp_path: Path) -> None:
    files = [
        measured(tmp_path, row("provision", took), name=f"{number}.json")
        for number, took in enumerate((3.0, 2.0))
    ]
    assert list(table(read(files)))[2].split(" | ")[1] == "2.00"


def test_only_what_is_between_its_marks_is_written_anew() -> None:
    page = "before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n"
    new = filled(page, "table", iter(["a", "b"]))
    assert new == "before\n<!-- table -->\na\nb\n<!-- end of table -->\nafter\n"
    assert filled(new, "table", iter(["a", "b"])) == new
    with pytest.raises(SystemExit, match="0 places for measurements"):
        filled(page, "measurements", iter(()))


def test_the_page_has_a_place_for_each_part() -> None:
    page = (DOCS / "performance.md").read_text("utf-8")
    for name in ("table", "measurements"):
        assert filled(page, name, iter(())) != page
