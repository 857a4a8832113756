"""Keeps secrets out of text that is about to be shown.

Every secret is looked for as it is, as JSON, repr or a URL would write it, in base64 at each of
its three alignments, in hex, and as its sha256, since a digest of a short password gives the
password away.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from provision.model.secret import MASK

SHORTEST = 4
"""A shorter secret is masked only where it stands alone, between characters that are no part of
a word, and none of its encodings are but its sha256: a PIN of "7" would otherwise mask every 7
of a report, and tell by the gaps what it is."""


class Redactor:
    """Masks the secrets it was made with. Without secrets it returns the text untouched.

    It is built once a run and holds thousands of secrets: forms are found by their first
    SHORTEST characters, so that the time taken does not grow with their number.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._by_start: dict[str, list[str]] = {}
        alone = []
        for secret in sorted({secret for secret in secrets if secret}):
            if len(secret) < SHORTEST:
                alone.append(re.escape(secret))
            for form in _forms(secret):
                self._by_start.setdefault(form[:SHORTEST], []).append(form)
        for forms in self._by_start.values():
            forms.sort(key=len, reverse=True)
        self._alone = re.compile(rf"(?<!\w)(?:{'|'.join(alone)})(?!\w)") if alone else None

    def text(self, text: str) -> str:
        """The text with every secret replaced by `***`; secrets that overlap by one of them."""
        if self._by_start:
            text = "".join(self._masked(text))
        return text if self._alone is None else self._alone.sub(MASK, text)

    def _masked(self, text: str) -> Iterator[str]:
        find = self._by_start.get
        masked = 0  # everything before it is done; what stands right before it is hidden
        for index in range(len(text) - SHORTEST + 1):
            forms = find(text[index : index + SHORTEST])
            if forms is None:
                continue
            length = next((len(form) for form in forms if text.startswith(form, index)), 0)
            if not length:
                continue
            if index >= masked:
                if masked:
                    yield MASK
                yield text[masked:index]
            masked = max(masked, index + length)
        if masked:
            yield MASK
        yield text[masked:]


def _forms(secret: str) -> set[str]:
    """Every way the secret may be written, of at least SHORTEST characters each."""
    data = secret.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(data).hexdigest()
    forms = {digest, digest.upper()}
    if len(secret) < SHORTEST:
        return forms
    quoted = (quote(data, safe=""), quote(data), quote_plus(data))
    forms |= {
        secret,
        *secret.splitlines(),  # a text of many lines is shown line by line
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        _for_html(json.dumps(secret)[1:-1]),
        repr(secret)[1:-1],
        repr(data)[2:-1],
        *quoted,
        *(re.sub("%..", lambda code: code[0].lower(), form) for form in quoted),
        *_base64_forms(data),
        data.hex(),
        data.hex().upper(),
    }
    return {form for form in forms if len(form) >= SHORTEST}


def _for_html(text: str) -> str:
    """As jinja2's tojson escapes what HTML would take for its own."""
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _base64_forms(data: bytes) -> Iterator[str]:
    """The characters of a base64 text that only the secret decides, for each of the three
    positions that it can start at, in the standard and in the URL alphabet."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data).decode().rstrip("=")
        start = (offset * 8 + 5) // 6  # the first character with no bit of what stands before
        end = (offset + len(data)) * 8 // 6  # the last may hold bits of what comes after
        form = encoded[start:end]
        yield form
        yield form.replace("+", "-").replace("/", "_")
