"""The lazy `dataclass` is the standard library's in all that this project asks of one."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import re
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision.lazy_dataclass import dataclass

OPTIONS = [
    {"frozen": frozen, "kw_only": kw_only, "slots": slots, "eq": eq}
    for frozen in (False, True)
    for kw_only in (False, True)
    for slots in (False, True)
    for eq in (False, True)
]


def declared(make: Callable[..., Any], options: dict[str, bool]) -> Any:
    """A class of the kinds of field that this project has."""

    @make(**options)
    class Sample:
        """One."""

        name: str
        size: int = 3
        parts: list[int] = dataclasses.field(default_factory=list)
        hidden: str = dataclasses.field(default="h", repr=False, compare=False)
        own: int = dataclasses.field(default=7, init=False)
        made: list[int] = dataclasses.field(default_factory=list, init=False)
        total: typing.ClassVar[int] = 9

        def double(self) -> int:
            return self.size * 2

    return Sample


def parameters(cls: Any) -> list[Any]:
    return [
        (one.name, one.kind, one.annotation, one.default is one.empty)
        for one in inspect.signature(cls).parameters.values()
    ]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_class_does_what_the_standard_one_does(options: dict[str, bool]) -> None:
    ours, standard = (declared(make, options) for make in (dataclass, dataclasses.dataclass))
    assert parameters(ours) == parameters(standard)
    assert typing.get_type_hints(ours.__init__) == typing.get_type_hints(standard.__init__)
    assert [one.name for one in dataclasses.fields(ours)] == [
        one.name for one in dataclasses.fields(standard)
    ]
    assert ours.__match_args__ == standard.__match_args__
    assert hasattr(ours, "__slots__") == options["slots"] == hasattr(standard, "__slots__")
    one, other = ours(name="a"), standard(name="a")
    assert repr(one) == repr(other)
    assert dataclasses.asdict(one) == dataclasses.asdict(other)
    assert one.double() == 6
    assert one.parts is not ours(name="a").parts
    assert (one == ours(name="a", hidden="x")) == (other == standard(name="a", hidden="x"))
    assert (one == ours(name="b")) == (other == standard(name="b"))
    assert one != other
    changed = dataclasses.replace(one, size=5)
    assert (changed.name, changed.size, changed.own) == ("a", 5, 7)
    for thing in (one, other):
        if options["frozen"]:
            with pytest.raises(dataclasses.FrozenInstanceError, match="name"):
                thing.name = "b"
            with pytest.raises(dataclasses.FrozenInstanceError, match="name"):
                del thing.name
        else:
            thing.name = "b"
        if options["eq"]:
            with pytest.raises(TypeError, match="unhashable"):
                hash(thing)  # a list is in it, or it can change
        else:
            hash(thing)
    assert dataclasses.asdict(copy.copy(one)) == dataclasses.asdict(one)
    for wrong in ({}, {"name": "a", "none": 1}):
        with pytest.raises(TypeError, match="__init__"):
            ours(**wrong)


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x")


@dataclass(frozen=True)
class Named(Point):
    name: str = "n"

    def __repr__(self) -> str:
        return "its own"

    def __hash__(self) -> int:
        return 5


@dataclass(frozen=True)
class Empty:
    pass


def test_what_a_class_has_itself_stays_and_what_it_inherits_counts() -> None:
    point, named = Point(1, 2), Named(1, 2)
    assert hash(point) == hash(Point(1, y=2))
    assert (point == Point(1, 2), point == Point(1), named == point) == (True, False, False)
    assert {point, Point(1, 2)} == {point}
    assert repr(point) == "Point(x=1, y=2)"
    assert (repr(named), hash(named), named.name) == ("its own", 5, "n")
    assert Empty() == Empty()
    assert len({Empty(), Empty()}) == 1
    with pytest.raises(ValueError, match="x"):
        Point(-1)
    assert pickle.loads(pickle.dumps(point)) == point
    match named:
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_an_init_is_compiled_when_it_is_first_needed() -> None:
    @dataclass
    class Late:
        x: int

    assert not inspect.isfunction(Late.__dict__["__init__"])
    Late(1)
    assert inspect.isfunction(Late.__dict__["__init__"])
    assert Late.__init__.__globals__ is sys.modules[__name__].__dict__


def test_every_dataclass_of_the_package_is_one_of_these() -> None:
    standard = re.compile(
        r"^from dataclasses import .*\bdataclass\b|\bdataclasses\.dataclass\b", re.M
    )
    package = Path(__file__).parents[2] / "provision"
    found = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "onboard" not in path.parts and standard.search(path.read_text("utf-8"))
    ]
    assert found == []
