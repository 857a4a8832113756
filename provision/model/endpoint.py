"""Where a device is reached, and what can be done over the link that leads there."""

from __future__ import annotations

from dataclasses import dataclass

from provision.model.secret import Secret


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A serial path or URL, the rate of the REPL there in bits a second, and what the other end
    asks for before it lets anybody in, where it asks for something."""

    address: str
    baud: int = 115200
    credentials: Secret | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a link to a board can do, as its transport and the board's wiring together have it.

    `resets`: it reaches the chip's reset without a person. `lossless`: it holds bytes back while
    the board does not read. `flashes`: a flasher can speak over it.
    """

    resets: bool
    lossless: bool
    flashes: bool
