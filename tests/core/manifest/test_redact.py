"""What a redactor masks, and what it leaves alone."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.redact import Redactor

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
