"""A button: its LED shows that it is awake."""

import time

from machine import Pin


def run(led, inverted):
    pin = Pin(led, Pin.OUT)
    while True:
        pin.value(not pin.value())
        time.sleep(1)
