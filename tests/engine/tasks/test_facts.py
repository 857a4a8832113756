"""The task `facts`: what a board is, whatever the manifest wants of it."""

from __future__ import annotations

from dataclasses import replace

from provision.core.chips.esp.chips import ESP8266
from provision.engine.tasks.facts import FactsTask
from provision.model.event import DevicePlanned, RunStarted
from provision.model.state import Check, PortSelector
from tests.engine.test_fleet_run import (
    MAC,
    device,
    firmware,
    go,
    image,
    outcomes,
    running,
)
from tests.fakes.world import FakeBoard, FakeWorld


def test_what_is_read_is_in_the_report_and_nothing_is_planned() -> None:
    board = running({"/main.py": b"1"})
    world = FakeWorld({"/dev/kitchen": board})  # the image of its firmware is not asked for
    state = device(firmware=firmware(), check=Check(expression="False"))
    report = go(world, state, task=FactsTask())
    assert outcomes(report) == {"kitchen": "ok"}
    (kitchen,) = report.devices
    assert kitchen.actual is not None
    assert (kitchen.actual.mac, kitchen.actual.firmware) == (MAC, image().identity)
    assert kitchen.actual.filesystem is not None
    assert kitchen.actual.filesystem.free == board.free
    assert kitchen.actual.filesystem.files == {}
    assert kitchen.plan is None
    assert board.log == ["leave"]
    assert world.identities.macs == {}
    assert not any(isinstance(event, DevicePlanned) for event in world.events)
    assert isinstance(world.events[0], RunStarted)
    assert world.events[0].task == "facts"


def test_a_device_on_any_port_is_found_by_what_the_lock_knows() -> None:
    world = FakeWorld({"/dev/somewhere": running()})
    world.identities.macs["kitchen"] = MAC
    state = device(port=None)
    state = replace(state, port=PortSelector(kind="any", value="any"))
    (kitchen,) = go(world, state, task=FactsTask()).devices
    assert (kitchen.outcome, kitchen.address) == ("ok", "/dev/somewhere")


def test_a_board_that_is_not_the_one_meant_is_reported_like_any_other() -> None:
    board = FakeBoard(chip=ESP8266, mac="24:6f:28:00:00:99")
    report = go(FakeWorld({"/dev/kitchen": board}), device(mac=MAC), task=FactsTask())
    assert outcomes(report) == {"kitchen": "ok"}
    (kitchen,) = report.devices
    assert kitchen.actual is not None
    assert (kitchen.actual.chip, kitchen.actual.mac) == (ESP8266, "24:6f:28:00:00:99")
