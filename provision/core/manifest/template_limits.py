"""The jinja2 environment templates run in: sandboxed, strict, and bounded.

A template comes with the manifest, which may come from anywhere; it must not be able to hang
the tool or to fill the memory. The size of every value is estimated before it is made, and every
round of a loop is paid for from a budget, so that a template ends, or ends in an error.
That doubles the time of a template that loops (50 sensors: 1.2 ms, 0.5 ms without) and adds a sixth
to one of a few variables (12 µs, 10 µs without). jinja2's own sandbox has no such bound, and a time
limit from outside could not stop `'x' * 10 ** 10`, nor work in a thread or on Windows.
Only `provision.core.manifest.template` uses this module, since importing it imports jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sized
from contextvars import ContextVar
from functools import wraps
from string import Formatter
from typing import Any

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_TEXT = 1 << 20
"""The most one value, and one rendered file, may have: about its characters as text."""

MAX_BITS = 1 << 14
"""The largest whole number, 4932 digits; dividing larger ones takes longer than their size says."""

BUDGET = 20_000_000
"""What one rendering may spend, in characters handled. It lasts for about a second."""

CALL_COST = 100  # a filter, a test, a method, a macro
NODE_COST = 4  # one part of the syntax tree in one round of a loop
VALUE_COST = 10  # a value looked at, whatever its size
MAX_NUMBER = 10_000
"""The largest width, indentation or precision a filter or method takes."""

# Random results would make the desired state another one each time; the others' cost cannot be
# told from their input, or they let a template around the sandbox.
REMOVED_FILTERS = ("attr", "pprint", "random", "striptags", "urlize", "xmlattr")
FUNCTIONS_WITH_WIDTH = re.compile(
    "batch|center|indent|ljust|rjust|round|slice|tojson|truncate|wordwrap|zfill"
)
GROWING_METHODS = ("center", "format", "join", "ljust", "replace", "rjust", "zfill")
OTHER_METHODS = re.compile(
    "capitalize|casefold|count|endswith|find|index|is[a-z]+|lower|l?strip|r?partition|remove"
    "prefix|removesuffix|rfind|rindex|r?split|rstrip|splitlines|startswith|swapcase|title|upper"
)


class LimitExceeded(Exception):
    """The template asks for more time or memory than a template may."""


class Meter:
    """The budget of one rendering; `static_cost` is what going through the whole template costs."""

    __slots__ = ("left", "static_cost")

    def __init__(self, static_cost: int) -> None:
        self.left = BUDGET
        self.static_cost = static_cost

    def charge(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise LimitExceeded("the template takes too long: it loops too often or over too much")


METER: ContextVar[Meter] = ContextVar("METER")
_LARGE_NUMBER = f"the template makes a number of more than {MAX_BITS} bits"


def estimated_size(value: object) -> int:
    """About how long `value` is as text; LimitExceeded above MAX_TEXT.

    A list that holds one long string many times counts as much as it prints, though it takes
    little memory.
    """
    match value:
        case str():
            size = len(value) + 1
        case int():
            if value.bit_length() > MAX_BITS:
                raise LimitExceeded(_LARGE_NUMBER)
            size = 1 + value.bit_length() // 3
        case range():
            size = len(value)
        case dict() | list() | tuple() | set() | frozenset():
            size = 2
            for item in value:
                size += 2 + estimated_size(item)
                if isinstance(value, dict):
                    size += estimated_size(value[item])
                if size > MAX_TEXT:
                    break
        case Namespace():
            raise TypeError("a namespace() is only for {% set %}; it is not a value itself")
        case _:
            return 1
    if size > MAX_TEXT:
        raise LimitExceeded(f"the template makes a value of more than {MAX_TEXT} characters")
    return size


def _charged(value: Any) -> Any:
    """The value, paid for; an iterator pays as it goes."""
    if isinstance(value, Iterator) and not isinstance(value, LoopContext):
        return _metered(value, 0)
    METER.get().charge(VALUE_COST + estimated_size(value))
    return value


def _metered(values: Iterable[Any], cost: int) -> Iterable[Any]:
    """The values of a loop whose every round costs `cost`."""
    meter = METER.get()
    cost += VALUE_COST
    if not isinstance(values, Iterator):
        estimated_size(values)
        if isinstance(values, Sized):
            meter.charge(cost * len(values))
        return values

    def paid() -> Iterator[Any]:
        for item in values:
            meter.charge(cost + estimated_size(item))
            yield item

    return paid()


def _check_arguments(name: str, text: object, args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
    """Weigh what a filter, test or method is given, `text` being what it works on."""
    args = [_charged(arg) for arg in args]
    for key, value in kwargs.items():
        kwargs[key] = _charged(value)
    if FUNCTIONS_WITH_WIDTH.fullmatch(name.removeprefix("str.")):
        for value in (*args, *kwargs.values()):
            if isinstance(value, int) and abs(value) > MAX_NUMBER:
                raise LimitExceeded(
                    f"{value} is too large a number for {name}: {MAX_NUMBER} is the most"
                )
    added = _ADDED_SIZE.get(name)
    if added is not None:
        size = added(text, *args, **kwargs)
        METER.get().charge(size)
        if size > MAX_TEXT:
            raise LimitExceeded(f"{name} makes a value of more than {MAX_TEXT} characters")
    return args


def _with_limits(name: str, function: Any) -> Callable[..., Any]:
    """The filter or test, charged for what goes in and comes out; jinja2's marks on it stay."""
    leading = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        METER.get().charge(CALL_COST)
        given = list(args[leading:])
        if name == "join" and given and isinstance(given[0], Iterator):
            given[0] = list(_metered(given[0], 0))
        if given:
            given = [_charged(given[0]), *_check_arguments(name, given[0], given[1:], kwargs)]
        return _charged(function(*args[:leading], *given, **kwargs))

    return bounded


