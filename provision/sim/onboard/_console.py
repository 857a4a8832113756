# sys.stdin and sys.stdout as the chip has them.
#
# On the chip text output turns "\n" into "\r\n" and .buffer does not; the supervisor does the
# former to everything that is not framed, so .buffer frames what it writes. Text input turns "\r"
# into "\n"; .buffer reads the bytes as they are.

import io
import sys

from _link import CONFIG, LARGEST, tell

_text_in = sys.stdin
_bytes_in = sys.stdin.buffer
_text_out = sys.stdout
_claimed = False


def claim():
    # Until a program asks for input, the supervisor keeps what arrives while boot.py and main.py
    # run: it may have to reach the prompt in another mode.
    global _claimed
    if not _claimed:
        _claimed = True
        tell(b"I")


class _BinaryOut(io.IOBase):
    def write(self, data, *part):
        view = memoryview(data)
        if len(part) == 1:
            view = view[: part[0]]
        elif part:
            view = view[part[0] : part[0] + part[1]]
        size = len(view)
        for i in range(0, size, LARGEST):
            tell(b"W", view[i : i + LARGEST])
        return size

    def ioctl(self, request, argument):
        return argument & 4 if request == 3 else 0


class _Out(io.IOBase):
    def __init__(self):
        if CONFIG["buffer"]:
            self.buffer = _BinaryOut()

    def write(self, data, *part):
        return _text_out.write(data, *part)

    def ioctl(self, request, argument):
        return argument & 4 if request == 3 else 0


class _In(io.IOBase):
    def __getattr__(self, name):
        if name == "buffer" and CONFIG["buffer"]:
            claim()
            self.buffer = _bytes_in
            return _bytes_in
        raise AttributeError("'TextIOWrapper' object has no attribute '%s'" % name)

    def read(self, *size):
        claim()
        return _text_in.read(*size).replace("\r", "\n")

    def readline(self, *size):
        claim()
        line = ""
        while not line.endswith("\n") and not (size and len(line) >= size[0]):
            line += self.read(1)
        return line

    def readlines(self):
        lines = []
        while True:
            lines.append(self.readline())

    def readinto(self, buffer, *size):
        claim()
        count = _bytes_in.readinto(buffer, *size)
        for i in range(count):
            if buffer[i] == 13:
                buffer[i] = 10
        return count

    def __iter__(self):
        return self

    def __next__(self):
        return self.readline()

    def ioctl(self, request, argument):
        if request == 10:
            claim()
            return 0
        return 0


stdin = _In()
stdout = _Out()
