"""Any name as a plain one on any computer, and no two as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.file_names import plain_name

NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: not {0, 47} & set(name))


@given(NAMES)
def test_every_name_is_a_plain_one(name: bytes) -> None:
    plain = plain_name(name.decode("utf-8", "surrogateescape"))
    assert plain.isprintable()
    assert plain not in ("", ".", "..")
    assert not set(plain) & set('<>:"/\\|?*')
    assert plain[-1] not in ". "
    assert len(plain.encode()) <= 255


@given(st.sets(NAMES.map(lambda name: name.decode("utf-8", "surrogateescape")), max_size=8))
def test_two_names_never_become_one(names: set[str]) -> None:
    assert len({plain_name(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", ["main.py", "données.txt", "b c.txt", ".hidden", "x.tar.gz"])
def test_plain_names_stay(name: str) -> None:
    assert plain_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["CON", "con.txt", "NUL .txt", "nul..", "aux.tar.gz", "COM1", "COM\u00b9", "lpt\u00b3.log",
     "CONIN$", "conout$.py"],
)  # fmt: skip
def test_names_of_windows_devices_are_no_names_of_files(name: str) -> None:
    """As `ntpath.isreserved` of Python 3.13 has them."""
    assert plain_name(name).startswith(f"%{ord(name[0]):02X}")


@pytest.mark.parametrize("name", ["console.py", "null", "com.py", "COM10", "auxiliary", "$conin"])
def test_names_that_only_resemble_them_stay(name: str) -> None:
    assert plain_name(name) == name