# How large a result can get beyond a small multiple of what goes in.


def _added_by_join(value: Any, separator: Any = "", *_: Any, **__: Any) -> int:
    return len(separator) * len(value) if isinstance(separator, str) else 0


def _added_by_str_join(separator: str, values: Any) -> int:
    return len(separator) * len(values) if hasattr(values, "__len__") else 0


def _added_by_replace(text: Any, old: Any, new: Any, *_: Any, **__: Any) -> int:
    return str(text).count(str(old)) * len(str(new))


def _added_by_indent(text: Any, width: Any = 4, *_: Any, **__: Any) -> int:
    return (str(text).count("\n") + 1) * (len(width) if isinstance(width, str) else int(width))


def _added_by_wordwrap(text: Any, *args: Any, wrapstring: Any = None, **_: Any) -> int:
    wrapstring = args[2] if len(args) > 2 else wrapstring
    return len(str(text)) * len(wrapstring or "\n")


def _added_by_tojson(value: Any, indent: int | None = None) -> int:
    return estimated_size(value) * (indent or 0) * _depth(value)


def _added_by_sum(_: Any, *args: Any, start: Any = 0, **__: Any) -> int:
    start = args[1] if len(args) > 1 else start
    if not isinstance(start, (int, float)):
        raise TypeError("sum adds numbers only")
    return 0


def _added_by_percent(text: Any, *args: Any, **kwargs: Any) -> int:
    fields = re.findall(r"%(?:\([^)]*\))?[-+ #0]*([\d*]*)(?:\.([\d*]*))?", str(text))
    return _formatted(fields, (args, kwargs))


def _added_by_format(text: str, *args: Any, **kwargs: Any) -> int:
    fields = [(spec or "",) for _, field, spec, _ in Formatter().parse(text) if field is not None]
    return _formatted(fields, (args, kwargs))


def _formatted(fields: list[Any], arguments: object) -> int:
    for field in fields:
        if any(re.search(r"[*{]|\d{4}", part) for part in field):
            raise LimitExceeded("a width in a format must be a plain number below 1000")
    return (1000 + estimated_size(arguments)) * len(fields) if fields else 0


def _depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return 1 + max((_depth(item) for item in value), default=0)
    return 0


