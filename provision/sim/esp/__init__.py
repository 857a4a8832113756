"""Espressif's chips as virtual boards: what their ROM, registers, eFuses and MicroPython show.

`model` is what the rest asks; `loader` is download mode, where `rom` answers and then `stub`.
"""
