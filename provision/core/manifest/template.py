"""Templates: text and variables to the content of a file, or to a path on the board.

A `Secret` among the variables is revealed here and nowhere else. Whether it went into the
result is found out by what it does, not by looking for its text: a template that names the
secret's variable is taken to use it, and one that names a list or mapping with a secret
somewhere inside is rendered a second time with another text in the secret's place. So a secret
is known to be in a content whatever filter it went through.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from provision.core.wording import did_you_mean
from provision.errors import Place, Problem, TemplateError
from provision.model.language import record
from provision.model.secret import Secret
from provision.model.state import Content

if TYPE_CHECKING:
    from jinja2 import Template


def render(text: str, *, name: str, variables: Mapping[str, object]) -> Content:
    """The content that the template `text` makes, its `secrets` those that went into it.

    `name` is the template's file as the user knows it, for errors. Lines end with a line feed,
    whatever the template's end with; the result is UTF-8. TemplateError for a template that is
    malformed, undefined somewhere, forbidden something, or too much.
    """
    rendered, secrets = _render(text, name, variables)
    try:
        data = rendered.encode()
    except UnicodeEncodeError as error:
        raise TemplateError(_problem(text, name, 1, f"not text: {error.reason}")) from None
    return Content(data=data, secrets=frozenset(secrets))


def render_path(text: str, *, variables: Mapping[str, object]) -> str:
    """The path that `text` makes. Errors stand in a file named `<path>`, for the caller to place
    at the value in its manifest. A secret must not go into a path, since paths are shown.
    """
    if "{" not in text:
        return text
    path, secrets = _render(text, PATH, variables)
    if secrets:
        raise TemplateError(_problem(text, PATH, 1, "a secret must not go into a path"))
    return path


PATH = "<path>"


@record(kw_only=False)
class _Compiled:
    template: Template
    names: frozenset[str]  # every variable it reads, and perhaps some it sets itself
    static_cost: int  # what going through it costs


@record(kw_only=False)
class _Failure:
    line: int
    message: str
    kind: str


def _render(text: str, name: str, variables: Mapping[str, object]) -> tuple[str, set[str]]:
    compiled = _compile(text, name)
    used = {key: variables[key] for key in sorted(compiled.names & variables.keys())}
    direct = {value.reveal() for value in used.values() if isinstance(value, Secret)}
    nested: set[str] = set()
    for value in used.values():
        _collect_secrets(value, nested)
    nested -= direct
    outcome = _run(compiled, used, frozenset())
    if isinstance(outcome, _Failure):
        message = outcome.message
        if direct or nested:
            again = _run(compiled, used, frozenset(direct | nested))
            if not isinstance(again, _Failure) or again.message != message:
                message = f"{outcome.kind} (not shown: a secret is part of the message)"
        message += _suggestion(message, variables)
        raise TemplateError(_problem(text, name, outcome.line, message)) from None
    if nested and _run(compiled, used, frozenset(nested)) != outcome:
        if len(nested) > 1:
            nested = {each for each in nested if _run(compiled, used, {each}) != outcome} or nested
        direct |= nested
    return outcome, direct - {""}


def _run(
    compiled: _Compiled, used: Mapping[str, object], hidden: frozenset[str] | set[str]
) -> str | _Failure:
    """Render once, with another text in place of each hidden secret."""
    from provision.core.manifest.template_limits import MAX_TEXT, METER, LimitExceeded, Meter

    template = compiled.template
    token = METER.set(Meter(compiled.static_cost))
    try:
        context = template.new_context({key: _for_jinja(used[key], hidden) for key in used})
        chunks, size = [], 0
        for chunk in template.root_render_func(context):
            size += len(chunk)
            if size > MAX_TEXT:
                raise LimitExceeded(f"the template makes more than {MAX_TEXT} characters")
            chunks.append(chunk)
        return "".join(chunks)
    except RecursionError:
        return _Failure(1, "the template calls itself endlessly, or is nested too deeply", "error")
    except Exception as error:  # noqa: BLE001 - whatever a template does is the template's error
        return _Failure(_line_of(error, template), _error_text(error), type(error).__name__)
    finally:
        METER.reset(token)


@lru_cache(maxsize=1024)
def _compile(text: str, name: str) -> _Compiled:
    from jinja2 import Template, TemplateSyntaxError, nodes

    from provision.core.manifest.template_limits import insert_meter

    environment = _environment()
    try:
        tree = environment.parse(text, name)
        for node in tree.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
            raise TemplateSyntaxError("a template cannot include or import another", node.lineno)
        names = frozenset(node.name for node in tree.find_all(nodes.Name))
        static_cost = insert_meter(tree)
        with warnings.catch_warnings():
            # What Python thinks of the code that jinja2 makes of a template is not for users.
            warnings.simplefilter("ignore", SyntaxWarning)
            code = environment.compile(tree, name, name)
        template = Template.from_code(environment, code, environment.globals)
    except TemplateSyntaxError as error:
        problem = _problem(text, name, error.lineno, error.message or "not a template")
        raise TemplateError(problem) from None
    except (RecursionError, MemoryError):
        raise TemplateError(_problem(text, name, 1, "the template is nested too deeply")) from None
    except (SyntaxError, ValueError) as error:  # Python's own limits on the compiled template
        raise TemplateError(_problem(text, name, 1, f"not a template: {error}")) from None
    return _Compiled(template, names, static_cost)


@lru_cache(maxsize=1)
def _environment() -> Any:
    from provision.core.manifest.template_limits import BoundedEnvironment

    return BoundedEnvironment()


def _for_jinja(value: object, hidden: frozenset[str] | set[str]) -> object:
    """As jinja2's filters want it: dict, list and str, secrets revealed or replaced."""
    match value:
        case Secret():
            text = value.reveal()
            return _placeholder(text) if text in hidden else text
        case str():
            return value
        case Mapping():
            return {key: _for_jinja(item, hidden) for key, item in value.items()}
        case Sequence():
            return [_for_jinja(item, hidden) for item in value]
        case _:
            return value


