"""Keeps secrets out of whatever is about to be shown: the one place that knows how they may look.

A board says a secret as its app does: as it is, escaped by `repr`, JSON, XML or a URL, one inside
of another, in base64, in hex. `Redactor` finds all of these, and the digests that give a short
password away. It is to be asked before a text is cut or made printable (`wording.excerpt`); where
something was cut before, `…` says so, and a part of a secret beside it is masked too.

Out of reach: a secret that is spread over the lines of a hex dump, compressed or encrypted; one
that is shown in pieces shorter than SHORTEST; what an app makes of it by arithmetic.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from itertools import pairwise
from urllib.parse import quote, quote_plus

from provision.core.wording import CUT, one_line, printable
from provision.errors import ManifestError, Problem
from provision.model.secret import MASK

SHORTEST = 4
"""Characters of the shortest secret, and of the shortest part of one beside a cut, that is masked
wherever it stands. A shorter secret is masked where it stands alone, as it is or escaped, between
characters that are no part of a word: a PIN of "7" would otherwise mask every 7 of a report, and
tell by the gaps what it is. Of a secret that was cut, up to three characters may stay."""

DIGESTS = (64, 20, 16, 12)
"""Hex digits of a sha256, of it whole and as this tool shortens it."""

MOST_CUTS = 100
"""Of a text with more cuts than that, which no honest one has, the first and the last count."""

REMEMBERED = 256
"""How many texts without secrets are known when they come again: what a board prints is looked at
on its way in, as an event, and before it is shown."""

LONGEST_REMEMBERED = 8192  # characters: the lines that a board has printed at once

FEW = 150
"""Beginnings of secrets, up to which a search for any of them is quicker than to look each place of
a text up in a table of all."""

_BETWEEN = "\ue000"  # in no text that a board says by itself
_PLAIN = re.compile(r"[A-Za-z0-9_.-]*")
_NOTHING_TO_ESCAPE = re.compile(r"[ !#$%(-;=?-\[\]-~]*")


class Redactor:
    """Masks the secrets it was made with. Without secrets it returns the text untouched.

    It is built once a run and holds thousands of secrets: forms are found by their first SHORTEST
    characters, so that the time taken does not grow with their number.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        alone: set[str] = set()
        forms: set[str] = set()
        for secret in {secret for secret in secrets if secret.strip()}:
            if len(secret) < SHORTEST:
                alone |= _escapes(secret)
            else:
                forms |= _forms(secret)
            forms |= _digest_forms(hashlib.sha256(_bytes(secret)).digest())
        self._index(forms)
        self._find_alone(alone)

    def _find_alone(self, alone: set[str]) -> None:
        self._short = alone
        words = "|".join(map(re.escape, sorted(alone, key=len, reverse=True)))
        self._alone = re.compile(rf"(?<!\w)(?:{words})(?!\w)") if alone else None

    def with_digests(self, digests: Iterable[str]) -> Redactor:
        """Masks the same secrets and these sha256 (hex) of what holds them, files for instance."""
        more = copy(self)
        more._index(self._forms.union(*(_digest_forms(bytes.fromhex(each)) for each in digests)))
        return more

    def learn(self, other: Redactor) -> None:
        """From now on mask what another one masks as well, wherever this one is in use: a manifest
        that is read again amid a run may have other secrets, and boards still say the old ones."""
        if other._forms <= self._forms and other._short <= self._short:
            return
        more = copy(self)
        more._index(self._forms | other._forms)
        more._find_alone(self._short | other._short)
        vars(self).update(vars(more))  # at once, for those that mask meanwhile

    def _index(self, forms: set[str]) -> None:
        self._forms = forms
        self._longest = max(map(len, forms), default=0)
        by_start: dict[str, dict[int, set[str]]] = {}
        for form in forms:
            by_start.setdefault(form[:SHORTEST], {}).setdefault(len(form), set()).add(form)
        self._by_start = {  # the longest first
            start: sorted(by_length.items(), reverse=True) for start, by_length in by_start.items()
        }
        starts = map(re.escape, by_start)
        self._start = re.compile("|".join(starts)) if len(by_start) <= FEW else None
        self._free: set[str] = set()  # texts that were found without, for whoever asks again
        self._sorted = sorted(forms)
        self._backwards = sorted(form[::-1] for form in forms)
        self._all = _BETWEEN.join(forms)

    def text(self, text: str) -> str:
        """The text with every secret replaced by `***`; secrets that overlap by one of them."""
        if self._forms and not self._is_free_of_them(text):
            text = "".join(self._masked(text))
        return text if self._alone is None else self._alone.sub(MASK, text)

    def _is_free_of_them(self, text: str) -> bool:
        """Whether no secret can be in a text, as of most: no form begins anywhere in it, and
        nothing was cut. Far quicker than to look for each."""
        free = self._free  # of these secrets, should more be learned meanwhile
        if text in free:
            return True
        if CUT in text or self._may_begin_in(text):
            return False
        if len(text) <= LONGEST_REMEMBERED:
            if len(free) >= REMEMBERED:
                free.clear()
            free.add(text)
        return True

    def _may_begin_in(self, text: str) -> bool:
        if self._start is not None:
            return self._start.search(text) is not None
        ends = range(SHORTEST, len(text) + 1)
        return not self._by_start.keys().isdisjoint({text[end - SHORTEST : end] for end in ends})

    def _masked(self, text: str) -> Iterator[str]:
        masked = 0  # everything before it is done; what stands right before it is hidden
        for start, end in sorted((*self._whole(text), *self._parts(text))):
            if start >= masked:
                if masked:
                    yield MASK
                yield text[masked:start]
            masked = max(masked, end)
        if masked:
            yield MASK
        yield text[masked:]

    def _whole(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets stand: the longest form at each place."""
        find = self._by_start.get
        for index in range(len(text) - SHORTEST + 1):
            for length, forms in find(text[index : index + SHORTEST], ()):
                if text[index : index + length] in forms:
                    yield index, index + length
                    break

    def _parts(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the beginning of a secret stands right before a cut, the end right after one, or
        what lies between two cuts is the middle of one."""
        cuts = [found.start() for found in re.finditer(CUT, text)]
        if len(cuts) > MOST_CUTS:
            cuts = cuts[: MOST_CUTS // 2] + cuts[-MOST_CUTS // 2 :]
        for cut, before, after in zip(cuts, [-1, *cuts], [*cuts[1:], len(text)], strict=False):
            head = text[max(before + 1, cut - self._longest) : cut]
            yield from ((cut - length, cut) for length in _longest_start(head, self._sorted))
            tail = text[cut + 1 : min(after, cut + 1 + self._longest)][::-1]
            yield from (
                (cut + 1, cut + 1 + length) for length in _longest_start(tail, self._backwards)
            )
        for before, after in pairwise(cuts):
            if SHORTEST <= after - before - 1 < self._longest:
                middle = text[before + 1 : after]
                if middle in self._all:
                    yield before + 1, after

    # Errors

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Whatever error leaves the block has its secrets masked, and those of what it came from:
        a traceback shows them all."""
        try:
            yield
        except Exception as error:
            self.mask_error(error)
            raise

    def mask_error(self, error: BaseException) -> None:
        """Mask the texts of an error and of those that led to it."""
        seen: set[int] = set()
        waiting: list[BaseException | None] = [error]
        while waiting:
            one = waiting.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            self._mask_texts(one)
            waiting += [one.__cause__, one.__context__]

    def _mask_texts(self, error: BaseException) -> None:
        error.args = tuple(map(self._masked_argument, error.args))
        of_system = ("strerror", "filename", "filename2") if isinstance(error, OSError) else ()
        for name in (*vars(error), *of_system):
            value = getattr(error, name)
            if value is not None:
                setattr(error, name, self._masked_argument(value))
        if isinstance(error, ManifestError):
            error.problems = tuple(map(self.problem, error.problems))
        if self.text(str(error)) != str(error):
            error.args = (MASK,)

    def _masked_argument(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):  # notes
            return [self._masked_argument(each) for each in value]
        return value

    def problem(self, problem: Problem) -> Problem:
        """The problem with every secret masked."""
        return Problem(
            place=problem.place,
            path=self.text(problem.path),
            message=self.text(problem.message),
            source=self.text(problem.source) if problem.source is not None else None,
            hint=self.text(problem.hint) if problem.hint is not None else None,
        )


def _longest_start(text: str, forms: Sequence[str]) -> Iterator[int]:
    """The length of the longest end of a text that one of the forms, which are sorted, begins
    with; nothing where there is none of SHORTEST characters."""
    for start in range(len(text) - SHORTEST + 1):
        part = text[start:]
        place = bisect_left(forms, part)
        if place < len(forms) and forms[place].startswith(part):
            yield len(part)
            return


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _digest_forms(digest: bytes) -> set[str]:
    """A sha256 in hex, whole and shortened, as bytes are shown, and in base64."""
    text = digest.hex()
    forms = {text[:length] for length in DIGESTS} | {text[:length].upper() for length in DIGESTS}
    for part in (digest, digest[:8]):
        shown = repr(part)[2:-1]
        forms |= {shown, base64.b64encode(part).decode().rstrip("=")}
    return forms


def _forms(secret: str) -> set[str]:
    """Every way the secret may be written, of at least SHORTEST characters each."""
    data = _bytes(secret)
    forms = {
        *_escapes(secret),
        *_base64_forms(data),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        ", ".join(map(str, data)),  # a list of bytes
    }
    for separator in ("", " ", ":", "-", ", "):
        text = separator.join(f"{byte:02x}" for byte in data)
        forms |= {text, text.upper()}
    forms.add(", ".join(map(hex, data)))
    return {form for form in forms if len(form) >= SHORTEST}


def _escapes(secret: str) -> set[str]:
    """The secret as text: as it is, escaped, and escaped once more inside of another text."""
    if _PLAIN.fullmatch(secret):
        return {secret}
    seen_as = {
        secret,
        secret.replace("\n", "\r\n"),  # as a console has it
        _bytes(secret).decode("latin-1"),
        # A text of many lines is shown line by line.
        *(line for line in secret.splitlines() if len(line) >= SHORTEST),
    }
    once = seen_as.union(*map(_escaped, seen_as), _percent_forms(_bytes(secret)))
    forms = once.union(*map(_escaped, once))
    # What messages are made of: one line, no control characters.
    for form in [form for form in forms if not form.isprintable() or "  " in form]:
        forms |= {one_line(form), printable(form, len(form)), one_line(printable(form, len(form)))}
    return {form for form in forms if form.strip()}


def _escaped(text: str) -> set[str]:
    """A text as Python and MicroPython, JSON and XML write it inside of another."""
    if _NOTHING_TO_ESCAPE.fullmatch(text):
        return set()
    from html import escape  # here, since it reads a table of all of HTML's names

    plain = escape(text, quote=False)
    as_json = json.dumps(text)[1:-1]
    return {
        *_as_repr(text),
        as_json,
        json.dumps(text, ensure_ascii=False)[1:-1],
        # As jinja2's tojson escapes what HTML would take for its own.
        re.sub("[<>&']", lambda found: f"\\u{ord(found[0]):04x}", as_json),
        # MicroPython leaves what is not ASCII, and has no names for two control characters.
        re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", _by_number, _json_with_names(text)),
        *_xml_forms(plain),
        *_xml_forms(plain.replace('"', "&quot;")),
    }


def _json_with_names(text: str) -> str:
    named = text.replace("\\", "\\\\").replace('"', '\\"')
    return named.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _by_number(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _as_repr(text: str) -> Iterator[str]:
    """As CPython and MicroPython, to whom nothing is printable beyond ASCII, show a text and the
    bytes of it. The quotes around may be either kind: the rest of what is shown decides."""
    pieces = re.split("(['\"])", text)  # at odd places the quotes
    for show in (_repr_of_text, _repr_of_ascii, _repr_of_bytes):
        shown = [piece if index % 2 else show(piece) for index, piece in enumerate(pieces)]
        for escaped in ("", "'", '"', "'\""):
            yield "".join(f"\\{piece}" if piece and piece in escaped else piece for piece in shown)


def _repr_of_text(text: str) -> str:
    return repr(text)[1:-1]


def _repr_of_ascii(text: str) -> str:
    return ascii(text)[1:-1]


def _repr_of_bytes(text: str) -> str:
    return repr(_bytes(text))[2:-1]


def _xml_forms(text: str) -> Iterator[str]:
    """With each way to write an apostrophe, and with what is not ASCII by its number."""
    for apostrophe in ("'", "&#x27;", "&#39;", "&apos;"):
        form = text.replace("'", apostrophe)
        yield form
        yield form.encode("ascii", "xmlcharrefreplace").decode()


def _percent_forms(data: bytes) -> Iterator[str]:
    """As a URL and a form have it, hex digits in either case, by any idea of what is safe."""
    for form in (
        quote(data, safe=""),
        quote(data),
        quote(data, safe="!'()*"),
        quote(data, safe="!#$&'()*+,/:;=?@"),
        quote_plus(data),
        quote_plus(data, safe="*").replace("~", "%7E"),
    ):
        yield form
        yield re.sub("%..", lambda code: code[0].lower(), form)


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
