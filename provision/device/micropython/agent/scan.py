"""Compare the files on this board with what the host expects, in constant space.

The host knows the paths; the board gets a Bloom filter of them and of their directories. Files
that pass are folded, by path and sha256, into 32 sums that do not depend on the order of the
walk. When the sha256 of those is the wanted one the answer is one byte. Otherwise the host sees
which sums differ and asks for the files of those alone (`_list`). Nothing is kept per file.
`asked` is the filter, the files of any content, and the trees to walk whole.

What is looked at is the flash: by a second view of it, that reads `ahead` bytes at a time. LittleFS
looks for every file in the whole log of each folder above it, through a cache of 128 bytes as the
firmware mounts it; the second view needs a sixth of the reads. What is written meanwhile it does
not see: it is made anew for each scan. Where everybody sees another root than the view does, this
raises: something is mounted below `/`, or what is at `/` is not the flash (the number of blocks is
told too, since a RAM disk may hold copies). For an `ahead` of None, `_view` is set already
(across.py).

Paths are bytes: a name on LittleFS is any, and newer firmware makes no text of what is not UTF-8,
which at the root is one more thing that raises. `uos` is that of facts.py.
"""
from ubinascii import b2a_base64
from uhashlib import sha256


def _walk(asked, mask, parent):
    bloom, presence_only, trees = asked
    for entry in _view.ilistdir(parent):
        path = parent + entry[0]
        key = sha256(path).digest()
        known = 1
        for i in (0, 2):
            known &= ~bloom[key[i] % len(bloom)] >> key[i + 1] % 8
        inside = entry[0][:5] == b".prov"  # what an interrupted run left
        for tree in trees:
            inside |= (path + b"/").startswith(tree)
        folder = entry[1] & 16384
        bucket = key[6] & 31
        digest = b""
        if known and not folder and mask >> bucket & 1:
            digest = b"?"
            if path not in presence_only:
                hasher = sha256()
                with _view.open(path, "rb") as file:
                    block = path
                    while block:
                        block = file.read(1024)
                        hasher.update(block)
                digest = hasher.digest()
        if known or inside:
            yield known, bucket, path, folder, entry, digest
            if folder:
                yield from _walk(asked, mask, path + b"/")


def _scan(asked, wanted, ahead):
    global _asked, _view
    _asked = asked
    if ahead:
        from flashbdev import bdev

        _view = uos.VfsLfs2(bdev, readsize=ahead)
        if list(uos.ilistdir("/")) != list(_view.ilistdir("/")):
            raise  # whatever it is, a RuntimeError: the name of one costs bytes
    sums = bytearray(129)
    for known, bucket, path, folder, entry, digest in _walk(asked, -1, b"/"):
        if digest:
            key = sha256(digest + path).digest()
            for i in range(4):
                sums[bucket * 4 + i] ^= key[i]
        elif known:
            sums[128] += 1  # a folder; its number tells the host whether to ask which
        else:
            print((path, folder, entry[3:]))
    if sha256(sums[:128]).digest()[:9] == wanted:
        print("\x02=")
        return 1
    print(("\x02", b2a_base64(sums), uos.statvfs("/")[:4], ahead and bdev.ioctl(4, 0)))
