"""The console's rate as a program sets it: `machine.mem32` on a virtual board."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C6, ESP8266
from provision.model.chip import Chip
from provision.sim.setup import ResetCause
from tests.sim.bench import RAW, Bench

RAISED = {ESP32: (0x3FF40014, 1), ESP8266: (0x60000014, 87), ESP32C6: (0x60000014, 43 | 6 << 20)}


@pytest.mark.parametrize("chip", RAISED)
def test_a_reset_takes_the_rate_back(tmp_path: Path, chip: Chip) -> None:
    register, value = RAISED[chip]
    with Bench(tmp_path, chip) as bench:
        bench.boot()
        slow = bench.rates[-1]
        bench.raw()
        commit = "machine.mem32[0x60000098]=1\n" if chip == ESP32C6 else ""
        code = f"import machine\nmachine.mem32[{register}]={value}\n{commit}"
        assert bench.run(f"{code}print(machine.mem32[{register}])") == str(value)
        assert bench.rates[-1] > 7 * slow
        assert bench.run(f"print(machine.mem32[{register}])") == str(value)  # the next program, too
        bench.boot(ResetCause.EXTERNAL)
        assert bench.rates[-1] == slow


@pytest.mark.parametrize("chip", [ESP32, ESP8266])
def test_a_soft_reset_does_so_on_an_esp8266_alone(tmp_path: Path, chip: Chip) -> None:
    register, value = RAISED[chip]
    with Bench(tmp_path, chip) as bench:
        bench.boot()
        slow = bench.rates[-1]
        bench.raw()
        bench.run(f"import machine\nmachine.mem32[{register}]={value}")
        raised = bench.rates[-1]
        bench.type(b"\x04", RAW)
        assert bench.rates[-1] == (slow if chip == ESP8266 else raised)
        held = bench.run(f"import machine\nprint(machine.mem32[{register}])")
        assert (int(held) == value) == (chip != ESP8266)


def test_any_other_register_is_an_error(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.raw()
        answer = bench.type(b"import machine\nmachine.mem32[0x3FF4001C]=0\x04", b"\x04>")
        assert b"NotImplementedError" in answer
