"""The transports: what carries bytes to a board, by the scheme of its URL.

Each says how its pyserial object is made and what a link of its kind can do, so that nobody else
looks at an address to guess. A new transport is a module here and a line in TRANSPORTS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import serial

from provision.model.language import record

WRITE_TIMEOUT = 10.0
"""Seconds for a write to be taken: esptool's own figure; a board that reads takes far less."""


@record
class Transport:
    """One kind of link. `unopened` makes its pyserial object, not open yet, from an address and
    settings; `has_lines` says of an open one whether DTR and RTS arrive at the other end."""

    unopened: Callable[..., Any]
    has_lines: Callable[[Any], bool]
    flashes: bool = True  # it takes other rates and the lines' timing, as a flasher needs
    is_local: bool = False  # a serial port of this computer, with a driver of its own
    names_host: bool = False  # what follows the scheme is a host, whose name has no case


def scheme_of(address: str) -> str:
    """The scheme of a URL, in lower case; "" for a serial path."""
    scheme, mark, _ = address.partition("://")
    return scheme.lower() if mark else ""


def transport_of(address: str) -> Transport:
    """The transport for a path or URL; for schemes of pyserial's own, one that can do all."""
    return TRANSPORTS.get(scheme_of(address), _OF_PYSERIAL)


def is_supported(address: str) -> bool:
    """Whether there is a handler for the scheme of a URL, here or in pyserial."""
    scheme = scheme_of(address)
    if scheme in TRANSPORTS:
        return not address.startswith("://")
    try:
        return any(
            find_spec(f"{package}.protocol_{scheme}") is not None
            for package in serial.protocol_handler_packages
        )
    except (ImportError, ValueError):  # a scheme that cannot be the name of a module
        return False


def is_complete(address: str) -> bool:
    """Whether a URL that names a host has a host and a port."""
    if not transport_of(address).names_host:
        return True
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and bool(parts.port)
    except ValueError:
        return False


def url_fault(address: str) -> str | None:
    """What is wrong with a URL that cannot be tried at all, or None."""
    scheme = scheme_of(address)
    if not is_supported(address):
        known = ", ".join(f"{known}://" for known in TRANSPORTS if known)
        return f"there is no transport for {scheme}:// URLs; use a serial path, or one of {known}"
    if not is_complete(address):
        return f"it names no host and port; write {scheme}://HOST:PORT, with a PORT of 1 to 65535"
    return None


def _pyserial(address: str, **settings: Any) -> Any:
    connection = serial.serial_for_url(address, do_not_open=True, **settings)
    connection.write_timeout = WRITE_TIMEOUT
    return connection


def _rfc2217(address: str, **settings: Any) -> Any:
    from provision.device.transport.rfc2217 import RemotePort

    remote = RemotePort(None, **settings)  # it has no write timeout
    remote.port = address
    return remote


def _driver_has_lines(connection: Any) -> bool:
    """A pseudo terminal has no modem lines; a UART's or a USB bridge's driver has."""
    if sys.platform == "win32" or os.name != "posix":
        return True
    import fcntl
    import termios

    try:
        fcntl.ioctl(connection.fileno(), termios.TIOCMGET, b"\0" * 4)
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _always(_connection: Any) -> bool:
    return True


def _never(_connection: Any) -> bool:
    return False


_OF_PYSERIAL = Transport(unopened=_pyserial, has_lines=_always)

TRANSPORTS: Mapping[str, Transport] = {
    "": Transport(unopened=_pyserial, has_lines=_driver_has_lines, is_local=True),
    "rfc2217": Transport(unopened=_rfc2217, has_lines=_always, names_host=True),
    # Bytes and nothing else: no lines, and the rate stays as the server has it.
    "socket": Transport(unopened=_pyserial, has_lines=_never, flashes=False, names_host=True),
}