_ADDED_SIZE: dict[str, Callable[..., int]] = {
    "join": _added_by_join,
    "str.join": _added_by_str_join,
    "replace": _added_by_replace,
    "str.replace": _added_by_replace,
    "indent": _added_by_indent,
    "wordwrap": _added_by_wordwrap,
    "tojson": _added_by_tojson,
    "sum": _added_by_sum,
    "format": _added_by_percent,
    "str.format": _added_by_format,
}


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Undefined variables are errors, nothing is escaped, what is made has a limited size."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            trim_blocks=True,  # as Ansible: a line that only holds a tag leaves no empty line
            optimized=False,  # constants are folded unmetered
            finalize=_finalize,
            cache_size=0,
        )
        self.globals.pop("lipsum", None)
        for name in REMOVED_FILTERS:
            self.filters.pop(name, None)
        self.filters = {name: _with_limits(name, call) for name, call in self.filters.items()}
        self.tests = {name: _with_limits(name, call) for name, call in self.tests.items()}
        # names no template can write, for `insert_meter` below
        self.filters["(charged)"] = _charged
        self.filters["(metered)"] = _metered

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str):
            return attr in GROWING_METHODS or OTHER_METHODS.fullmatch(attr) is not None
        if isinstance(obj, (int, float, bytes)):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        size = estimated_size(left) + estimated_size(right)
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * right > MAX_BITS:
                raise LimitExceeded(_LARGE_NUMBER)
        elif operator == "*" and isinstance(left, int) and not isinstance(right, int):
            size = estimated_size(right) * abs(left)
        elif operator == "*" and isinstance(right, int) and not isinstance(left, int):
            size = estimated_size(left) * abs(right)
        elif operator == "%" and isinstance(left, str):
            size = _added_by_percent(left, right)
        METER.get().charge(VALUE_COST + size)
        if size > MAX_TEXT:
            raise LimitExceeded(f"'{operator}' makes a value of more than {MAX_TEXT} characters")
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        meter = METER.get()
        meter.charge(CALL_COST)
        name = getattr(__obj, "__name__", type(__obj).__name__)
        if isinstance(__obj, (Macro, LoopContext, BlockReference)):
            meter.charge(meter.static_cost)
            if isinstance(__obj, LoopContext) and args:
                args = (_metered(args[0], meter.static_cost), *args[1:])
        owner = getattr(getattr(__obj, "__wrapped__", __obj), "__self__", None)
        if isinstance(owner, str):
            name = f"str.{name}"
            _charged(owner)
            if name == "str.join" and args and isinstance(args[0], Iterator):
                args = (list(_metered(args[0], 0)), *args[1:])
        elif name == "safe_range":
            name = "range"
        given = _check_arguments(name, owner, list(args), kwargs)
        result = super().call(__context, __obj, *given, **kwargs)
        return result if isinstance(result, Namespace) else _charged(result)


@pass_context
def _finalize(_: Context, value: Any) -> Any:
    """What `{{ … }}` writes; taking the context keeps jinja2 from folding constants."""
    return _charged(value)


def insert_meter(template: nodes.Template) -> int:
    """Put the meter into a parsed template; returns what going through it costs."""
    for loop in list(template.find_all(nodes.For)):
        loop.iter = _filtered(loop.iter, "(metered)", _static_cost(loop))
    for concat in list(template.find_all(nodes.Concat)):
        joined = nodes.List(concat.nodes, lineno=concat.lineno)
        concat.nodes = [_filtered(joined, "join")]
    for literal in list(template.find_all((nodes.List, nodes.Tuple, nodes.Dict))):
        _charge_children(literal)
    for compare in list(template.find_all(nodes.Compare)):
        compare.expr = _filtered(compare.expr, "(charged)")
        for operand in compare.ops:
            operand.expr = _filtered(operand.expr, "(charged)")
    for item in list(template.find_all(nodes.Getitem)):
        if isinstance(item.arg, nodes.Slice):  # copies what it is taken from
            item.node = _filtered(item.node, "(charged)")
        elif not isinstance(item.arg, nodes.Const):  # a tuple's hash takes as long as it is large
            item.arg = _filtered(item.arg, "(charged)")
    template.set_environment(template.environment)  # type: ignore[arg-type]
    return _static_cost(template)


def _charge_children(literal: nodes.Expr) -> None:
    """Weigh the containers inside a container as each is made, innermost first."""
    if isinstance(literal, nodes.Tuple) and literal.ctx != "load":
        return
    if isinstance(literal, nodes.Dict):
        for pair in literal.items:
            if not isinstance(pair.key, nodes.Const):
                pair.key = _filtered(pair.key, "(charged)")
            pair.value = _filtered(pair.value, "(charged)")
    elif isinstance(literal, (nodes.List, nodes.Tuple)):
        literal.items = [_filtered(item, "(charged)") for item in literal.items]


def _filtered(node: Any, name: str, *arguments: int) -> nodes.Filter:
    constants: list[nodes.Expr] = [nodes.Const(each) for each in arguments]
    return nodes.Filter(node, name, constants, [], None, None, lineno=node.lineno)


def _static_cost(node: nodes.Node) -> int:
    """What going through this part of a template costs: its literal text and its size."""
    cost = 0
    for part in node.find_all(nodes.Node):
        cost += NODE_COST
        if isinstance(part, nodes.TemplateData):
            cost += len(part.data)
    return cost
