"""Which flasher a board takes: that of its chip's family.

A new flasher is a module here and a line in FLASHERS; it does all that is `interfaces.Flasher`'s
and what a connection needs besides, to take a board to download mode and out of it. One that writes
`by_drive` finds the board there as a USB drive and not on its port, and cannot read it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from provision.device.flashing.uf2.site import Site
from provision.device.transport.serial_port import Port
from provision.interfaces import Flasher
from provision.model.board import BoardProfile
from provision.model.language import record

WaitForOperator = Callable[[float], bool]
"""Told how many seconds are left for a person to act; False gives up."""


class AttachedFlasher(Flasher, Protocol):
    """A flasher on an open port, with the board behind it in download mode."""

    def restart(self) -> bool:
        """Leave download mode and boot; False where that needs a person."""
        ...


class Attach(Protocol):
    """Takes a board to download mode."""

    def __call__(
        self,
        port: Port,
        board: BoardProfile,
        *,
        wait_for_operator: WaitForOperator | None,
        operator_seconds: float,
        trace: Callable[[int, str], None],
        site: Site | None = None,
    ) -> AttachedFlasher:
        """`site` is for one that writes by drive."""
        ...


@record
class FlasherKind:
    """A flasher as a connection has to know it before it is attached."""

    attach: Attach
    by_drive: bool = False


def _esptool(
    port: Port,
    board: BoardProfile,
    *,
    wait_for_operator: WaitForOperator | None,
    operator_seconds: float,
    trace: Callable[[int, str], None],
    site: Site | None = None,  # noqa: ARG001 - it stays on its port
) -> AttachedFlasher:
    # Imported here: a board where nothing changes needs none.
    from provision.device.flashing.esptool.flasher import EsptoolFlasher

    return EsptoolFlasher.attach(
        port,
        board,
        wait_for_operator=wait_for_operator,
        operator_seconds=operator_seconds,
        trace=trace,
    )


def _uf2(
    port: Port,
    board: BoardProfile,
    *,
    wait_for_operator: WaitForOperator | None,
    operator_seconds: float,
    trace: Callable[[int, str], None],
    site: Site | None = None,
) -> AttachedFlasher:
    from provision.device.flashing.uf2.flasher import Uf2Flasher

    assert site is not None, "a flasher by drive is told where the board is"
    return Uf2Flasher(
        site,
        board,
        device=port.device,
        wait_for_operator=wait_for_operator,
        operator_seconds=operator_seconds,
        trace=trace,
    )


FLASHERS: Mapping[str, FlasherKind] = {
    "esp": FlasherKind(attach=_esptool),
    "rp2": FlasherKind(attach=_uf2, by_drive=True),
}
"""By the name of the chip family."""
