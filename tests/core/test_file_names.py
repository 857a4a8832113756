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
