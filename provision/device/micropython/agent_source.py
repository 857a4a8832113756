"""The agent's source as it is sent: minified, packed, and called with literals.

Line time is bytes, so comments go, names shrink and the text travels deflated inside a bytes
literal that a board of MicroPython 1.21 or later unpacks itself; older boards get it minified.

Modules are imported by the names that reach the firmware's own, `uos` and its like. In the way of
`os` is a file on the board called `os.py`, or what a host's `mpremote mount` left at `/remote`.
"""

from __future__ import annotations

import hashlib
import keyword
import re
import symtable
import zlib
from functools import cache
from pathlib import Path

from provision.model.board_path import path_bytes

AGENT = Path(__file__).with_name("agent")
SCAN, SCAN_ACROSS = "_scan", "_scan_across"
"""The calls whose globals stay while what they found differs from what was wanted."""

# What a firmware has not, as `deflate` before 1.21, an import looks for in the working directory,
# which may be a folder of mpremote's whose host is gone. Without a filesystem there is no `chdir`.
_FIRST = ("facts",), ("mount",), ("edit/take",)  # what an interpreter is asked first
HOME = b'getattr(__import__("uos"),"chdir",len)("/")\n'

DAMAGED = "damaged on the line"
"""What a board says of a program that does not match its digest: nothing of it was run."""
_PROOF = 8  # bytes of a sha256

# A window of 1 kB, which even an ESP8266's heap gives, and no snippet is much longer.
PACK_WINDOW = 10

# What may not stand for itself in a literal: the raw REPL's control bytes (Ctrl-A to Ctrl-E),
# NUL, line ends, the quote and the backslash. All others MicroPython's lexer takes as they are.
_ESCAPES = {byte: b"\\%d" % byte for byte in range(6)} | {
    0x0A: b"\\n",
    0x0D: b"\\r",
    0x22: b'\\"',
    0x5C: b"\\\\",
}


@cache
def source(*names: str) -> str:
    """The named agent files, minified, one after the other."""
    return "".join(minified((AGENT / f"{name}.py").read_text("utf-8")) for name in names)


@cache
def packed(*names: str) -> bytes:
    """`source(*names)` deflated, as a bytes literal."""
    return _squeezed(source(*names).encode())


@cache
def bare(*names: str) -> tuple[bytes, bytes]:
    """`source(*names)` deflated, as what a program on the board reads (agent/rate.py), and the
    literal that proves it."""
    code = source(*names).encode()
    return _deflated(code), _digest(code)


def _squeezed(code: bytes) -> bytes:
    return literal(_deflated(code))


def _deflated(code: bytes) -> bytes:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -PACK_WINDOW, 9)
    return squeezer.compress(code) + squeezer.flush()


def _digest(code: bytes) -> bytes:
    return literal(hashlib.sha256(code).digest()[:_PROOF])


def program(
    *names: str, call: str = "", arguments: bytes = b"", deflate: bool, follow: bool = False
) -> bytes:
    """What to execute on a board to run the named agent files, then `call(arguments)`, if any.

    With `deflate` they run in globals of their own, so that the app's stay as they are. Those go
    when the call returns true; otherwise they wait for programs that `follow`: those may be
    without files, and call what is there already. A board without the module raises ImportError
    before anything runs.
    """
    called = call.encode()
    first = HOME if names[:1] in _FIRST else b""
    if not deflate:
        code = first + source(*names).encode()
        return code + (b"%s(%s)\n" % (called, arguments) if call else b"")
    home = b"_p" if follow or call in (SCAN, SCAN_ACROSS) else b"_r"
    code = first + (b"" if follow else home + b"={}\n")
    if names:  # 1 is deflate.RAW
        code += b"import deflate,uio\nexec(deflate.DeflateIO(uio.BytesIO(%s),1,%d).read(),%s)\n" % (
            packed(*names),
            PACK_WINDOW,
            home,
        )
    if call:
        code += b'if %s["%s"](%s):' % (home, called, arguments)
    return code + b"del %s\n" % home


def changing_program(
    *names: str, call: str, arguments: bytes, deflate: bool = True, plain_names: bool = False
) -> bytes:
    """As `program`, for what changes the board: source, call and arguments are proved by a digest
    before any of it runs. A flipped bit in deflated text makes other text, now and then a program
    still, which would rename or write something else."""
    code = b"%sdef _c():\n return %s(%s)\n" % (source(*names).encode(), call.encode(), arguments)
    if plain_names:
        code = by_plain_names(code)
    hashing = b"hashlib" if plain_names else b"uhashlib"
    if deflate:
        text = b"deflate.DeflateIO(uio.BytesIO(%s),1,%d).read()" % (_squeezed(code), PACK_WINDOW)
    else:
        text = literal(code)
    return b'%s_r={}\nimport %s%s\n_r[0]=%s\n%sexec(_r.pop(0),_r)\nif _r["_c"]():del _r\n' % (
        HOME if names[:1] in _FIRST else b"",
        b"deflate,uio," if deflate else b"",
        hashing,
        text,
        proof(b"_r[0]", code, hashing),
    )


