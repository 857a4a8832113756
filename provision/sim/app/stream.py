"""What the MicroPython child prints, converted to what the chip's UART would send.

The child's standard output is text with frames in between (see onboard/_link.py). Text gets the
chip's line ends, and the unix port's banner is replaced by that of the flashed firmware.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.model.language import record

RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n"


@record(kw_only=False)
class Frame:
    """One message of the prelude: a letter and its payload."""

    kind: str
    payload: bytes


class FrameSplitter:
    """Splits the child's output into text and frames."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes | Frame]:
        """Text as it is, and frames; what may be the beginning of a frame is held back."""
        data = self._held + data
        self._held = b""
        start = 0
        while True:
            at = data.find(self._mark, start)
            if at < 0:
                break
            body = at + len(self._mark)
            size = int.from_bytes(data[body + 1 : body + 3], "little")
            if len(data) < body + 3 or len(data) < body + 3 + size:
                if at > start:
                    yield data[start:at]
                self._held = data[at:]
                return
            if at > start:
                yield data[start:at]
            start = body + 3 + size
            yield Frame(chr(data[body]), data[body + 3 : start])
        rest = data[start:]
        keep = _overlap(rest, self._mark)
        self._held = rest[len(rest) - keep :]
        if len(rest) > keep:
            yield rest[: len(rest) - keep]


class NewlineConverter:
    """Gives text the chip's line ends: a line feed that has no carriage return before it gets one.

    (`print("\\r\\n")` has two on a chip and one here: the REPL's own output, which is not cooked
    on a chip, cannot be told from the program's.)
    """

    def __init__(self) -> None:
        self._after_return = False

    def feed(self, text: bytes) -> bytes:
        if not text:
            return b""
        cooked = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if self._after_return and text[:1] == b"\n":
            cooked = cooked[1:]
        self._after_return = text[-1:] == b"\r"
        return cooked


class BannerReplacer:
    """Replaces a banner by another, wherever it begins in the text.

    The port writes its banner in several pieces, the version first and in one piece; once that was
    seen, or where `more` is known to follow, the rest is waited for.
    """

    def __init__(self, old: bytes, new: bytes) -> None:
        self._old = old
        self._sure = old.index(b"; ")
        self._new = new
        self._held = b""

    def feed(self, text: bytes, *, more: bool = False) -> bytes:
        text = self._held + text
        self._held = b""
        if self._old in text:
            text = text.replace(self._old, self._new)
        keep = _overlap(text, self._old)
        if keep >= self._sure or (more and keep):
            self._held = text[len(text) - keep :]
            text = text[: len(text) - keep]
        return text


class PromptDetector:
    """Tells from what is printed whether the REPL waits for input: an echo, a prompt, the raw
    REPL's ">". For kernels that do not tell what the interpreter itself says."""

    def __init__(self) -> None:
        self._line = b""

    def feed(self, text: bytes) -> None:
        self._line = (self._line + text).rpartition(b"\n")[2][-200:]

    @property
    def reading(self) -> bool:
        line = self._line
        if line.startswith((b">>> ", b"... ", b"=== ")):
            return True
        if line == b">" or line.endswith(b"\x04>"):
            return True
        # Raw paste: what follows its answer is go-aheads, until the code has ended.
        return line.rpartition(b">")[2].rstrip(b"\x01") == b"R\x01\x80\x00"


def _overlap(text: bytes, pattern: bytes) -> int:
    """How many last bytes of `text` are the first of `pattern`, the whole pattern not counted."""
    for size in range(min(len(text), len(pattern) - 1), 0, -1):
        if text.endswith(pattern[:size]):
            return size
    return 0
