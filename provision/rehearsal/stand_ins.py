"""What stands in a rehearsal for firmware images that are not to be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from provision.core.chips.registry import read_firmware
from provision.errors import SourceError
from provision.interfaces import Images
from provision.model.board import BoardProfile
from provision.model.firmware import Firmware
from provision.model.kept import KnownImage
from provision.model.state import FirmwareSource
from provision.sim.families import model_of

FACTORY = FirmwareSource(name="the board's own", version="1.24.1")
"""What a board comes with of which the manifest names no firmware."""

_LATEST = "latest"
_DATE = "2024-11-29"


class StandInImages:
    """`Images` of a manifest; in place of one that is not to be had, and whose board is among the
    `boards`, one of the same version and board without a program: a virtual board runs its own
    MicroPython whatever image it has. `missed` is told of each, and why."""

    def __init__(
        self,
        images: Images,
        boards: Mapping[FirmwareSource, BoardProfile],
        missed: Callable[[FirmwareSource, str], None],
    ) -> None:
        self._images = images
        self._boards = boards
        self._missed = missed

    def firmware(self, source: FirmwareSource) -> Firmware:
        """As `Images.firmware`; SourceError where nothing says which version it would be."""
        try:
            return self._images.firmware(source)
        except SourceError as error:
            board = self._boards.get(source)
            if board is None or source.version in (None, _LATEST) or type(error) is not SourceError:
                raise
            self._missed(source, error.message)
            return stand_in(source, board)

    def known(self, image: KnownImage) -> Firmware | None:
        """As `Images.known`."""
        return self._images.known(image)


def stand_in(source: FirmwareSource, board: BoardProfile) -> Firmware:
    """An image of the version that a source names, for a board."""
    model = model_of(board.chip)
    variant = source.variant or board.variant
    release = source.board or board.release
    machine = model.machine(f"{release}-{variant}" if variant else release, board.flash_size)
    version = (source.version or "").removeprefix("v")
    image = model.image(version, machine=machine, flash_size=None, date=_DATE, size=None)
    return read_firmware(image, f"a stand-in for {source.name}")
