"""Where a device is reached, and what can be done over the link that leads there."""

from __future__ import annotations

from provision.model.language import record
from provision.model.secret import Secret


@record
class Endpoint:
    """A serial path or URL, the rate of the REPL there in bits a second, the highest one for
    sending files (0 for no other, None where the board profile says it), and what the other end
    asks for before it lets anybody in, where it asks for something."""

    address: str
    baud: int = 115200
    transfer_baud: int | None = None
    credentials: Secret | None = None


@record
class Capabilities:
    """What a link to a board can do, as its transport and the board's wiring together have it.

    `resets`: it reaches the chip's reset without a person. `lossless`: it holds bytes back while
    the board does not read. `flashes`: a flasher can speak over it. `has_rate`: its rate is that of
    the board's UART, and both can be set. `reads_flash`: a flasher can look at what it is about to
    write over, as the board is now.
    """

    resets: bool
    lossless: bool
    flashes: bool
    has_rate: bool = False
    reads_flash: bool = True
