"""The application of a virtual board: a MicroPython interpreter that runs in place of the chip's.

`application` uses the other modules; `process` connects it to the board.
"""
