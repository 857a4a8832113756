"""What runs from a board's flash: an interpreter of its own, in the place of the chip's.

`application` stands above these modules; `process` joins it to the board.
"""
