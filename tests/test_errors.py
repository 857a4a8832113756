"""Every error class: its code, its exit code, its hint, and its place in the tree."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator

import pytest

from provision import errors
from provision.errors import ManifestError, Place, Problem, ProvisionError, TemplateError

# DESIGN's exit codes that an error can end a run with.
EXIT_CODES = {1, 2, 3, 4, 5, 130}
PROBLEM = Problem(place=Place(file="f.yaml", line=2, column=3), path="a.b", message="wrong")


def classes(root: type[ProvisionError] = ProvisionError) -> Iterator[type[ProvisionError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from classes(child)


ALL = list(classes())


def test_every_error_of_the_module_is_in_the_tree() -> None:
    defined = {
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, Exception)
    }
    assert defined == set(ALL)


def test_codes_are_unique_words() -> None:
    codes = [each.code for each in ALL]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)
    assert all("code" in vars(each) for each in ALL), "a code is never inherited"


@pytest.mark.parametrize("each", ALL)
def test_every_error_has_an_exit_code_and_a_hint(each: type[ProvisionError]) -> None:
    assert each.exit_code in EXIT_CODES
    assert each.default_hint
    assert not each.default_hint.endswith(".")
    parent = each.__base__
    if each is not ProvisionError:
        assert parent is not None
        assert "default_hint" in vars(each), "a hint says what to do about this very error"


def drawn() -> dict[str, tuple[str | None, int]]:
    """The tree of the module's docstring: each class with its parent and its exit code."""
    tree: dict[str, tuple[str | None, int]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([│├└─ ]*)(\w+) +(\d+)(?:  .+)?", line)
        if match is None:
            continue
        depth = len(match[1]) // 4
        above[depth:] = [match[2]]
        tree[match[2]] = (above[depth - 1] if depth else None, int(match[3]))
    return tree


def test_the_docstring_draws_the_whole_tree() -> None:
    assert drawn() == {
        each.__name__: (
            None if each is ProvisionError else getattr(each.__base__, "__name__", None),
            each.exit_code,
        )
        for each in ALL
    }


def test_an_error_keeps_the_first_device_it_happened_on() -> None:
    error = errors.NoAnswer("nothing answers")
    assert error.on("kitchen") is error
    assert error.on("shed").device == "kitchen"
    assert error.hint == errors.NoAnswer.default_hint
    assert errors.NoAnswer("nothing", hint="do this").hint == "do this"


def test_problems_come_sorted_and_counted() -> None:
    first = Problem(place=Place(file="f.yaml", line=1, column=9), path="", message="before")
    error = ManifestError([PROBLEM, first])
    assert error.problems == (first, PROBLEM)
    assert "2 problems" in str(error)
    assert "1 problem" in str(ManifestError([PROBLEM]))


def test_a_template_error_is_its_problem() -> None:
    error = TemplateError(PROBLEM)
    assert (str(error), error.message) == (str(PROBLEM), "f.yaml:2:3: a.b: wrong")
    assert error.problems == (PROBLEM,)


def test_errors_cross_processes() -> None:
    error = errors.PortBusy("in use", hint="wait", device="kitchen")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.hint, copy.device) == ("in use", "wait", "kitchen")
