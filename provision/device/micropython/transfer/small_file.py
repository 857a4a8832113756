"""One small file to a board within the program that writes it there.

A stream needs a receiver, which is a kilobyte to send; the file that was just edited has less. Raw
paste paces what is sent, and two digests prove it: of the agent's source, without which a flipped
bit could have it write another path, and of the file (agent/put.py). What does not go this way goes
as a stream.
"""

from __future__ import annotations

import errno
import hashlib
import zlib
from collections.abc import Mapping, Sequence

from provision.device.micropython import agent_source
from provision.device.micropython.raw_repl import BoardException, RawRepl
from provision.device.micropython.transfer.stream_format import CONTENT_DIGEST, MAX_PATH
from provision.device.micropython.transfer.stream_transfer import ACK_TIMEOUT, file_error
from provision.interfaces import Progress
from provision.model.board_path import path_bytes
from provision.model.plan import FileAction, WriteFile
from provision.model.state import Content

LARGEST = 4096  # bytes, of which a board holds the deflated and the inflated at the same time
_WINDOW = 12  # log2 of what the inflater keeps
_MOST_SENT = 2048  # deflated bytes: for more, a raised line rate saves more than this does


def transfer(
    raw: RawRepl,
    actions: Sequence[FileAction],
    contents: Mapping[str, Content],
    progress: Progress,
) -> bool:
    """Whether the actions were one small file, and it is written; where it is not, nothing is."""
    if len(actions) != 1 or not isinstance(actions[0], WriteFile):
        return False
    path = actions[0].path
    content, name = contents[path].data, path_bytes(path)
    if len(content) > LARGEST or len(name) > MAX_PATH:
        return False
    code = program(name, content)
    if len(code) > _MOST_SENT:
        return False
    progress(0, len(code))
    raw.trace(1, f"program of {len(code)} bytes with the file in it")
    try:
        raw.start(code)
        raw.result(timeout=ACK_TIMEOUT)
    except BoardException as error:
        if error.errno not in (None, errno.EINVAL):  # which a damaged literal ends with
            raise file_error(path, error.errno, raw.raised(error)) from error
        # No memory for it at once, no `deflate`, or a line that damages what is sent.
        raw.trace(1, f"{path} does not go within a program: {raw.raised(error)}")
        return False
    progress(len(code), len(code))
    return True


def program(path: bytes, content: bytes) -> bytes:
    """What to execute on a board to write the file: the agent's source and the file as one deflated
    literal."""
    rest = bytes([len(path)]) + path + content
    source = agent_source.source("put").encode()
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -_WINDOW, 9)
    what = hashlib.sha256(rest).digest()[:CONTENT_DIGEST] + rest
    packed = squeezer.compress(source + what) + squeezer.flush()
    return (
        b"_r={}\nimport deflate,uio,uhashlib\n_r[0]=deflate.DeflateIO(uio.BytesIO(%s),1,%d)\n"
        b'_r[1]=_r[0].read(%d)\n%sexec(_r[1],_r)\nif _r["_put"](_r[0].read()):del _r\n'
        % (
            agent_source.literal(packed),
            _WINDOW,
            len(source),
            agent_source.proof(b"_r[1]", source),
        )
    )
