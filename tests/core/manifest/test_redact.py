"""What a redactor masks, and what it leaves alone."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.manifest.redact import FEW, Redactor
from provision.core.wording import CUT
from provision.errors import ManifestError, Place, Problem
from provision.model.secret import MASK
from tests.secret_forms import FORMS, shown_of
from tests.secret_forms import secrets as awkward
from tests.sim import interpreter

SECRET = "hunter2 \"é\\' <&>\t+/"
secrets = st.text(st.characters(exclude_categories=("Cs",)), min_size=4, max_size=40)


def test_without_secrets_the_text_is_the_same_object() -> None:
    text = "nothing to hide"
    assert Redactor([]).text(text) is text
    assert Redactor([""]).text(text) is text


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
        repr(SECRET.encode())[2:-1],
        quote(SECRET),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        hashlib.sha256(SECRET.encode()).hexdigest(),
    ],
)
def test_every_form_is_masked_wherever_it_stands(form: str) -> None:
    redactor = Redactor([SECRET, "another"])
    assert redactor.text(f"a{form}b {form}") == "a***b ***"


@given(secret=secrets, before=st.binary(max_size=6), after=st.binary(max_size=6))
def test_base64_at_every_alignment(secret: str, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    shown = Redactor([secret]).text(encoded)
    inner = len(secret.encode()) * 8 // 6 - 2
    assert "***" in shown
    assert len(encoded) - len(shown.replace("***", "")) >= inner


@given(secrets=st.lists(secrets, min_size=1, max_size=5), text=st.text(max_size=50))
def test_no_secret_is_left(secrets: list[str], text: str) -> None:
    shown = Redactor(secrets).text(text.join(secrets) + text)
    for piece in shown.split("***"):
        assert not any(secret in piece for secret in secrets)


def test_secrets_that_overlap_or_hold_one_another() -> None:
    redactor = Redactor(["abcdef", "defghi", "abcd"])
    assert redactor.text("<abcdefghi> <abcd> <defghi>") == "<***> <***> <***>"


def test_secrets_side_by_side() -> None:
    assert Redactor(["hunter2"]).text("hunter2hunter2") == "******"


def test_a_secret_of_many_lines_is_masked_line_by_line() -> None:
    redactor = Redactor(["first line\nsecond line\n"])
    assert redactor.text("+first line\n+second line\n") == "+***\n+***\n"


def test_a_short_secret_only_where_it_stands_alone() -> None:
    redactor = Redactor(["7"])
    assert redactor.text('pin=7, "7" 17 7.5 v1.27') == 'pin=***, "***" 17 ***.5 v1.27'
    assert redactor.text(hashlib.sha256(b"7").hexdigest()) == "***"


def test_thousands_of_secrets() -> None:
    redactor = Redactor(f"password-{number:05}" for number in range(5000))
    text = "x" * 1000 + "password-04999"
    assert redactor.text(text) == "x" * 1000 + "***"


@given(secret=awkward, name=st.sampled_from(sorted(FORMS)))
def test_a_secret_is_masked_however_it_is_written(secret: str, name: str) -> None:
    shown = Redactor([secret, "another"]).text(f"Ω{FORMS[name](secret)}Ψ")
    assert shown_of(secret, shown, 6) == set(), name
    assert MASK in shown


MICROPYTHON = """
import json
from binascii import b2a_base64, hexlify
for secret in %s:
    data = secret.encode()
    print(repr(secret), repr(data), bytearray(data), list(data))
    print(json.dumps(secret), json.dumps({"key": secret}), repr(json.dumps(secret)))
    print(json.dumps(repr(secret)), json.dumps(repr(data)), repr(repr(secret)))
    print(b2a_base64(data), b2a_base64(b":" + data), b2a_base64(b"::" + data + b":"))
    print(hexlify(data), hexlify(data, ":"), {"key": secret}, (secret,), secret)
    try:
        raise ValueError(secret)
    except ValueError as error:
        print(error, repr(error))
