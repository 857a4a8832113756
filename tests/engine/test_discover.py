"""Ports that somebody names, and ports that come."""

from __future__ import annotations

from dataclasses import replace

from provision.engine.discover import Arrivals, named_ports
from provision.interfaces import PortInfo

LINK = "/dev/serial/by-path/pci-1"
ONE = PortInfo(path="/dev/ttyUSB0", usb_id="1a86:7523", links=("/dev/serial/by-id/x", LINK))
TWO = PortInfo(path="/dev/ttyUSB1", usb_id="1a86:7523")
BUILT_IN = PortInfo(path="/dev/ttyS0")


def test_named_ports_are_asked_whatever_they_are_and_each_once() -> None:
    found = named_ports(
        [ONE, TWO, BUILT_IN], ["/dev/ttyS0", "sim://a", LINK, "/dev/ttyUSB0", "sim://a", "/dev/x"]
    )
    assert [one.port.path for one in found] == ["/dev/ttyS0", "sim://a", LINK, "/dev/x"]
    assert not any(one.built_in for one in found)
    assert found[2].port.usb_id == ONE.usb_id
    assert named_ports([ONE], ["/dev/ttyUSB0"])[0].port == ONE


def test_a_port_has_come_once_it_was_seen_twice_as_it_is() -> None:
    now = [ONE]
    arrivals = Arrivals(lambda: list(now))
    assert arrivals.look() == []
    bare = replace(TWO, links=())
    now.append(bare)
    assert arrivals.look() == []
    now[1] = replace(TWO, links=(LINK,))  # its links come a moment later
    assert arrivals.look() == []
    (found,) = arrivals.look()
    assert found.port == now[1]
    assert found.named
    assert arrivals.look() == []


def test_one_that_was_unplugged_comes_again_and_one_that_flickers_never() -> None:
    now = [ONE, TWO]
    arrivals = Arrivals(lambda: list(now))
    now.remove(ONE)
    assert arrivals.look() == []
    now.append(ONE)
    assert arrivals.look() == []
    assert [one.port for one in arrivals.look()] == [ONE]
    now.remove(TWO)
    arrivals.look()
    now.append(TWO)
    arrivals.look()
    now.remove(TWO)
    assert arrivals.look() == []
    now.append(TWO)
    assert arrivals.look() == []
    assert [one.port for one in arrivals.look()] == [TWO]
