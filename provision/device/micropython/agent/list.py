"""After `_scan`, with its `_walk` and `_asked`: print the files of the mask's buckets."""
from ubinascii import b2a_base64


def _list(mask):
    for known, bucket, path, folder, entry, digest in _walk(_asked, mask, b"/"):
        if known and (digest or folder):
            print((path, folder, entry[3:], b2a_base64(digest)))
