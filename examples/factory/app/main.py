"""A heat meter, as far as its station asks it."""

import json

import esp32
import machine

with open("/unit.json") as file:
    unit = json.load(file)
store = esp32.NVS("meter")


def stored_serial():
    """The number in NVS, which a new filesystem leaves alone."""
    kept = bytearray(20)
    return kept[: store.get_blob("serial", kept)].decode()


def supply():
    """Volts. A real unit asks its ADC; a virtual board has none, and the one whose id ends in 05
    has a bad regulator."""
    return 2.91 if machine.unique_id()[-1] == 5 else 3.31


print("ready:", unit["name"], "tariff", store.get_i32("tariff"), "offset", unit["offset"])
