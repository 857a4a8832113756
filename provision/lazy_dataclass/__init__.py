"""`dataclass` as in the standard library, whose methods are made when they are first needed.

The standard one compiles six methods for every class when its module is imported: for the two
hundred that a run imports that was a third of all that `provision apply` computes where nothing
changed. Here `__init__` is compiled at the first object, and what else a class has is shared by
all of them. To type checkers, `fields`, `replace` and `asdict` it is the standard one.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, FrozenInstanceError, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    from dataclasses import dataclass as _standard

    def dataclass(cls=None, /, *, frozen=False, eq=True, kw_only=False, slots=False):
        """The standard library's, of which these four options are used."""

        def made(cls):
            own = set(cls.__dict__)
            if cls.__dict__.get("__hash__") is None:
                own.discard("__hash__")  # what a class with an `__eq__` has
            cls = _standard(init=False, repr=False, eq=False, kw_only=kw_only, slots=slots)(cls)
            methods = {"__init__": _Init(cls, frozen), "__repr__": _repr}
            if eq:
                methods["__eq__"] = _eq
                cls.__dataclass_compared__ = _values(cls, lambda one: one.compare)
            if eq and frozen:
                methods["__hash__"] = _hash
                cls.__dataclass_hashed__ = _values(
                    cls, lambda one: one.compare if one.hash is None else one.hash
                )
            if frozen:
                methods |= {"__setattr__": _setattr, "__delattr__": _delattr}
                methods |= {"__getstate__": _getstate, "__setstate__": _setstate}
            for name, method in methods.items():
                if name not in own:
                    setattr(cls, name, method)
            if eq and not frozen and "__hash__" not in own:
                cls.__hash__ = None
            return cls

        return made if cls is None else made(cls)


def _values(cls: Any, wanted: Any) -> Any:
    """What gives the values of the fields that are wanted, of an object."""
    names = [one.name for one in fields(cls) if wanted(one)]
    return attrgetter(*names) if names else type


class _Init:
    """In the place of a class's `__init__` until it is asked for."""

    def __init__(self, cls: Any, frozen: bool) -> None:
        self._cls = cls
        self._frozen = frozen

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        made = _compiled_init(self._cls, self._frozen)
        self._cls.__init__ = made
        return made if instance is None else made.__get__(instance, owner)


def _compiled_init(cls: Any, frozen: bool) -> Any:
    around: dict[str, Any] = {"_missing": MISSING, "_set": object.__setattr__}
    positional = ["self"]
    by_name: list[str] = []
    body: list[str] = []
    slots = getattr(cls, "__slots__", ())
    for one in fields(cls):
        name, default = one.name, f"_default_{one.name}"
        around[default] = one.default
        value = name
        parameter = name if one.default is MISSING else f"{name}={default}"
        if one.default_factory is not MISSING:
            around[default] = one.default_factory
            parameter = f"{name}=_missing"
            value = f"{default}() if {name} is _missing else {name}" if one.init else f"{default}()"
        elif not one.init:
            if one.default is MISSING or name not in slots:
                continue
            value = default
        if one.init:
            (by_name if one.kw_only else positional).append(parameter)
        body.append(f"  _set(self, {name!r}, {value})" if frozen else f"  self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("  self.__post_init__()")
    parameters = ", ".join(positional + (["*", *by_name] if by_name else []))
    lines = "\n".join(body or ["  pass"])
    head = f"def _make({', '.join(around)}):\n def __init__({parameters}):\n"
    scope: dict[str, Any] = {}
    exec(f"{head}{lines}\n return __init__", sys.modules[cls.__module__].__dict__, scope)
    init = scope["_make"](**around)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {one.name: one.type for one in fields(cls) if one.init}
    init.__annotations__["return"] = None
    return init


def _repr(self: Any) -> str:
    shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    values = self.__dataclass_compared__
    return values(self) == values(other)


def _hash(self: Any) -> int:
    return hash(self.__dataclass_hashed__(self))


def _setattr(_self: Any, name: str, _value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(_self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)
