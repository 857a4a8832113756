"""Tell what lies below a path, and send files.

What is told goes out as frames, each by one call that no timer of the app prints into: two bytes
that begin it, the first four of the sha256 of the rest, the length of its payload, and that. By its
first byte a payload is an entry (1), a piece of a file (2), a file's size and sha256 (3), a file
that cannot be had any more (4), or the end with the number of those before (5). A host that missed
one asks for that piece again. Where the firmware has no binary output a frame is a line of base64.
"""
from ubinascii import b2a_base64
from uhashlib import sha256
from uio import open
from uos import ilistdir, stat, statvfs
from usys import stdout


def _emit(frame):
    size = len(frame) - 8
    frame[0] = 2
    frame[1] = 165
    frame[6] = size & 255
    frame[7] = size >> 8
    digest = sha256(frame[6:]).digest()
    for i in range(4):
        frame[2 + i] = digest[i]
    _write(frame)


def _begin(room):
    global _write, _buffer, _count
    _count = 0
    _buffer = bytearray(15 + room)
    try:
        _write = stdout.buffer.write
        print("\x02B", end="")
    except AttributeError:
        _write = _write_text
        print("\x02T")


def _write_text(frame):
    print(str(b2a_base64(frame), "ascii"), end="")


def _end():
    _emit(bytearray(8) + b"\x05" + _count.to_bytes(4, "little"))
    return 1


def _hashed(path):
    hasher = sha256()
    total = 0
    piece = memoryview(_buffer)[15:]
    with open(path, "rb") as file:
        while 1:
            size = file.readinto(piece)
            if not size:
                return total, hasher.digest()
            total += size
            hasher.update(piece[:size])


def _entry(path, kind, size, hashed):
    global _count
    digest = b""
    if hashed and not kind:
        size, digest = _hashed(path)
    _count += 1
    head = bytes((1, kind, len(digest)))
    _emit(bytearray(8) + head + size.to_bytes(4, "little") + digest + path)


def _tell(room, path, deep, hashed):
    mounts = []
    try:
        for entry in ilistdir("/"):
            if entry[3:]:
                break  # mounts come first
            mounts.append(b"/" + bytes(entry[0], "utf8"))
    except ValueError:
        pass  # the first name behind them is no text
    status = stat(path)
    kind = status[0] >> 14 & 1
    _begin(room)
    _entry(path, kind, 0 if kind else status[6], hashed)
    pending = [path] if kind else []
    if path == b"/":
        for mount in mounts:
            _entry(mount, 2, 0, 0)
        if not statvfs("/")[0]:
            pending = []  # zeros where nothing is at the root
    while pending:
        parent = pending.pop()
        try:
            for entry in ilistdir(parent if parent[1:] else b"/."):
                path = parent.rstrip(b"/") + b"/" + entry[0]
                kind = entry[1] >> 14 & 1
                if path in mounts:
                    continue  # what the flash has by this name is out of reach
                try:
                    _entry(path, kind, 0 if kind else (entry + (0,))[3], hashed)
                except OSError as e:
                    if e.args[0] != 2:
                        raise
                    continue
                if deep and kind:
                    pending.append(path)
        except OSError as e:
            if e.args[0] != 2:
                raise  # but what vanishes meanwhile
    return _end()


def _send(room, wanted):
    global _count
    _begin(room)
    index = 0
    for path, offset, left in wanted:
        _buffer[8] = 2
        _buffer[9] = index & 255
        _buffer[10] = index >> 8
        piece = memoryview(_buffer)[15:]
        try:
            digest = b""
            if offset < 0:
                total, digest = _hashed(path)
                left = 0
            else:
                whole = left < 0
                hasher = sha256()
                total = offset
                with open(path, "rb") as file:
                    file.seek(offset)
                    while left:
                        size = file.readinto(piece if left < 0 or left > room else piece[:left])
                        if not size:
                            break
                        for i in range(4):
                            _buffer[11 + i] = total >> 8 * i & 255
                        total += size
                        left -= size if left > 0 else 0
                        hasher.update(piece[:size])
                        _count += 1
                        _emit(memoryview(_buffer)[: 15 + size])
                if whole:
                    digest = hasher.digest()
            frame = b"\x03" + total.to_bytes(4, "little") + digest
        except OSError as e:
            frame = b"\x04" + e.args[0].to_bytes(4, "little")
            digest = b"!"
        if digest:
            _count += 1
            _emit(bytearray(8) + frame[:1] + index.to_bytes(2, "little") + frame[1:])
        index += 1
    return _end()
