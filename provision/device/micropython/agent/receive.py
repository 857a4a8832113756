"""Carry out a stream of file operations that arrives deflated (MicroPython 1.21 and later).

A frame is a header of four bytes (length, little endian; kind; a check that counts frames) and
its payload, and is answered by one byte when it is done: between frames nothing drains the
port, so the host keeps what it sends ahead within the receive ring. Padding fills a packet of a
USB bridge that would hold a single byte back for its latency timer. New content goes to a file
beside the old one, is checked by the first bytes of its sha256 and renamed over it; a path carries
a digest of its own, so that no flipped bit removes another file. While frames arrive the interrupt
character is data; whatever happens it is `last` in the end, after the line has fallen silent, so that
no rest of a stream is taken for a program.
"""
import gc
import uos
import uselect
import sys
from uhashlib import sha256
import uio
from deflate import DeflateIO
from micropython import kbd_intr


def _receive(choices, padding, last=3):
    gc.collect()  # or the buffer would lie amid free memory, and split it
    port = sys.stdin.buffer
    out = sys.stdout
    # The first of the host's choices (bytes of a frame, log2 of the window) that the heap has
    # room for, with some to spare; the window itself is allocated by the first read.
    choice = 0
    while 1:
        room, window = choices[choice]
        try:
            buffer = memoryview(bytearray(room))
            bytearray((1 << window) + 3000)
            break
        except MemoryError:
            choice += 1
            if choice == len(choices):
                raise
    header = bytearray(4)
    done = "\0" * padding + "\x01"
    source = DeflateIO(port, 1, window)
    file = beside = None
    count = 0
    error = ""
    kbd_intr(-1)
    try:
        out.write("\x01" + chr(65 + choice))
        while 1:
            source.readinto(header)
            n = header[0] | header[1] << 8
            kind = header[2]
            if (n + (n >> 8) + kind + count + 90) & 255 != header[3] or n > room:
                raise ValueError("frame")
            count += 1
            payload = buffer[:n]
            source.readinto(payload)
            if kind == 128:
                source.read(1)
                break
            if kind & 113:
                start = 5 + payload[0]
                path = bytes(payload[1 : start - 4])
                if sha256(header[2:3] + path).digest()[:4] != bytes(payload[start - 4 : start]):
                    raise ValueError("path")
            if kind & 112:
                try:
                    (uos.mkdir if kind == 16 else uos.remove if kind == 32 else uos.rmdir)(path)
                except OSError as e:
                    # Not there, there already, not empty, or FAT's word for not empty.
                    if e.args[0] not in (2, 17, 39, 13):
                        raise
            else:
                if kind & 1:
                    proof = bytes(payload[start : start + 8])
                    beside = path[: path.rfind(b"/") + 1] + b".provision~"
                    file = uio.open(beside, "wb")
                    hasher = sha256()
                    payload = payload[start + 8 :]
                file.write(payload)
                hasher.update(payload)
                if kind & 2:
                    file.close()
                    file = None
                    if hasher.digest()[:8] != proof:
                        raise ValueError("sha256")
                    uos.rename(beside, path)
                    beside = None
            out.write(done)
    except Exception as e:
        error = repr(e)
        if file:
            try:
                file.close()
            except OSError:
                pass
        if beside:
            try:
                uos.remove(beside)
            except OSError:
                pass
        poll = uselect.poll()
        poll.register(sys.stdin, 1)
        while poll.poll(200):
            port.read(1)
    finally:
        try:
            print("\x02" + error)
        finally:
            kbd_intr(last)
    return 1
