"""Which of the plugged-in ports a selector means, and which of them may be probed.

Pure: ports come in as the operating system told them. A port that another device of the manifest
owns is never a candidate for probing, since probing may have to reset the board behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from provision.errors import PortNotFound, UsageError
from provision.interfaces import PortInfo
from provision.model.state import PortSelector


def matching(selector: PortSelector, ports: Sequence[PortInfo]) -> list[PortInfo]:
    """The ports that a selector means; none for a URL, a MAC or any port, which no
    listing can answer.

    `location` also names all interfaces of a device by the device's own ("1-1.4" for
    "1-1.4:1.0"); serial numbers and USB ids are compared without case.
    """
    wanted = selector.value
    match selector.kind:
        case "path":
            return [port for port in ports if wanted == port.path or wanted in port.links]
        case "serial":
            serials = ((port, port.serial_number) for port in ports)
            return [port for port, text in serials if text and text.lower() == wanted.lower()]
        case "location":
            return [port for port in ports if _is_at(port, wanted)]
        case "usb":
            return [port for port in ports if (port.usb_id or "").lower() == wanted.lower()]
        case "url" | "mac" | "any":
            return []


def choose(selector: PortSelector, ports: Sequence[PortInfo]) -> PortInfo:
    """The one port that a selector means: PortNotFound for none, UsageError for several, each
    naming the candidates."""
    found = matching(selector, ports)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{selector} is on more than one port: {', '.join(map(described, found))}",
            hint="name the port by `location:` or by its /dev/serial/by-path link, "
            "which differ for every USB socket",
        )
    raise PortNotFound(f"{not_found(selector)}; {plugged_in(ports)}")


def candidates(
    ports: Sequence[PortInfo], owned: Iterable[PortSelector], usb: Sequence[str] = ()
) -> list[PortInfo]:
    """The ports to probe for a board, the likeliest first.

    `owned` are the selectors of all other devices of the manifest, also of those left out of
    this run; `usb` the USB ids of the bridges that the board is sold with, to begin with those.
    Built-in serial ports are left out: what hangs there is no board on a USB cable.
    """
    taken = {port.path for selector in owned for port in matching(selector, ports)}
    free = [port for port in ports if port.usb_id is not None and port.path not in taken]
    likely = {one.lower() for one in usb}
    return sorted(free, key=lambda port: (port.usb_id or "").lower() not in likely)


def lasting(port: PortInfo) -> tuple[PortSelector, str]:
    """How a manifest best names this port, so that it is found again whatever is plugged in besides
    and in which order; and what that name is bound to. Serial numbers come last: many USB bridges
    have none, or all of a kind the same."""
    by_path = next((link for link in port.links if "/by-path/" in link), None)
    if "://" in port.path:
        return PortSelector(kind="url", value=port.path), ""
    if by_path is not None:
        return PortSelector(kind="path", value=by_path), f"this USB socket, now {port.path}"
    if port.location is not None:
        where = PortSelector(kind="location", value=port.location)
        return where, f"this USB socket, now {port.path}"
    if port.serial_number is not None:
        return PortSelector(kind="serial", value=port.serial_number), f"now {port.path}"
    return PortSelector(kind="path", value=port.path), "" if port.usb_id is None else (
        "this name may be another board's after the next start"
    )


def described(port: PortInfo) -> str:
    """A port in few words: `/dev/ttyUSB0 (CP2102, 10c4:ea60, location 1-1.4)`."""
    details = [port.description, port.usb_id or ""]
    if port.serial_number:
        details.append(f"serial {port.serial_number}")
    if port.location:
        details.append(f"location {port.location}")
    shown = ", ".join(detail for detail in details if detail and detail != "n/a")
    return f"{port.path} ({shown})" if shown else port.path


def not_found(selector: PortSelector) -> str:
    """The start of the message for a selector that no port answers to."""
    if selector.kind == "path":
        return f"there is no port {selector.value}"
    what = "USB id" if selector.kind == "usb" else selector.kind
    return f"no port has the {what} {selector.value}"


def plugged_in(ports: Sequence[PortInfo], most: int = 4) -> str:
    """What is there instead, for the same message."""
    shown = [described(port) for port in ports if port.usb_id is not None]
    if not shown:
        return "nothing is plugged in"
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return f"plugged in: {', '.join(shown[:most])}{more}"


def _is_at(port: PortInfo, location: str) -> bool:
    return port.location is not None and (
        port.location == location or port.location.startswith(f"{location}:")
    )
