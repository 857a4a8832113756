"""Restart the chip in its boot loader, by a name that no file on the board is in the way of where the
firmware has it."""
try:
    from umachine import bootloader
except ImportError:
    from machine import bootloader
bootloader()
