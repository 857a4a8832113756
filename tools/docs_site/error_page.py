"""The page about errors, from `provision/errors.py` and what `provision explain` says."""

from __future__ import annotations

from collections.abc import Iterator

from markdown_text import prose, table

from provision.cli.explain import explanations, reasons
from provision.errors import ProvisionError


def errors_page() -> str:
    """docs/reference/errors.md."""
    kinds = {kind.code: kind for kind in _kinds(ProvisionError)}
    known = explanations()
    parts = [
        "# Every error",
        "The word before a message, as in `port-busy: …`, is the error's code: in the recap, in "
        "JSON and in JUnit reports. `provision explain CODE` prints what is below.",
        table(
            ("code", "exit code", "what it tells you to do, unless it knows better"),
            (
                (f"[`{code}`](#{code})", str(kind.exit_code), prose(kind.default_hint))
                for code in known
                if (kind := kinds.get(code)) is not None
            ),
        ),
    ]
    for code, text in known.items():
        parts += [f"## {code}", text]
    parts += [
        "# Refusals, and findings of a rehearsal",
        "Why a device is refused (`refused`, exit code 4) is said below its name, as in "
        "`wrong-mac: …`; so is what `provision rehearse` found.",
    ]
    for code, text in reasons().items():
        parts += [f"## {code}", text]
    return "\n\n".join(parts) + "\n"


def _kinds(kind: type[ProvisionError]) -> Iterator[type[ProvisionError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)