def _placeholder(text: str) -> str:
    """A text that differs from `text` in its length, at every place and in upper and lower case."""
    known = set(text)
    filler = next(chr(code) for code in range(0xE000, 0xF900) if chr(code) not in known)
    return filler * (len(text) + 1)


def _collect_secrets(value: object, found: set[str]) -> None:
    match value:
        case Secret():
            found.add(value.reveal())
        case str():
            pass
        case Mapping():
            for item in value.values():
                _collect_secrets(item, found)
        case Sequence():
            for item in value:
                _collect_secrets(item, found)
        case _:
            pass


def _line_of(error: BaseException, template: Template) -> int:
    """The template's line that an exception came through last."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__jinja_template__") is template:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def _error_text(error: Exception) -> str:
    from jinja2 import TemplateError as JinjaError

    from provision.core.manifest.template_limits import LimitExceeded

    text = str(error) or type(error).__name__
    return (
        text
        if isinstance(error, (JinjaError, LimitExceeded))
        else f"{type(error).__name__}: {text}"
    )


def _suggestion(message: str, variables: Mapping[str, object]) -> str:
    undefined = re.fullmatch(r"'(\w+)' is undefined", message)
    return did_you_mean(undefined[1], variables) if undefined else ""


def _problem(text: str, name: str, line: int, message: str) -> Problem:
    """The problem at a line of the template, its column that of the first name it quotes."""
    lines = text.splitlines() or [""]
    source = lines[min(line, len(lines)) - 1]
    quoted = re.search(r"'(\w+)'", message)
    word = re.search(rf"\b{quoted[1]}\b", source) if quoted else None
    column = word.start() + 1 if word else len(source) - len(source.lstrip()) + 1
    return Problem(
        place=Place(file=name, line=line, column=column), path="", message=message, source=source
    )
