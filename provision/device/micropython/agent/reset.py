"""Restart the chip, by a name that no file on the board is in the way of where the firmware has it."""
try:
    from umachine import reset
except ImportError:
    from machine import reset
reset()
