"""The CSV file that a station's numbers come from."""

from __future__ import annotations

import pytest

from provision.core.manifest.station.table import read_rows


def test_rows_by_their_numbers_in_their_order() -> None:
    text = '\ufeffserial,ssid,note\nB,"a ""net"", mine",x\r\n\nA,,\n'
    rows = read_rows(text, "serial", built_in=("serial", "mac"))
    assert list(rows) == ["B", "A"]
    assert rows["B"] == {"serial": "B", "ssid": 'a "net", mine', "note": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "serial;note\n001;a, b\n",  # of a spreadsheet where the comma is the decimal point
        "serial\tnote\r\n001\ta, b\r\n",
        '\ufeffserial,note\n001,"a, b"\n',
    ],
)
def test_the_first_line_tells_what_separates_cells(text: str) -> None:
    rows = read_rows(text, "serial", built_in=())
    assert rows == {"001": {"serial": "001", "note": "a, b"}}


def test_a_cell_of_several_lines_keeps_them() -> None:
    rows = read_rows('serial,note\n1,"a\n\nb\u2028c"\n2,d\n', "serial", built_in=())
    assert [row["note"] for row in rows.values()] == ["a\n\nb\u2028c", "d"]
    with pytest.raises(ValueError, match="line 5: '1' is in line 4 already"):
        read_rows('serial,note\n0,"a\nb"\n1,c\n1,d\n', "serial", built_in=())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no column 'serial' among ''"),
        ("number,x\n1,2\n", "there is no column 'serial' among 'number, x'"),
        ("serial,mac\n1,2\n", "'mac' has the name of a built-in variable"),
        ("serial,Wi-Fi\n1,2\n", "'Wi-Fi' cannot be a variable"),
        ("serial,a,a\n1,2,3\n", "'a' is there twice"),
        ("serial,a\n1,2\n2\n", "line 3 has 1 cells, and the first 2"),
        ("serial\n1\n1\n", "line 3: '1' is in line 2 already"),
        ("serial\n../x\n", r"line 2: '\.\./x' cannot be a number"),
        ('serial,a\n1,"x\n', "line 2: "),
        ("serial\n", "no row has a number"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_rows(text, "serial", built_in=("serial", "mac"))
