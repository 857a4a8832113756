"""`provision explain`: what an error means, why it comes, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

import click

from provision.core.wording import did_you_mean
from provision.errors import UsageError

_SECTION = re.compile(r"^## ([a-z-]+)\n+(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def explanations() -> Mapping[str, str]:
    """What `errors.md` beside this module has below each error's code."""
    return _sections("errors.md")


def reasons() -> Mapping[str, str]:
    """What `refusals.md` has below each kind of refusal and each finding of a rehearsal: words that
    stand before a message as an error's code does."""
    return _sections("refusals.md")


def _sections(name: str) -> Mapping[str, str]:
    text = (files("provision.cli") / name).read_text(encoding="utf-8")
    return {code: body.strip() for code, body in _SECTION.findall(text)}


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """What an error means, why it comes, and what to do: CODE is the word before the message, as in
    "port-busy: …". Without it, lists the codes.
    """
    errors, why = explanations(), reasons()
    if code is None:
        for title, part in (("Errors", errors), ("Refusals, and findings of a rehearsal", why)):
            click.echo(f"{title}:")
            for each, body in part.items():
                click.echo(f"  {each:<24}{body.partition(chr(10))[0]}")
        return
    known = {**errors, **why}
    word = code.strip().rstrip(":").lower()
    if word not in known:
        raise UsageError(
            f"there is no error called '{code}'{did_you_mean(word, known)}",
            hint="`provision explain` lists all",
        )
    click.echo(known[word])
