"""`record` beside the `dataclass` that it stands for: what holds of one holds of the other."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar

import pytest

import provision
from provision.model import language
from provision.model.language import OFTEN, record

Make = Callable[[Any], Any]


def board(make: Make) -> Any:
    @make
    class Board:
        kind: ClassVar[str] = "board"
        name: str
        size: int = 4
        tags: list[str] = field(default_factory=list, hash=False)
        note: str = field(default="", compare=False, repr=False)

        def __post_init__(self) -> None:
            if self.size < 0:
                raise ValueError("a size is not below 0")

    return Board


def heir(make: Make) -> Any:
    base = board(make)

    @make
    class Heir(base):  # type: ignore[misc]
        port: str = "a"

        def __repr__(self) -> str:
            return f"<{self.port}>"

    return Heir


def own_equality(make: Make) -> Any:
    @make
    class Own:  # noqa: PLW1641 - the decorator gives it one
        a: int
        b: int = 0

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own) and self.a == other.a

    return Own


DATACLASSES: dict[str, Make] = {
    "slots": dataclass(frozen=True, kw_only=True, slots=True),
    "no slots": dataclass(frozen=True, kw_only=True),
}
RECORDS: dict[str, Make] = {"slots": record, "no slots": record(slots=False)}
KINDS = pytest.mark.parametrize("kind", RECORDS)


def said_of(one: Any, other: Any, unlike: Any) -> tuple[object, ...]:
    """What can be told of three values of a class, the first two of the same fields."""
    return (
        [(each.name, each.compare, each.repr, each.kw_only) for each in fields(one)],
        (asdict(one), asdict(replace(one, size=9))),
        (repr(one), repr(one).rpartition(".")[2]),
        (one == other, one == unlike, one != other, one == 3, hash(one) == hash(other)),
        (copy.copy(one) == one, copy.deepcopy(one) == one, copy.deepcopy(one) is one),
        (one.kind, one.note, one.tags, one.tags is other.tags, hasattr(one, "__dict__")),
    )


@KINDS
@pytest.mark.parametrize("made_before", [0, OFTEN])
@pytest.mark.parametrize("model", [board, heir])
def test_a_record_is_what_a_dataclass_is(
    model: Callable[[Make], Any], made_before: int, kind: str
) -> None:
    said = []
    for make in (DATACLASSES[kind], RECORDS[kind]):
        made = model(make)
        for number in range(made_before):
            assert made(name=str(number)).name == str(number)
        values = made(name="x", note="1"), made(note="2", name="x"), made(name="x", size=5)
        said.append(said_of(*values))
    assert said[0] == said[1]


@KINDS
@pytest.mark.parametrize("made_before", [0, OFTEN])
@pytest.mark.parametrize(
    ("values", "given"),
    [
        ((), {}),
        ((), {"size": 3}),
        ((), {"name": "a", "colour": "red"}),
        (("a",), {}),
    ],
)
def test_fields_that_are_missing_unknown_or_not_named_are_refused(
    values: tuple[str, ...], given: dict[str, object], made_before: int, kind: str
) -> None:
    made = board(RECORDS[kind])
    for _ in range(made_before):
        made(name="a")
    with pytest.raises(TypeError):
        made(*values, **given)


@KINDS
@pytest.mark.parametrize("made_before", [0, OFTEN])
def test_what_finishes_a_record_runs(made_before: int, kind: str) -> None:
    made = board(RECORDS[kind])
    for _ in range(made_before):
        made(name="a")
    with pytest.raises(ValueError, match="not below 0"):
        made(name="a", size=-1)


@KINDS
def test_a_record_does_not_change(kind: str) -> None:
    one = board(RECORDS[kind])(name="a")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
        one.name = "b"
    with pytest.raises(FrozenInstanceError):
        one.other = "b"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'name'"):
        del one.name
    assert one.name == "a"


@KINDS
def test_an_equality_of_its_own_stays(kind: str) -> None:
    for make in (DATACLASSES[kind], RECORDS[kind]):
        made = own_equality(make)
        assert made(a=1, b=2) == made(a=1, b=3)
        assert hash(made(a=1, b=2)) == hash((1, 2)) != hash(made(a=1, b=3))


@record(kw_only=False)
class Point:
    x: int
    y: int = 0


@pytest.mark.parametrize("made_before", [0, OFTEN])
def test_fields_stand_in_their_order_where_that_is_allowed(made_before: int) -> None:
    for number in range(made_before):
        assert Point(number) == Point(x=number)
    assert Point(1, 2) == Point(1, y=2) == Point(y=2, x=1) != Point(2, 1)
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)
    for wrong in (lambda: Point(1, 2, 3), lambda: Point(1, x=1), lambda: Point(y=1)):  # type: ignore[call-arg, misc]
        with pytest.raises(TypeError):
            wrong()


def every_record() -> list[type]:
    modules = pkgutil.walk_packages(provision.__path__, "provision.")
    found = (
        thing
        for module in modules
        if not module.name.startswith(("provision.sim.", "provision.__main__"))
        for thing in vars(importlib.import_module(module.name)).values()
    )
    return list({thing for thing in found if is_dataclass(thing) and isinstance(thing, type)})


def test_every_record_can_be_one() -> None:
    records = [each for each in every_record() if each.__setattr__ is language._refuse_to_set]
    assert len(records) > 200
    for each in records:
        assert all(one.init for one in fields(each)), each
        assert len({one.kw_only for one in fields(each)}) <= 1, each
        assert callable(language._compiled(each)), each


def test_a_value_that_is_unlike_itself_is_the_same_record_with_it() -> None:
    for make in RECORDS.values():

        @make
        class Measured:
            volts: float

        one = Measured(volts=float("nan"))
        assert one == copy.copy(one)


def test_a_record_goes_through_pickle() -> None:
    assert pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)
