"""A virtual board's port is a port like any other: owned by one, named when taken, lost when
its cable is pulled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import serial

from provision.device.transport.serial_port import Port, open_port
from provision.errors import PortBusy, PortLost, PortNotFound, Unreachable
from provision.model.endpoint import Endpoint
from provision.sim import client
from tests.bench_of_boards import Bench, bench
from tests.virtual_ports import virtual_ports

__all__ = ["bench", "virtual_ports"]

ADDRESS = "sim://kitchen?chip=esp8266"


@pytest.fixture
def elsewhere(bench: Bench) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def run(code: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=bench.environment,
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


def opened(address: str = ADDRESS) -> Port:
    return open_port(Endpoint(address=address), device="kitchen", timeout=5)


def test_it_opens_without_a_reset_and_can_be_opened_again(bench: Bench) -> None:
    with opened() as port:
        assert port.serial.dtr == port.serial.rts
    assert client.ensure("kitchen", {})["boots"] == 1
    opened("sim://kitchen").close()
    assert client.ensure("kitchen", {})["boots"] == 1


def test_another_run_of_ours_is_named_also_without_the_query(
    bench: Bench, elsewhere: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    owner = elsewhere(
        "import serial, sys\n"
        "from provision.device.transport.serial_port import open_port\n"
        "from provision.model.endpoint import Endpoint\n"
        "serial.protocol_handler_packages.append('provision.sim')\n"
        f"port = open_port(Endpoint(address={ADDRESS!r}), device='shed')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with pytest.raises(PortBusy, match=f"process {owner.pid} .* for device shed"):
        opened("sim://kitchen")
    owner.kill()
    owner.wait()
    opened().close()


def test_a_foreign_program_on_it_is_noticed(bench: Bench) -> None:
    theirs = serial.serial_for_url(ADDRESS)
    try:
        with pytest.raises(PortBusy, match="another program"):
            opened()
    finally:
        theirs.close()


def test_a_pulled_cable_is_a_lost_port(bench: Bench) -> None:
    with opened() as port:
        client.request("kitchen", "unplug")
        with pytest.raises(PortLost) as caught, port.errors():
            while True:
                port.serial.read(1)
    assert caught.value.device == "kitchen"
    with pytest.raises(PortNotFound, match="is unplugged") as missing:
        opened("sim://kitchen")
    assert "replug" in missing.value.hint
    client.request("kitchen", "replug")
    opened("sim://kitchen").close()


def test_what_the_simulator_says_of_itself_arrives_as_it_is(bench: Bench) -> None:
    """And as what it is to a run: a port that cannot be opened, no error of this tool's."""
    with pytest.raises(Unreachable) as caught:
        opened("sim://kitchen?chip=z80")
    assert caught.value.device == "kitchen"
    assert "z80" in caught.value.message
    assert caught.value.hint.startswith("chip must be one of ")
    client.ensure("hall", {"chip": "esp32"})
    with pytest.raises(Unreachable, match="chip is esp32, not esp8266") as other:
        opened("sim://hall?chip=esp8266")
    assert "`provision sim rm hall`" in other.value.hint


def test_the_same_board_over_rfc_2217(bench: Bench) -> None:
    client.ensure("kitchen", {"chip": "esp8266"})
    server = client.request("kitchen", "rfc2217")
    with opened(server["rfc2217"]) as port:
        assert port.serial.dtr == port.serial.rts
        with pytest.raises(PortBusy, match="this run for device kitchen"):
            opened(server["rfc2217"] + "?ign_set_control")
        client.stop("kitchen")
        with pytest.raises(PortLost), port.errors():
            while True:
                port.serial.write(b"x")
                port.serial.read(1)
