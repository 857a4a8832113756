"""After `scan`, with its `_walk`: print the files of the buckets that the mask has."""
from binascii import b2a_base64


def _list(bloom, loose, trees, mask):
    def show(known, bucket, path, folder, entry, digest):
        if known and (digest or folder):
            print((path, folder, entry[3:], b2a_base64(digest)))

    _walk(bloom, loose, trees, mask, "", show)
    return 1