def proof(name: bytes, code: bytes, hashing: bytes = b"uhashlib") -> bytes:
    """A line that raises ValueError(DAMAGED) where `name` holds anything else than `code`."""
    return b'if %s.sha256(%s).digest()[:%d]!=%s:raise ValueError("%s")\n' % (
        hashing,
        name,
        _PROOF,
        _digest(code),
        DAMAGED.encode(),
    )


def literal(data: bytes) -> bytes:
    """A bytes literal of MicroPython for `data`, nearly as short as the data itself."""
    out = bytearray(b'b"')
    for index, byte in enumerate(data):
        escape = _ESCAPES.get(byte)
        if escape is None:
            out.append(byte)
        elif byte < 6 and data[index + 1 : index + 2].isdigit():
            out += b"\\x%02x" % byte  # an octal escape would swallow the digit
        else:
            out += escape
    return bytes(out + b'"')


def text(value: str) -> bytes:
    """A str literal of MicroPython, ASCII only."""
    return ascii(value).encode()


def texts(values: tuple[str, ...]) -> bytes:
    """A tuple of str literals."""
    return b"(" + b"".join(text(value) + b"," for value in values) + b")"


def paths(values: tuple[str, ...]) -> bytes:
    """A tuple of bytes literals, as paths are on a board."""
    return b"(" + b"".join(literal(path_bytes(value)) + b"," for value in values) + b")"


_OWN_NAME = re.compile(rb"\bu(binascii|hashlib|io|machine|os|select|sys)\b")


def by_plain_names(code: bytes) -> bytes:
    """The same program for a firmware, of before 1.16, that lacks one of the names with a u."""
    return _OWN_NAME.sub(rb"\1", code)


# As much of Python's lexer as the agent's files need: `tokenize` takes ten times as long, which is
# time that each run's first words wait for. A line end goes with the blanks of the next line.
_TOKEN = re.compile(
    r'''
    (?P<string>(?:\b[bBrR]{1,2})?(?:"""(?:[^\\]|\\.)*?"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    |(?P<name>[^\W\d]\w*)
    |(?P<line_end>(?:[ \t]*(?:\#[^\n]*)?\n)+(?P<indent>[ \t]*))
    |(?P<blank>[ \t]+)
    |(?P<rest>\d[\w.]*|.)
    ''',
    re.VERBOSE | re.DOTALL,
)


def minified(code: str) -> str:
    """The same program without comments, docstrings and needless blanks, its own names short.

    Names that the code binds itself are replaced, except those that start with an underscore;
    so no agent file may pass an argument by such a name, or read an attribute's name as one.
    """
    names = _short_names(code)
    out: list[str] = []
    previous = ""
    nested = 0  # in brackets, where a line end means nothing
    indents = [0]
    fresh = True  # at the start of a line
    for token in _TOKEN.finditer(f"\n{code.strip()}\n"):
        kind, word = token.lastgroup, token[0]
        if kind == "line_end":
            if nested:
                continue
            if not fresh:
                out.append("\n")
            fresh, previous = True, ""
            width = len(token["indent"])
            while width < indents[-1]:
                indents.pop()
            if width > indents[-1]:
                indents.append(width)
        elif kind != "blank" and not (kind == "string" and fresh):  # a docstring
            nested += (word in "([{") - (word in ")]}")
            if kind == "name" and previous != ".":
                word = names.get(word, word)
            if fresh:
                out.append(" " * (len(indents) - 1))
            elif _is_wordy(previous[-1:]) and _is_wordy(word[0]):
                out.append(" ")
            out.append(word)
            fresh, previous = False, word
    return "".join(out)


def _is_wordy(character: str) -> bool:
    return character.isalnum() or character == "_"


def _short_names(code: str) -> dict[str, str]:
    given = set(_GIVEN.findall(code))
    bound: set[str] = set()
    kept: set[str] = set(keyword.kwlist)
    tables = [symtable.symtable(code, "", "exec")]
    for table in tables:
        tables += table.get_children()
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if not name.isidentifier():  # what some Pythons call the loop of a comprehension
                continue
            imported = symbol.is_imported() and name not in given
            own = (symbol.is_assigned() or symbol.is_parameter()) and not imported
            (bound if own and not name.startswith("_") else kept).add(name)
    kept -= bound
    free = (name for name in _candidates() if name not in kept)
    return {name: next(free) for name in sorted(bound)}


_GIVEN = re.compile(r"\bas (\w+)")


def _candidates() -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [*letters, *letters.upper(), *(a + b for a in letters for b in letters)]
