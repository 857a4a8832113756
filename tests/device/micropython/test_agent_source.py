"""Minified agent code: the same program, and nothing in it that the raw REPL would act on."""

from __future__ import annotations

import ast
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.device.micropython import agent_source

NAMES = sorted(
    path.relative_to(agent_source.AGENT).with_suffix("").as_posix()
    for path in agent_source.AGENT.rglob("*.py")
)
CONTROLS = set(range(6)) | {0x0A, 0x0D}


@pytest.mark.parametrize("name", NAMES)
def test_minified_agent_files_are_shorter_and_keep_their_calls(name: str) -> None:
    original = (agent_source.AGENT / f"{name}.py").read_text("utf-8")
    short = agent_source.minified(original)
    ast.parse(short)
    assert len(short) < len(original) / 1.5
    assert "#" not in short
    assert ast.get_docstring(ast.parse(short)) is None


def test_minifying_keeps_meaning() -> None:
    code = '''
"""Doc."""
import math as mathematics

def outer(first, second):
    """Doc."""
    total = 0  # a comment
    for index in range(first):
        total += index * second
    def inner(value):
        return value if value else not total
    try:
        1 / 0
    except ZeroDivisionError as problem:
        text = "total %d" % total + str(len(problem.args))
    return text, inner(0), mathematics.floor(2.5)

_result = outer(4, 5)
'''
    plain: dict[str, object] = {}
    short: dict[str, object] = {}
    exec(code, plain)  # the test's own text
    exec(agent_source.minified(code), short)
    assert short["_result"] == plain["_result"] == ("total 301", False, 2)


@given(st.binary())
def test_a_literal_reads_back_and_holds_no_control_byte(data: bytes) -> None:
    text = agent_source.literal(data)
    assert not CONTROLS & set(text)
    # CPython wants ASCII in a bytes literal, MicroPython takes any byte: spell those out here.
    spelled = "".join(chr(b) if b < 128 else f"\\x{b:02x}" for b in text)
    assert ast.literal_eval(spelled) == data


@pytest.mark.parametrize("name", NAMES)
def test_packed_code_unpacks_to_the_source(name: str) -> None:
    text = agent_source.packed(name)
    spelled = "".join(chr(b) if b < 128 else f"\\x{b:02x}" for b in text)
    unpacked = zlib.decompress(ast.literal_eval(spelled), wbits=-agent_source.PACK_WINDOW)
    assert unpacked.decode() == agent_source.source(name)
    assert not CONTROLS & set(text)
