"""A secret stays one wherever it is shown, and is never written down."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from provision.model.secret import MASK, Secret

SECRET = Secret("wifi", "hunter2")


def test_no_way_of_showing_it_shows_it() -> None:
    shown = [str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET:>20}", "%s" % SECRET, str([SECRET])]  # noqa: UP031
    assert not any("hunter2" in one for one in shown)
    assert all(MASK in one for one in shown)


def test_it_cannot_be_serialised() -> None:
    for serialise in (pickle.dumps, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as caught:
            serialise({"wifi": SECRET})
        assert "hunter2" not in str(caught.value)


def test_two_of_one_value_are_equal_whatever_they_are_called() -> None:
    assert {SECRET, Secret("other", "hunter2")} == {SECRET}
    assert Secret("wifi", "other") != SECRET
    assert SECRET != "hunter2"
