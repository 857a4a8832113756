"""Two pieces of Python that this code has in a form of its own: the end of a `match` that names
every case, and the decorator of its values, `record`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields, make_dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_how: Any) -> Callable[[Any], Any]:
        """What type checkers alone read, and Python has from 3.11 on."""
        return lambda decorator: decorator


_Class = TypeVar("_Class", bound=type)


def assert_never(value: NoReturn) -> NoReturn:
    """As `typing.assert_never`, which Python 3.10 does not have yet: adding a case without handling
    it fails the type check, and never passes silently at run time."""
    raise AssertionError(f"a case is not handled: {value!r}")


@overload
def record(made: _Class, /) -> _Class: ...
@overload
def record(*, kw_only: bool = True, slots: bool = True) -> Callable[[_Class], _Class]: ...
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def record(made: type | None = None, /, *, kw_only: bool = True, slots: bool = True) -> Any:
    """`dataclass(frozen=True, kw_only=True, slots=True)`, made in a sixth of the time.

    `dataclass` compiles six methods for each class, a millisecond in all, and a command imports two
    hundred of them: a quarter of a second before it did anything. Here those methods are closures.
    `fields`, `replace`, `asdict`, `field` and `__post_init__` work as with any dataclass. What does
    not: `InitVar`, fields without `init`, and classes of which some fields alone are `kw_only`.
    """
    if made is None:
        return lambda class_: _record(class_, kw_only, slots)
    return _record(made, kw_only, slots)


OFTEN = 200
"""Values of one class after which the time to compile a quicker `__init__` is as good as spent."""

_set = object.__setattr__


def _record(class_: type, kw_only: bool, slots: bool) -> type:
    own = set(vars(class_))
    if "__eq__" in own and vars(class_)["__hash__"] is None:
        own.remove("__hash__")  # which Python put there
    if class_.__doc__ is None:
        class_.__doc__ = class_.__name__  # or `dataclass` looks for the signature of `object`
    made: Any = dataclass(init=False, repr=False, eq=False, kw_only=kw_only, slots=slots)(class_)
    every = fields(made)
    compared = [one.name for one in every if one.compare]
    hashed = [one.name for one in every if (one.compare if one.hash is None else one.hash)]
    methods: dict[str, Any] = {
        "__init__": _initialiser(made),
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
        "__repr__": _shown,
        "__eq__": _comparison(compared),
        "__hash__": _hash(hashed),
    }
    if slots:  # there is no __dict__ that `copy` and `pickle` could fill
        methods |= {"__getstate__": _state, "__setstate__": _take_state}
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    class_made: type = made
    return class_made


def _initialiser(made: Any) -> Callable[..., None]:
    """An `__init__` that is quick to make; of a class that is used a lot, it makes way for the one
    that `dataclass` compiles, which is quicker to run."""
    every = fields(made)
    names = {one.name for one in every}
    order: Sequence[str] = made.__match_args__
    defaults = {one.name: one.default for one in every if one.default is not MISSING}
    factories = {
        one.name: one.default_factory for one in every if one.default_factory is not MISSING
    }
    finishes = hasattr(made, "__post_init__")
    used = 0

    def initialise(self: Any, /, *values: Any, **given: Any) -> None:
        nonlocal used
        used += 1
        if used >= OFTEN:
            made.__init__ = _compiled(made)
        if values:
            given = {**_named(made, order, values, given.keys()), **given}
        given = {**defaults, **given}
        for name, factory in factories.items():
            if name not in given:
                given[name] = factory()
        if given.keys() != names:
            raise TypeError(_wrong_fields(made, names, given.keys()))
        for name, value in given.items():
            _set(self, name, value)
        if finishes:
            self.__post_init__()

    return initialise


def _compiled(made: Any) -> Callable[..., None]:
    own = [
        (one.name, Any, field(default=one.default))
        if one.default_factory is MISSING
        else (one.name, Any, field(default_factory=one.default_factory))
        for one in fields(made)
    ]
    finish = {"__post_init__": None} if hasattr(made, "__post_init__") else {}
    twin: Any = make_dataclass(
        made.__name__, own, namespace=finish, frozen=True, repr=False, eq=False,
        kw_only=not made.__match_args__,
    )  # fmt: skip
    compiled: Callable[..., None] = twin.__init__
    return compiled


def _named(made: type, order: Sequence[str], values: Sequence[Any], given: Set[str]) -> Any:
    if len(values) > len(order):
        raise TypeError(f"{made.__qualname__} has {len(order)} fields, not {len(values)}")
    if twice := set(order[: len(values)]) & given:
        raise TypeError(f"{made.__qualname__} was given {', '.join(sorted(twice))} twice")
    return dict(zip(order, values, strict=False))


def _wrong_fields(made: type, names: Set[str], given: Set[str]) -> str:
    wrong = [f"lacks {name}" for name in sorted(names - given)]
    wrong += [f"knows no {name}" for name in sorted(given - names)]
    return f"{made.__qualname__} {', '.join(wrong)}"


def _refuse_to_set(_self: object, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in fields(self)]


def _take_state(self: Any, state: list[Any]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        _set(self, one.name, value)


def _values(names: Sequence[str]) -> Callable[[Any], Any]:
    if len(names) < 2:  # of one, `attrgetter` gives the value itself, which may be unlike itself
        return lambda record: tuple(getattr(record, name) for name in names)
    return attrgetter(*names)


def _comparison(names: Sequence[str]) -> Callable[[Any, object], Any]:
    values = _values(names)

    def equals(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return equals


def _hash(names: Sequence[str]) -> Callable[[Any], int]:
    values = _values(names)
    return lambda record: hash(values(record))


def _shown(self: Any) -> str:
    parts = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{self.__class__.__qualname__}({', '.join(parts)})"
