"""Actions on files for firmware that cannot take a stream, by mpremote over our own port.

mpremote's commands run on every MicroPython that ever was, which is worth more here than speed.
This is the only module that knows mpremote: its API is announced to change, so its minor version
is pinned. What it lacks is added: new content is written beside, hashed and renamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from provision.device.micropython.raw_repl import BoardException, RawRepl
from provision.device.micropython.transfer.stream_transfer import file_error
from provision.device.transport.buffered_serial import BufferedSerial, ReadTimeout
from provision.errors import BoardError, NoAnswer
from provision.interfaces import Progress
from provision.model.board_path import TEMPORARY_NAME, path_bytes
from provision.model.language import assert_never
from provision.model.plan import DeleteFile, FileAction, MakeDirectory, RemoveDirectory, WriteFile
from provision.model.state import Content

_HARMLESS = {2, 13, 17, 39}  # ENOENT, EACCES, EEXIST, ENOTEMPTY, in MicroPython's numbers
_ANSWER_TIMEOUT = 20.0  # seconds for one answer: a write may compact the filesystem
_SLOWEST = (
    20  # bytes of content a second: 9600 baud, each byte four characters, a round trip each chunk
)
_MAX_ANSWERS = 1 << 14  # bytes; an answer has a hundred


class _PortFailed(Exception):
    """The port raised what `__cause__` is: an OSError too, but none of the board's filesystem."""


@contextmanager
def _of_the_port() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise _PortFailed from error


class SerialShim:
    """What mpremote calls on a pyserial object, on a port of ours.

    mpremote waits for as long as something comes and keeps all of it, so `allow` gives each
    operation its bounds: a board that babbles for ever ends it as one that is silent does.
    """

    def __init__(self, serial: BufferedSerial) -> None:
        self._serial = serial
        self._ahead = b">"  # the prompt that mpremote waits for first, and that was read already
        self._deadline = 0.0
        self._left = 0

    def allow(self, size: int) -> None:
        """Begin an operation that moves `size` bytes of content."""
        self._deadline = self._serial.deadline(3 * _ANSWER_TIMEOUT + size / _SLOWEST)
        self._left = _MAX_ANSWERS + 8 * size  # it may have to be read back, written as a repr

    def inWaiting(self) -> int:  # noqa: N802, pyserial's own name
        with _of_the_port():
            return len(self._ahead) or self._serial.available()

    def read(self, count: int = 1) -> bytes:
        with _of_the_port():
            return self._counted(self._serial.read_exactly(count, self._time_left(_ANSWER_TIMEOUT)))

    def read_until(self, ending: bytes, timeout: float) -> bytes:
        if self._ahead.endswith(ending):
            taken, self._ahead = self._ahead, b""
            return taken
        with _of_the_port():
            left = self._time_left(timeout)
            return self._counted(self._serial.read_until(ending, timeout=left, limit=_MAX_ANSWERS))

    def write(self, data: bytes) -> int:
        with _of_the_port():
            self._serial.write(data)
        return len(data)

    def _time_left(self, most: float) -> float:
        left = self._serial.left(self._deadline)
        if left <= 0 or self._left <= 0:
            raise ReadTimeout(b"")
        return min(left, most)

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        return data


class _Attached(SerialTransport):  # type: ignore[misc]  # mpremote has no types
    """mpremote's transport at a raw REPL that is held already; it opens and closes nothing."""

    def __init__(self, raw: RawRepl) -> None:
        self.in_raw_repl = True
        self.use_raw_paste = True
        self.device_name = "the port"
        self.mounted = False
        self.is_pty = False
        self.serial = SerialShim(raw.serial)

    def read_until(
        self, _least: int, ending: bytes, timeout: float = 10, **_others: object
    ) -> bytes:
        """mpremote's own looks at every byte and sleeps between them."""
        return self.serial.read_until(ending, timeout)

    def exec(self, command: str, *others: object, **named: object) -> object:
        """mpremote imports `hashlib`, where a file on the board may be instead."""
        own = command.replace("import hashlib\n", "import uhashlib as hashlib\n")
        return super().exec(own, *others, **named)

    def call_os(self, function: str, *paths: str) -> None:
        arguments = ",".join(repr(path_bytes(path)) for path in paths)
        self.exec(f"import uos\nuos.{function}({arguments})")


class _NoText(str):
    """A path whose bytes are no UTF-8. mpremote writes the `repr` of a path into its programs, and
    one of a text would name another file."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(path_bytes(str(self)))


def _for_mpremote(path: str) -> str:
    text = path.encode("utf-8", "replace") == path_bytes(path)
    return path if text else _NoText(path)


def transfer(
    raw: RawRepl,
    actions: Sequence[FileAction],
    contents: Mapping[str, Content],
    progress: Progress,
) -> None:
    """Carry out the actions in order; see `interfaces.Repl.transfer`."""
    raw.settle()
    board = _Attached(raw)
    sizes = [contents[one.path].size if isinstance(one, WriteFile) else 0 for one in actions]
    done = 0
    for action, size in zip(actions, sizes, strict=True):
        path = action.path
        board.serial.allow(size)
        try:
            match action:
                case MakeDirectory():
                    _harmlessly(board, "mkdir", path)
                case DeleteFile():
                    _harmlessly(board, "remove", path)
                case RemoveDirectory():
                    _harmlessly(board, "rmdir", path)
                case WriteFile():
                    _write(board, path, contents[path], _shifted(progress, done, sum(sizes)))
                    done += size
                case _:
                    assert_never(action)
        except OSError as error:
            raise file_error(path, error.errno, error.strerror or str(error)) from error
        except TransportExecError as error:
            raised = BoardException(error.error_output)
            raise file_error(path, raised.errno, raw.raised(raised)) from raised
        except _PortFailed as error:
            raise error.__cause__ or error from None  # whoever owns the port knows what it means
        except (TransportError, ReadTimeout) as error:
            raise NoAnswer(f"{path}: the board stopped answering") from error
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
            # Of mpremote, which reads what it hears as UTF-8 and as a literal.
            raise BoardError(f"{path}: the board's answer cannot be read") from error
    try:
        # mpremote leaves the prompt for its next command.
        raw.serial.read_until(b">", timeout=_ANSWER_TIMEOUT)
    except ReadTimeout as error:
        raise NoAnswer("the board stopped answering after its files were written") from error


def _shifted(progress: Progress, base: int, total: int) -> Progress:
    return lambda part, _: progress(base + part, total)


def _harmlessly(board: _Attached, function: str, path: str) -> None:
    try:
        board.call_os(function, path)
    except TransportExecError as error:
        if BoardException(error.error_output).errno not in _HARMLESS:
            raise


def _write(board: _Attached, path: str, content: Content, progress: Progress) -> None:
    beside = _for_mpremote(path[: path.rfind("/") + 1] + TEMPORARY_NAME)
    try:
        board.fs_writefile(beside, content.data, progress_callback=progress)
        if board.fs_hashfile(beside, "sha256") != bytes.fromhex(content.sha256):
            raise BoardError(f"{path}: what the board holds is not what was sent")
        board.call_os("rename", beside, path)
    except (OSError, BoardError, TransportExecError):
        remove = f"uos.remove({path_bytes(beside)!r})"
        board.exec(f"import uos\ntry:\n f.close()\nexcept:pass\ntry:\n {remove}\nexcept:pass")
        raise
