"""Tables as spreadsheets and people write them: each is read, or told with its line and column."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.parts.csv_text import CsvTable, decode_csv, parse_csv
from provision.core.manifest.yaml_tree import Document


def read(text: str | bytes) -> tuple[CsvTable | None, list[str]]:
    data = text if isinstance(text, bytes) else text.encode()
    table, problems = parse_csv(Document("class.csv", decode_csv(data, "class.csv")))
    return table, [str(problem) for problem in problems]


def rows(text: str | bytes) -> list[list[str]]:
    table, problems = read(text)
    assert problems == []
    assert table is not None
    return [[str(cell) for cell in row] for row in (table.columns, *table.rows)]


PLAIN = [["seat", "name", "mac"], ["01", "Müller, Anna", "5c:cf"], ["02", "Bo", ""]]

READ = {
    "commas": 'seat,name,mac\n01,"Müller, Anna",5c:cf\n02,Bo,\n',
    "semicolons of a spreadsheet": "seat;name;mac\r\n01;Müller, Anna;5c:cf\r\n02;Bo;\r\n",
    "tabs": "seat\tname\tmac\n01\tMüller, Anna\t5c:cf\n02\tBo\t\n",
    "a byte order mark": '\ufeffseat,name,mac\n01,"Müller, Anna",5c:cf\n02,Bo,\n',
    "UTF-16": "seat\tname\tmac\r\n01\tMüller, Anna\t5c:cf\r\n02\tBo\t\r\n".encode("utf-16"),
    "a line about the separator": "sep=;\nseat;name;mac\n01;Müller, Anna;5c:cf\n02;Bo;\n",
    "a strange one": "SEP=|\r\nseat|name|mac\r\n01|Müller, Anna|5c:cf\r\n02|Bo|\r\n",
    "carriage returns alone": 'seat,name,mac\r01,"Müller, Anna",5c:cf\r02,Bo,',
    "blank lines and rows": 'seat,name,mac\n\n  \n01,"Müller, Anna",5c:cf\n,,\n02,Bo,\n\n',
    "blank lines at first": '\n\nseat,name,mac\n01,"Müller, Anna",5c:cf\n02,Bo,\n',
    "blanks around cells": 'seat , name,mac\n01, "Müller, Anna" ,5c:cf\n 02 ,Bo, \n',
    "empty columns at the end": "seat;name;mac;;\n01;Müller, Anna;5c:cf;;\n02;Bo;;;\n",
    "empty cells at the end": "seat;name;mac\n01;Müller, Anna;5c:cf;;\n02;Bo;\n",
}


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_what_is_read(text: str | bytes) -> None:
    assert [row[:3] for row in rows(text)] == PLAIN


def test_a_cell_in_quotation_marks_is_what_stands_in_them() -> None:
    text = 'a,b\n" x ","say ""hi"", and\nmore"\n'
    assert rows(text)[1] == [" x ", 'say "hi", and\nmore']


def test_cells_know_where_they_stand() -> None:
    table, _ = read('\ufeffa;b\r\n"x\r\ny";  z\r\n;"q"\r\n')
    assert table is not None
    places = [(str(c), c.line, c.column) for row in (table.columns, *table.rows) for c in row]
    assert places == [
        ("a", 1, 1), ("b", 1, 3), ("x\r\ny", 2, 1), ("z", 3, 6), ("", 4, 1), ("q", 4, 2),
    ]  # fmt: skip


TOLD = {
    "a,b\n1\n": "class.csv:2:1: only 1 cell for the 2 columns of line 1",
    "a,b\n1,2\n1,2,3\n": "class.csv:3:5: one cell more than the 2 columns of line 1",
    "a,b,a\n1,2,3\n": "class.csv:1:5: the column 'a' is there twice",
    "a,,b\n1,2,3\n": "class.csv:1:3: a column with cells and without a name",
    "": "class.csv:1:1: class.csv has no columns",
    "\n;;\n": "class.csv:1:1: class.csv has no columns",
    "a,b\n": "class.csv:1:1: there is no row below the names of the columns",
    'a,b\n1,"x\n2,y\n': "class.csv:2:3: this quotation mark is never closed",
    'a,b\n1,"x""\n2,y\n': "class.csv:2:3: this quotation mark is never closed",
    'a,b\n1,"x"y\n': 'class.csv:2:6: something stands after the closing quotation mark; write "" '
    "for one inside",
    "a,b\n1,\x002\n": "class.csv:2:3: the character U+0000 is not allowed; is it a CSV file, saved "
    "as UTF-8?",
}


@pytest.mark.parametrize("text", TOLD, ids=repr)
def test_what_is_told(text: str) -> None:
    assert read(text)[1] == [TOLD[text]]


def test_of_two_rows_that_are_wrong_both_are_told_and_the_others_are_there() -> None:
    table, told = read("a,b\n1\n2,x\n3,y,z\n")
    assert [one.partition(": ")[0] for one in told] == ["class.csv:2:1", "class.csv:4:5"]
    assert table is not None
    assert [str(row[0]) for row in table.rows] == ["2"]


def test_bytes_that_are_no_text_are_told_where_they_are() -> None:
    with pytest.raises(ValueError, match="byte 0xfc") as old:
        decode_csv("seat,name\n01,Müller\n".encode("cp1252"), "class.csv")
    assert str(old.value.problem.place) == "class.csv:2:5"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="not UTF-8 text"):
        decode_csv("a,b\n1,2\n".encode("utf-16")[:-1], "class.csv")
    assert read("a,b\n1,2\n".encode("utf-16-le"))[1] == [
        "class.csv:1:2: the character U+0000 is not allowed; is it a CSV file, saved as UTF-8?"
    ]


_CELL = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.just("\n"))
_TABLE = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(_CELL, min_size=width, max_size=width), max_size=5)
)


@given(_TABLE, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
def test_what_another_program_writes_is_read_back(
    table: list[list[str]], separator: str, ending: str
) -> None:
    names = [f"c{at}" for at in range(len(table[0]) if table else 1)]
    out = io.StringIO(newline="")
    csv.writer(
        out, delimiter=separator, lineterminator=ending, quoting=csv.QUOTE_NONNUMERIC
    ).writerows([names, *table])
    read_back, problems = read(out.getvalue())
    full = [row for row in table if any(row)]
    assert read_back is not None
    assert [[str(cell) for cell in row] for row in read_back.rows] == full
    assert bool(problems) == (not full)


@given(st.text(st.sampled_from('a",;\n\r\t =') | st.characters(codec="utf-8")))
def test_any_text_ends_in_a_table_or_in_problems(text: str) -> None:
    table, problems = read(text.encode())
    assert table is not None or problems
    for problem in problems:
        assert problem.startswith("class.csv:")
