"""Every way in which pyserial and the system fail, as one of our errors.

pyserial raises OSErrors, termios.error, ValueErrors and texts that hide an errno; what each means
differs between opening a port and using it. One pure function decides, so that a table can test it.
"""

from __future__ import annotations

import errno
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import serial

from provision.device.transport.failures import NegotiationFailed, ServerSilent
from provision.device.transport.owner import Owner, other_owners
from provision.device.transport.transports import (
    TRANSPORTS,
    is_complete,
    is_supported,
    scheme_of,
    transport_of,
)
from provision.errors import (
    DeviceError,
    NoAnswer,
    PortBusy,
    PortDenied,
    PortLost,
    PortNotFound,
    ProvisionError,
    Unreachable,
)

_ABSENT = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR}
_NO_TTY = {errno.ENOTTY, errno.EISDIR, errno.EINVAL}
_DENIED = {errno.EACCES, errno.EPERM}
_OWNERS_SHOWN = 3
_BUSY = {errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK}
_NETWORK = {
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.ETIMEDOUT,
}
_HUNG_UP = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE}

# Windows says why only in the repr of a WinError inside pyserial's text: (13, '…', None, 5)
_WINDOWS = re.compile(r"Error\((\d+), .*?, None, (\d+)\)")
_WINDOWS_ABSENT = {2, 3, 20, 31, 433, 1167}  # no such file … device not functioning, gone
_WINDOWS_BUSY = {5, 32, 170}  # access denied: another program has it open

HUB_HINT = (
    "connect the board directly to the computer: an external USB hub often does this; "
    "and close any other program that reads this port"
)
DRIVER_HINT = (
    "plug the board in, and on Windows install the driver of its USB bridge (CP210x VCP or "
    "CH340); `provision discover` lists what is there"
)
SERVER_HINT = "check the host name and port, and that the serial server runs there"


def translate(
    error: BaseException,
    *,
    address: str,
    device: str | None,
    opening: bool,
    owners: Sequence[Owner] = (),
) -> ProvisionError:
    """One of our errors for whatever came out of a port; `owners` are its known holders."""
    if isinstance(error, ProvisionError):
        return error if device is None else error.on(device)
    cause = error.__cause__
    if opening and _errno(error) == errno.EIO and isinstance(cause, ProvisionError):
        # What a URL handler of ours has to say: of a port, whatever it is elsewhere.
        if not isinstance(cause, DeviceError):
            cause = Unreachable(f"{address} cannot be opened: {cause.message}", hint=cause.hint)
        return translate(cause, address=address, device=device, opening=opening)
    kind = _opening if opening else _using
    return kind(error, address, owners).on(device) if device else kind(error, address, owners)


