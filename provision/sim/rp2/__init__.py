"""Raspberry Pi's RP2040 and RP2350: `model` is what `families` lists.

`bootsel` is download mode: a folder in the place of its volume, `volume_folder` that reads what a
host writes into it, and `uf2_receiver` that does with each sector what the ROM does. `program`
tells what the ROM finds to start in flash, `firmware` builds images, `micropython_port` says how
their MicroPython differs from the unix port.
"""
