"""File operations for firmware that cannot take a stream, by mpremote over our own line.

mpremote's commands run on every MicroPython that ever was, which is worth more here than speed.
This is the only module that knows mpremote: its API is announced to change, so its minor version
is pinned. What it lacks is added: new content is written beside, hashed and renamed.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from provision.device.line import Silence
from provision.device.scan import TEMPORARY, printable
from provision.errors import BoardError, NoAnswer, OutOfSpace
from provision.interfaces import FileOperation, MakeDir, Progress, Put, Remove, RemoveDir

if TYPE_CHECKING:
    from provision.device.repl import RawRepl

_HARMLESS = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EACCES}
_PATIENCE = 20.0  # seconds for one answer: a write may compact the filesystem


class _Face:
    """What mpremote calls on a pyserial object, on a line of ours."""

    def __init__(self, repl: RawRepl) -> None:
        self._line = repl.line
        self._ahead = b">"  # the prompt that mpremote waits for first, and that was read already

    def inWaiting(self) -> int:  # noqa: N802, pyserial's own name
        return len(self._ahead) or self._line.waiting()

    def read(self, count: int = 1) -> bytes:
        if self._ahead:
            taken, self._ahead = self._ahead[:count], self._ahead[count:]
            return taken
        return self._line.exactly(count, _PATIENCE)

    def write(self, data: bytes) -> int:
        self._line.write(data)
        return len(data)


class _Attached(SerialTransport):  # type: ignore[misc]  # mpremote has no types
    """mpremote's transport at a raw REPL that is held already; it opens and closes nothing."""

    def __init__(self, repl: RawRepl) -> None:
        self.in_raw_repl = True
        self.use_raw_paste = True
        self.device_name = "the line"
        self.mounted = False
        self.is_pty = False
        self.serial = _Face(repl)


def transfer(repl: RawRepl, operations: Sequence[FileOperation], progress: Progress) -> None:
    """Carry out the operations in order; see `interfaces.Repl.transfer`."""
    if not operations:
        return
    repl.settle()
    board = _Attached(repl)
    total = sum(len(one.data) for one in operations if isinstance(one, Put))
    done = 0
    for operation in operations:
        path = operation.path
        try:
            match operation:
                case MakeDir():
                    _harmlessly(board.fs_mkdir, path)
                case Remove():
                    _harmlessly(board.fs_rmfile, path)
                case RemoveDir():
                    _harmlessly(board.fs_rmdir, path)
                case Put():
                    _put(board, operation, _shifted(progress, done, total))
                    done += len(operation.data)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise OutOfSpace(f"the board's filesystem is full: {path} does not fit") from error
            raise BoardError(f"{path}: the board says {error.strerror or error}") from error
        except TransportExecError as error:
            lines = error.error_output.strip().rsplit("\n", 1)
            raise BoardError(f"{path}: the board says {printable(lines[-1])}") from error
        except (TransportError, Silence) as error:
            raise NoAnswer(f"{path}: the board stopped answering") from error
    repl.line.until(b">", timeout=_PATIENCE)  # mpremote leaves it for the next command


def _shifted(progress: Progress, base: int, total: int) -> Progress:
    return lambda part, _: progress(base + part, total)


def _harmlessly(call: Callable[[str], object], path: str) -> None:
    try:
        call(path)
    except OSError as error:
        if error.errno not in _HARMLESS:
            raise


def _put(board: _Attached, put: Put, progress: Progress) -> None:
    beside = put.path[: put.path.rfind("/") + 1] + TEMPORARY
    try:
        board.fs_writefile(beside, put.data, progress_callback=progress)
        if bytes(board.fs_hashfile(beside, "sha256")).hex() != put.sha256:
            raise BoardError(f"{put.path}: what the board holds is not what was sent")
        board.exec(f"import os\nos.rename({beside!a},{put.path!a})")
    except (OSError, BoardError, TransportExecError):
        board.exec(
            f"import os\ntry:\n f.close()\nexcept:pass\ntry:\n os.remove({beside!a})\nexcept:pass"
        )
        raise
