"""A lamp: it is on."""

from machine import Pin


def run(led, inverted):
    Pin(led, Pin.OUT).value(not inverted)
