"""What of a path on a board the parts of the tool must agree on."""

from __future__ import annotations

import pytest

from provision.device.micropython.transfer import stream_format
from provision.model.board_path import LONGEST_PATH, folded


def test_what_is_valid_can_be_sent() -> None:
    assert LONGEST_PATH == stream_format.MAX_PATH


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a.py", "/A.PY", True),
        ("/é", "/É", True),
        ("/lib/ß", "/lib/SS", False),  # FAT has no letter for two
        ("/a", "/b", False),
    ],
)
def test_names_without_case(one: str, other: str, same: bool) -> None:
    assert (folded(one) == folded(other)) == same
