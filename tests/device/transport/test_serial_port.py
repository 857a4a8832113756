"""Opening ports: exclusively, without a reset, each failure as the error a user can act on."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from provision.atomic_files import lock_path, take_lock
from provision.device.transport.failures import NegotiationFailed
from provision.device.transport.owner import Owner, port_key
from provision.device.transport.serial_errors import busy, translate
from provision.device.transport.serial_port import Port, open_port
from provision.errors import (
    NoAnswer,
    PortBusy,
    PortDenied,
    PortLost,
    PortNotFound,
    ProvisionError,
    Unreachable,
)
from provision.model.endpoint import Endpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals")


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "run"
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(path))
    return path


class Terminal:
    """A pseudo terminal: the board's side, and the path of the other."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        self.path = os.ttyname(slave)
        os.close(slave)

    def unplug(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.unplug()


@pytest.fixture
def elsewhere() -> Iterator[Callable[[str, str], subprocess.Popen[bytes]]]:
    """Runs Python code in another process and returns once it has printed a line."""
    started: list[subprocess.Popen[bytes]] = []

    def run(code: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


OURS = """
import sys
from provision.device.transport.serial_port import open_port
from provision.model.endpoint import Endpoint
port = open_port(Endpoint(address=sys.argv[1]), device="shed")
print("ready", flush=True)
sys.stdin.read()
"""
FOREIGN = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
print("ready", flush=True)
sys.stdin.read()
"""


def opened(address: str, device: str = "kitchen") -> Port:
    return open_port(Endpoint(address=address), device=device, timeout=0.5)


def test_bytes_go_both_ways(terminal: Terminal) -> None:
    with opened(terminal.path) as port:
        port.serial.write(b"hello")
        assert os.read(terminal.master, 5) == b"hello"
        os.write(terminal.master, b"\x00\xff\r\n")
        assert port.serial.read(4) == b"\x00\xff\r\n"


def test_dtr_and_rts_are_equal_so_that_opening_resets_nothing(terminal: Terminal) -> None:
    with opened(terminal.path) as port:
        assert port.serial.dtr == port.serial.rts


def test_a_second_opening_in_this_run_is_refused_with_the_device(terminal: Terminal) -> None:
    with opened(terminal.path, "kitchen"):
        with pytest.raises(PortBusy) as caught:
            opened(terminal.path, "pantry")
        assert "this run for device kitchen" in caught.value.message
        assert caught.value.device == "pantry"
    opened(terminal.path, "pantry").close()


def test_a_link_is_the_same_port(terminal: Terminal, tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(terminal.path)
    with opened(str(link)), pytest.raises(PortBusy):
        opened(terminal.path)


def test_another_run_of_ours_is_named_by_pid_command_and_device(
    terminal: Terminal, elsewhere: Callable[..., subprocess.Popen[bytes]]
) -> None:
    owner = elsewhere(OURS, terminal.path)
    with pytest.raises(PortBusy) as caught:
        opened(terminal.path)
    assert f"process {owner.pid} (-c {terminal.path}) for device shed" in caught.value.message


def test_a_killed_owner_leaves_the_port_free(
    terminal: Terminal, elsewhere: Callable[..., subprocess.Popen[bytes]]
) -> None:
    owner = elsewhere(OURS, terminal.path)
    owner.kill()
    owner.wait()
    opened(terminal.path).close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_foreign_program_without_any_lock_is_found_and_named(
    terminal: Terminal, elsewhere: Callable[..., subprocess.Popen[bytes]]
) -> None:
    owner = elsewhere(FOREIGN, terminal.path)
    with pytest.raises(PortBusy) as caught:
        opened(terminal.path)
    assert f"process {owner.pid} (" in caught.value.message
    assert "sys.stdin.read()" in caught.value.message  # its command line
    owner.kill()
    owner.wait()
    opened(terminal.path).close()


def test_a_foreign_lock_on_the_terminal_is_respected(terminal: Terminal) -> None:
    theirs = serial.Serial(terminal.path, exclusive=True)
    try:
        with pytest.raises(PortBusy):
            opened(terminal.path)
    finally:
        theirs.close()
    opened(terminal.path).close()


def test_the_process_that_plays_the_board_is_no_rival(
    elsewhere: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    link = tmp_path / "board"
    elsewhere(
        "import os, sys\n"
        "master, slave = os.openpty()\n"
        "os.symlink(os.ttyname(slave), sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n",
        str(link),
    )
    opened(str(link)).close()


@pytest.mark.parametrize("gone", ["/dev/no-such-port-here", "/dev/null/below"])
def test_no_such_port(gone: str) -> None:
    with pytest.raises(PortNotFound) as caught:
        opened(gone)
    assert gone in caught.value.message
    assert "CP210x" in caught.value.hint


def test_a_file_or_directory_is_not_a_port(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    for path in (file, tmp_path):
        with pytest.raises(PortNotFound, match="not a serial port"):
            opened(str(path))
    assert file.read_text() == "hello"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names the group")
def test_no_permission(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    import grp

    if os.geteuid() == 0:
        os.chown(terminal.path, -1, next(one.gr_gid for one in grp.getgrall() if one.gr_gid))
    group = Path(terminal.path).group()
    Path(terminal.path).chmod(0)
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as cleanup:
        Path(directory).chmod(0o777)
        monkeypatch.setenv("PROVISION_RUNTIME_DIR", directory)
        if os.geteuid() == 0:  # root may open anything: be nobody for a moment
            cleanup.callback(os.seteuid, 0)
            os.seteuid(65534)
        with pytest.raises(PortDenied) as caught:
            opened(terminal.path)
    assert f"belongs to the group {group}" in caught.value.message
    assert f"usermod -aG {group}" in caught.value.hint


def test_unplugged_while_in_use(terminal: Terminal) -> None:
    with opened(terminal.path) as port:
        terminal.unplug()
        with pytest.raises(PortLost) as caught, port.errors():
            port.serial.write(b"x")
            port.serial.read(1)
    assert caught.value.device == "kitchen"
    assert terminal.path in caught.value.message


def test_closing_twice_and_after_unplugging_is_no_error(terminal: Terminal) -> None:
    port = opened(terminal.path)
    terminal.unplug()
    port.close()
    port.close()


def test_other_errors_pass_the_translation_unchanged(terminal: Terminal) -> None:
    with opened(terminal.path) as port:
        with pytest.raises(KeyError), port.errors():
            raise KeyError("not the port's")
        with pytest.raises(NoAnswer), port.errors():
            raise NoAnswer("ours already")


def test_nothing_stays_open_after_a_failure(terminal: Terminal, tmp_path: Path) -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    for address in ("/dev/no-such-port", str(tmp_path), "nonsense://x", "socket://"):
        with pytest.raises(Unreachable):
            opened(address)
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense://x", "no transport for nonsense:// URLs"),
        ("a.b://x", r"no transport for a\.b:// URLs"),
        ("://x", "no transport"),
        ("socket://", "names no host and port"),
        ("socket://host", "names no host and port"),
        ("rfc2217://:4000", "names no host and port"),
        ("rfc2217://host:port", "names no host and port"),
    ],
)
def test_a_url_that_cannot_be_tried_is_refused(address: str, words: str) -> None:
    with pytest.raises(PortNotFound, match=words) as caught:
        opened(address)
    assert caught.value.device == "kitchen"
    assert caught.value.hint


def test_urls_carry_bytes_and_tell_when_the_server_goes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"socket://127.0.0.1:{server.getsockname()[1]}"
        port = opened(address)
        with port:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"OK")
                assert port.serial.read(2) == b"OK"
                with pytest.raises(PortBusy):
                    opened(address + "?logging=info", "pantry")
            with pytest.raises(PortLost, match="connection broke"), port.errors():
                port.serial.read(1)
    with pytest.raises(PortNotFound, match="nothing answers there"):
        opened(address)


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(NoAnswer, match="does not answer") as silent:
            opened(f"rfc2217://127.0.0.1:{server.getsockname()[1]}?timeout=0.3")
        assert "RFC 2217" in silent.value.hint
        server.accept()[0].close()


def test_one_key_for_all_names_of_a_url() -> None:
    assert port_key("RFC2217://Host:4000?ign_set_control") == port_key("rfc2217://host:4000/")
    assert port_key("rfc2217://host:4000") != port_key("rfc2217://host:4001")


# The completeness of the translation: what the system and pyserial can raise, as a table.

WINDOWS = "could not open port 'COM3': {}"
PATH_TABLE: list[tuple[BaseException, bool, type[ProvisionError]]] = [
    (serial.SerialException(errno.ENOENT, "could not open port"), True, PortNotFound),
    (serial.SerialException(errno.ENXIO, "could not open port"), True, PortNotFound),
    (serial.SerialException(errno.EIO, "could not open port"), True, PortNotFound),
    (serial.SerialException(errno.ENOTTY, "could not open port"), True, PortNotFound),
    (serial.SerialException(errno.EACCES, "could not open port"), True, PortDenied),
    (serial.SerialException(errno.EPERM, "could not open port"), True, PortDenied),
    (serial.SerialException(errno.EBUSY, "could not open port"), True, PortBusy),
    (serial.SerialException(errno.EAGAIN, "Could not exclusively lock port"), True, PortBusy),
    (
        serial.SerialException(WINDOWS.format("FileNotFoundError(2, 'No file.', None, 2)")),
        True,
        PortNotFound,
    ),
    (
        serial.SerialException(WINDOWS.format("PermissionError(13, 'Access denied.', None, 5)")),
        True,
        PortBusy,
    ),
    (
        serial.SerialException(WINDOWS.format("OSError(22, 'Not functioning.', None, 31)")),
        True,
        PortNotFound,
    ),
    (OSError(errno.EIO, "Input/output error"), False, PortLost),
    (OSError(errno.ENODEV, "No such device"), False, PortLost),
    (OSError(errno.EBADF, "Bad file descriptor"), False, PortLost),
    (serial.SerialException("read failed: [Errno 5] Input/output error"), False, PortLost),
    (
        serial.SerialException("device reports readiness to read but returned no data (…)"),
        False,
        PortLost,
    ),
    (
        serial.SerialException("ClearCommError failed (PermissionError(13, '…', None, 22))"),
        False,
        PortLost,
    ),
    (serial.SerialTimeoutException("Write timeout"), False, NoAnswer),
    (serial.PortNotOpenError(), False, PortLost),
    (TypeError("'NoneType' object cannot be interpreted as an integer"), False, PortLost),
    (ValueError("Invalid baud rate: -1"), False, Unreachable),
]


URL_TABLE: list[tuple[BaseException, bool, type[ProvisionError]]] = [
    (NegotiationFailed("timeout while waiting for option 'baudrate'"), True, NoAnswer),
    (NegotiationFailed("timeout while waiting for option 'baudrate'"), False, NoAnswer),
    (OSError(errno.ECONNRESET, "Connection reset by peer"), False, PortLost),
]


@pytest.mark.parametrize(("error", "opening", "expected"), URL_TABLE)
def test_what_each_error_of_a_url_means(
    error: BaseException, opening: bool, expected: type[ProvisionError]
) -> None:
    ours = translate(error, address="rfc2217://pi:4000", device="d", opening=opening)
    assert type(ours) is expected


@pytest.mark.parametrize("device", ["d", None])
def test_the_error_of_a_url_handler_of_ours_passes_as_it_is(device: str | None) -> None:
    """pyserial makes an error without words of it, with the reason behind."""
    reason = PortNotFound("no such virtual board", hint="make one")
    error = serial.SerialException(errno.EIO, "could not open port")
    error.__cause__ = reason
    ours = translate(error, address="sim://kitchen", device=device, opening=True)
    assert ours is reason
    assert ours.device == device


def test_a_taken_port_names_a_few_of_its_owners() -> None:
    owners = [Owner(pid=number, command="screen") for number in range(1, 6)]
    said = busy("/dev/ttyUSB0", owners).message
    assert "process 1 (screen)" in said
    assert said.endswith("more")


def test_bytes_that_another_program_took_name_it() -> None:
    error = serial.SerialException("device reports readiness to read but returned no data (…)")
    owners = [Owner(pid=1, command="screen")]
    ours = translate(error, address="/dev/null", device="d", opening=False, owners=owners)
    assert isinstance(ours, PortBusy)
    assert "screen" in ours.message


def test_an_owner_that_has_not_said_its_name_yet(terminal: Terminal) -> None:
    held = take_lock(lock_path("port", port_key(terminal.path)), wait=False)
    assert held is not None
    with held:
        with pytest.raises(PortBusy, match="does not show itself"):
            open_port(Endpoint(address=terminal.path), device="d")
        held.write(b'\n{"pid": 1')  # caught while it writes
        with pytest.raises(PortBusy, match="does not show itself"):
            open_port(Endpoint(address=terminal.path), device="d")


def test_a_lock_that_cannot_be_made_is_told(terminal: Terminal) -> None:
    lock_path("port", port_key(terminal.path)).mkdir()
    with pytest.raises(Unreachable, match="cannot be locked") as caught:
        open_port(Endpoint(address=terminal.path), device="d")
    assert "PROVISION_RUNTIME_DIR" in caught.value.hint
    assert caught.value.device == "d"


@pytest.mark.parametrize(("error", "opening", "expected"), PATH_TABLE)
def test_what_each_error_of_a_path_means(
    error: BaseException, opening: bool, expected: type[ProvisionError]
) -> None:
    assert type(translate(error, address="/dev/null", device="d", opening=opening)) is expected


def test_the_hub_hint_stands_on_its_own_symptom() -> None:
    error = serial.SerialException("device reports readiness to read but returned no data (…)")
    lost = translate(error, address="/dev/null", device="d", opening=False)
    assert "external USB hub" in lost.hint


def every_failure() -> list[BaseException]:
    termios_error = pytest.importorskip("termios").error
    found: list[BaseException] = [
        OSError(number, os.strerror(number)) for number in errno.errorcode
    ]
    found += [termios_error(number, os.strerror(number)) for number in errno.errorcode]
    found += [
        kind(*(() if kind is serial.PortNotOpenError else ("some text",)))
        for kind in vars(serial.serialutil).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    found += [
        socket.gaierror(-2, "Name or service not known"),
        TimeoutError("timed out"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        ValueError("x"),
        NotImplementedError("write_timeout is currently not supported"),
        AttributeError("'NoneType' object has no attribute 'recv'"),
    ]
    return found


@pytest.mark.parametrize("address", ["/dev/null", "/dev/gone", "socket://h:1", "rfc2217://h:1"])
@pytest.mark.parametrize("opening", [True, False])
def test_every_failure_has_an_error_that_names_the_port_and_says_what_to_do(
    address: str, opening: bool
) -> None:
    for error in every_failure():
        ours = translate(error, address=address, device="kitchen", opening=opening)
        assert isinstance(ours, Unreachable), error
        assert address in ours.message
        assert ours.hint
        assert ours.device == "kitchen"


def test_a_port_of_macos_has_two_names_and_one_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert port_key("/dev/tty.usbserial-0001") == port_key("/dev/cu.usbserial-0001")
    assert port_key("/dev/cu.usbserial-0001") != port_key("/dev/cu.usbserial-0002")
