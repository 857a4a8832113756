"""Secrets that are awkward to write, how programs write them, and what a text still shows of one.

Written without a look at `provision.core.manifest.redact`, by what the standard library does.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from hypothesis import strategies as st

CHARACTERS = (
    "abcdefghijkmnpqrstuvwxyzABCDEFGHKLMNPQRSTUVWXYZ23456789"
    "'\"\\&<>%+/=?#@!$(){}[]:;,|~^`*_-. \t\n\r\x00\x07\x1b\x7f\xa0üéßñ€Ж漢😀\u200e\u2028"
)

secrets = st.lists(st.sampled_from(CHARACTERS), min_size=8, max_size=24, unique=True).map("".join)
"""No character comes twice in one, so that what is left of it in a text is no coincidence."""


def _in_small_letters(form: str) -> str:
    return re.sub("%..", lambda code: code[0].lower(), form)


def _in_ascii(markup: str) -> str:
    return markup.encode("ascii", "xmlcharrefreplace").decode()


def _base64(secret: str, before: bytes = b"", after: bytes = b"") -> str:
    return base64.b64encode(before + secret.encode() + after).decode()


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": lambda secret: repr(secret)[1:-1],
    "repr in ASCII": lambda secret: ascii(secret)[1:-1],
    "repr beside an apostrophe": lambda secret: ascii(f"'{secret}")[2:-1].removeprefix("'"),
    "repr beside a quote": lambda secret: repr(f'"{secret}')[2:-1],
    "repr of bytes": lambda secret: repr(secret.encode())[2:-1],
    "repr of bytes beside an apostrophe": lambda secret: repr(b"'" + secret.encode())[3:-1],
    "repr of repr": lambda secret: repr(repr(secret)),
    "repr of repr in ASCII": lambda secret: ascii(ascii(secret)),
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "JSON, not in ASCII": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "JSON in repr": lambda secret: ascii(json.dumps(secret, ensure_ascii=False)),
    "repr in JSON": lambda secret: json.dumps(repr(secret))[1:-1],
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret))[1:-1],
    "HTML": html.escape,
    "HTML text": lambda secret: html.escape(secret, quote=False),
    "HTML in ASCII": lambda secret: _in_ascii(html.escape(secret)),
    "XML text": escape,
    "XML attribute": lambda secret: escape(secret, {'"': "&quot;"}),
    "URL": lambda secret: quote(secret, safe=""),
    "URL in small letters": lambda secret: _in_small_letters(quote(secret, safe="")),
    "path": quote,
    "form": quote_plus,
    "base64": _base64,
    "base64, one on": lambda secret: _base64(secret, b":"),
    "base64, two on": lambda secret: _base64(secret, b"u:", b"@"),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "hex": lambda secret: secret.encode().hex(),
    "hex in capitals": lambda secret: secret.encode().hex().upper(),
    "hex with colons": lambda secret: secret.encode().hex(":"),
    "numbers": lambda secret: str(list(secret.encode())),
    "UTF-8 taken for Latin-1": lambda secret: secret.encode().decode("latin-1"),
    "on a console": lambda secret: secret.replace("\n", "\r\n"),
    "sha256": lambda secret: _sha256(secret).hex(),
    "sha256, shortened": lambda secret: _sha256(secret).hex()[:12],
    "sha256 as bytes": lambda secret: repr(_sha256(secret)),
    "sha256 in base64": lambda secret: base64.b64encode(_sha256(secret)).decode(),
}
EDGE = 2
"""Characters of a form in base64 that hold bits of what stands beside the secret too; those that a
quotation mark takes in another."""


def shown_of(secret: str, text: str, length: int) -> set[str]:
    """The parts of a secret that are in a text, of `length` characters, in whatever form."""
    found = set()
    for write in FORMS.values():
        form = write(secret)[EDGE:-EDGE]
        parts = {form[start : start + length] for start in range(len(form) - length + 1)}
        found |= {part for part in parts if part.strip() and part in text}
    return found
