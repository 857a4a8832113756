"""Minified agent code: the same program, and nothing in it that the raw REPL would act on."""

from __future__ import annotations

import ast
import re
import sys
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.device.micropython import agent_source

NAMES = sorted(
    path.relative_to(agent_source.AGENT).with_suffix("").as_posix()
    for path in agent_source.AGENT.rglob("*.py")
)
CONTROLS = set(range(6)) | {0x0A, 0x0D}


def spelled(code: bytes) -> str:
    """CPython wants ASCII in a bytes literal, MicroPython takes any byte: those are spelled out."""
    return "".join(chr(b) if b < 128 else f"\\x{b:02x}" for b in code)


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
    assert ast.literal_eval(spelled(text)) == data


@pytest.mark.parametrize("name", NAMES)
def test_packed_code_unpacks_to_the_source(name: str) -> None:
    text = agent_source.packed(name)
    unpacked = zlib.decompress(ast.literal_eval(spelled(text)), wbits=-agent_source.PACK_WINDOW)
    assert unpacked.decode() == agent_source.source(name)
    assert not CONTROLS & set(text)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_change_is_proved_on_a_firmware_with_neither_deflate_nor_names_with_a_u(
    monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    """Before MicroPython 1.16: such a program is one that any Python runs."""
    renamed: list[tuple[str, str]] = []
    there = {"/main.py"}

    def stat(path: str) -> None:
        if path not in there:
            raise OSError(2)

    def rename(old: str, new: str) -> None:
        renamed.append((old, new))

    code = spelled(
        agent_source.changing_program(
            "startup",
            call="_startup",
            arguments=b"0,('main.py',),()",
            deflate=False,
            plain_names=True,
        )
    )
    assert not re.search(r"\bu(hashlib|io|machine|os)\b", code)
    with monkeypatch.context() as board:
        board.setitem(sys.modules, "os", SimpleNamespace(stat=stat, rename=rename))
        if damaged:
            with pytest.raises(ValueError, match=agent_source.DAMAGED):
                exec(code.replace("main.py", "main.pz"), {})
        else:
            exec(code, {})
    assert renamed == ([] if damaged else [("/main.py", "/.provision~main.py")])