"""


@settings(max_examples=20)
@given(st.lists(awkward, min_size=5, max_size=20))
def test_nothing_is_left_of_what_micropython_prints(secrets: list[str]) -> None:
    said = interpreter.run((MICROPYTHON % ascii(secrets)).encode())
    shown = Redactor(secrets).text(said)
    for secret in secrets:
        assert shown_of(secret, shown, 6) == set()
    assert shown.count(MASK) >= 20 * len(secrets)


def test_parts_beside_a_cut() -> None:
    redactor = Redactor(["hunter2-hunter3"])
    assert redactor.text("it is hunter…") == "it is ***…"
    assert redactor.text("…hunter3 it is") == "…*** it is"
    assert redactor.text("…ter2-hun… and …ter2-dum…") == "…***… and …ter2-dum…"
    assert redactor.text("hunter it is, hunter") == "hunter it is, hunter", "not cut"
    assert redactor.text("the hun…, the r3") == "the hun…, the r3", "shorter than four"


def test_an_escaped_part_beside_a_cut() -> None:
    redactor = Redactor(["über-öffentlich"])
    assert redactor.text("said '\\xfcber-\\xf6f…") == "said '***…"


def test_a_short_secret_is_masked_escaped_too() -> None:
    shown = Redactor(["ü"]).text("{'pin': '\\xfc'} \\xfcber über ü")
    assert shown == "{'pin': '***'} \\xfcber über ***"


def test_white_space_is_no_secret() -> None:
    assert Redactor(["    "]).text("a     b") == "a     b"


def test_digests_of_what_holds_secrets() -> None:
    digest = hashlib.sha256(b"PASSWORD = 'hunter2'").hexdigest()
    redactor = Redactor(["hunter2"])
    more = redactor.with_digests([digest])
    for shown in (digest, digest.upper(), digest[:12] + "…", digest[:16], digest[:20]):
        assert redactor.text(shown) == shown
        assert more.text(f"sha256 {shown} hunter2").startswith("sha256 ***")
    assert more.text("hunter2") == MASK


def raise_with(secret: str) -> None:
    try:
        try:
            raise OSError(2, f"no {secret}", f"/{secret}")
        except OSError as error:
            raise ValueError(secret, 1) from error
    except ValueError:
        problem = Problem(
            place=Place(file="f", line=1, column=1), path=secret, message=secret, source=secret
        )
        error = ManifestError([problem], hint=secret)
        if sys.version_info >= (3, 11):
            error.add_note(secret)
        raise error  # noqa: B904 - the other is its context


def test_an_error_and_all_that_led_to_it_are_masked() -> None:
    secret = "hunter2 'über' \\ & co"
    with pytest.raises(ManifestError) as caught, Redactor([secret]).errors():
        raise_with(secret)
    error = caught.value
    told = "".join(traceback.format_exception(error)) + repr(error) + str(error.hint)
    told += "".join(map(str, error.problems)) + repr(error.problems)
    assert shown_of(secret, told, 8) == set()
    assert told.count(MASK) >= 6
    assert "No such" not in told
    assert "ValueError: ('***', 1)" in told


def test_a_text_that_was_free_of_secrets_is_looked_at_anew_for_others() -> None:
    redactor = Redactor([SECRET])
    text = hashlib.sha256(b"a file that holds it").hexdigest()
    for _ in range(2):
        assert redactor.text(text) == text
    more = redactor.with_digests([text])
    assert more.text(text) == MASK
    for number in range(1000):
        assert redactor.text(f"line {number}") == f"line {number}"
    assert redactor.text(f"line {SECRET}") == f"line {MASK}"


@given(st.text("correct horse1", max_size=60), st.integers(1, 40))
def test_few_secrets_and_many_are_looked_for_alike(text: str, cut: int) -> None:
    """By a search for them up to FEW, of more by a table."""
    few = Redactor(["correct", "horse"])
    many = Redactor(["correct", "horse", *(f"battery-{number}x" for number in range(FEW))])
    for shown in (text, f"{text[:cut]}{CUT}{text[cut:]}"):
        assert few.text(shown) == many.text(shown)


class Learning(str):
    """A text that another thread learns a secret amid the looking at: when it is asked for what
    stands for a cut."""

    redactor: Redactor
    asked = 0

    def __contains__(self, text: str, /) -> bool:
        self.asked += 1
        self.redactor.learn(Redactor(["correct-horse"]))
        return super().__contains__(text)


def test_a_text_that_was_free_of_the_secrets_before_is_looked_at_again() -> None:
    text = Learning("wifi: correct-horse")
    text.redactor = Redactor(["battery-staple"])
    text.redactor.text(text)
    assert text.asked == 1
    assert text.redactor.text("wifi: correct-horse") == "wifi: ***"


def test_what_is_learned_amid_a_run_is_masked_beside_what_was_known() -> None:
    """Secrets within one another as well: the larger is masked whole, whichever was known first."""
    redactor = Redactor(["horse", "x1"])
    mask = redactor.text  # as it was handed out before
    redactor.learn(Redactor(["correct-horse", "7"]))
    assert mask("correct-horse horse x1 7 17") == f"{MASK} {MASK} {MASK} {MASK} 17"
    redactor.learn(Redactor([]))
    assert mask("horse 7") == f"{MASK} {MASK}"