@contextmanager
def translating(address: str, device: str | None, *, opening: bool = False) -> Iterator[None]:
    """Translate what the port calls inside raise; errors of any other origin pass unchanged."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ProvisionError) or not comes_from_port(error):
            raise
        raise translate(
            error, address=address, device=device, opening=opening, owners=other_owners(address)
        ) from error


def comes_from_port(error: BaseException) -> bool:
    """Whether a port raised it: an OSError or termios.error, or anything from inside pyserial."""
    if isinstance(error, OSError) or _is_termios(error):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (
        trace is not None and trace.tb_frame.f_globals.get("__name__", "").split(".")[0] == "serial"
    )


def refuse_bad_url(address: str, device: str) -> None:
    """Raise PortNotFound for a URL that cannot be tried at all."""
    if not is_supported(address):
        known = ", ".join(f"{scheme}://" for scheme in TRANSPORTS if scheme)
        raise PortNotFound(
            f"{address}: there is no transport for {scheme_of(address)}:// URLs",
            hint=f"use a serial path, or one of {known}",
            device=device,
        )
    if not is_complete(address):
        raise PortNotFound(
            f"{address} names no host and port",
            hint=f"write it as {scheme_of(address)}://HOST:PORT",
            device=device,
        )


def busy(address: str, owners: Sequence[Owner]) -> PortBusy:
    """The error that names who has the port."""
    if not owners:
        return PortBusy(
            f"{address} is in use by another program, which does not show itself",
            hint="close serial monitors and editors (Thonny, screen) that use it; just after "
            "plugging in it may be ModemManager, for half a minute",
        )
    names = " and ".join(str(owner) for owner in owners[:_OWNERS_SHOWN])
    if len(owners) > _OWNERS_SHOWN:
        names += f" and {len(owners) - _OWNERS_SHOWN} more"
    return PortBusy(f"{address} is in use by {names}")


def _opening(error: BaseException, address: str, owners: Sequence[Owner]) -> Unreachable:
    text = _text(error)
    number = _errno(error)
    if not transport_of(address).is_local:
        return _opening_url(error, number, text, address, owners)
    windows = _windows_code(text)
    if number in _ABSENT or windows in _WINDOWS_ABSENT:
        return PortNotFound(f"there is no port {address}", hint=DRIVER_HINT)
    if number in _BUSY or windows in _WINDOWS_BUSY:
        return busy(address, owners)
    if number in _DENIED:
        return _denied(address)
    if number in _NO_TTY:
        return PortNotFound(f"{address} is not a serial port ({text})")
    if number == errno.EIO:
        return PortNotFound(f"{address} is there, but no device is behind it ({text})")
    return Unreachable(f"{address} cannot be opened: {text}")


def _opening_url(
    error: BaseException, number: int | None, text: str, address: str, owners: Sequence[Owner]
) -> Unreachable:
    if number in _BUSY:
        return busy(address, owners)
    if any(isinstance(one, ServerSilent) for one in _chain(error)):
        return NoAnswer(
            f"{address}: the serial server took the connection and does not answer",
            hint="it may be busy: run again; if that is what it always does, it may not speak "
            "RFC 2217: use ser2net's telnet(rfc2217), or socket:// for a raw port",
        )
    if any(isinstance(one, NegotiationFailed) for one in _chain(error)):
        return NoAnswer(
            f"{address}: something listens there, but does not speak RFC 2217",
            hint="use ser2net's telnet(rfc2217) or esp_rfc2217_server, or socket:// for a raw port",
        )
    if any(isinstance(one, socket.gaierror) for one in _chain(error)):
        return PortNotFound(f"{address}: the host name is not known", hint=SERVER_HINT)
    if number in _NETWORK or any(isinstance(one, TimeoutError) for one in _chain(error)):
        return PortNotFound(f"{address}: nothing answers there ({text})", hint=SERVER_HINT)
    if number in _HUNG_UP:
        return PortBusy(
            f"{address}: the server hung up at once",
            hint="most serial servers take one client: close the other, and try again",
        )
    if number in _ABSENT:
        ours = next((one for one in _chain(error) if isinstance(one, ProvisionError)), None)
        if ours is not None:  # a URL handler of ours, which knows better what is missing
            return PortNotFound(f"{address}: {ours.message}", hint=ours.hint)
        return PortNotFound(f"{address}: there is no such port", hint=SERVER_HINT)
    return Unreachable(f"{address} cannot be opened: {text}")


def _using(error: BaseException, address: str, owners: Sequence[Owner]) -> Unreachable:
    text = _text(error)
    if isinstance(error, serial.SerialTimeoutException):
        return NoAnswer(
            f"{address} takes no more bytes: the board does not read",
            hint="press RESET or plug the board in again",
        )
    # pyserial's only handle on a read that was promised bytes and got none.
    if "readiness to read but returned no data" in text:
        if owners:
            return busy(address, owners)
        if _is_there(address):
            return PortLost(f"{address}: {text}", hint=HUB_HINT)
    if not transport_of(address).is_local:
        if isinstance(error, NegotiationFailed):
            return NoAnswer(f"{address}: the serial server does not answer ({text})")
        if isinstance(error, OSError) and not isinstance(error, serial.PortNotOpenError):
            return PortLost(
                f"{address}: the connection broke ({text})",
                hint="check the network and the serial server at the other end, and run again",
            )
    elif isinstance(error, OSError) or _is_termios(error):
        if not _is_there(address):
            return PortLost(f"{address} vanished while in use")
        return PortLost(f"{address} failed while in use ({text})", hint=HUB_HINT)
    if isinstance(error, ValueError):
        return Unreachable(f"{address} does not take this setting: {text}")
    return PortLost(f"{address} was closed while in use ({text})")


def _denied(address: str) -> PortDenied:
    group = _group(address)
    if group in (None, "root", "wheel") or not sys.platform.startswith("linux"):
        return PortDenied(f"no permission to open {address}")
    return PortDenied(
        f"no permission to open {address}, which belongs to the group {group}",
        hint=f"`sudo usermod -aG {group} $USER` and log in again, or add a udev rule; "
        "do not run this tool with sudo",
    )


def _group(address: str) -> str | None:
    if sys.platform != "win32":  # where files belong to no group
        with suppress(OSError, KeyError):
            return Path(address).group()
    return None


def _is_there(address: str) -> bool:
    return not transport_of(address).is_local or sys.platform == "win32" or Path(address).exists()


def _is_termios(error: BaseException) -> bool:
    return type(error).__module__ == "termios"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those it was raised from; pyserial re-raises without `from`."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _errno(error: BaseException) -> int | None:
    for one in _chain(error):
        number = getattr(one, "errno", None)
        if isinstance(number, int):
            return number
        if _is_termios(one) and one.args and isinstance(one.args[0], int):
            return one.args[0]
    return None


def _windows_code(text: str) -> int | None:
    found = _WINDOWS.search(text)
    return int(found[2]) if found else None


def _text(error: BaseException) -> str:
    """The innermost words: pyserial wraps `[Errno 5] …` in text of its own."""
    for one in _chain(error):
        if isinstance(one, OSError) and type(one).__module__ == "builtins" and one.strerror:
            return one.strerror
        if _is_termios(one) and len(one.args) > 1:
            return str(one.args[1])
    return str(error) or type(error).__name__
