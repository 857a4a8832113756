"""What an apply replaces in a board's flash, kept so that a rollback can put it back: the image
that the board starts from, and what lies beside it. It is found in download mode, before the first
byte is written.

The image is one that this computer has, if the flash holds just that; else it is read off the
board, which takes the time of the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from provision.core.chips.registry import family_of, read_firmware
from provision.core.wording import byte_size
from provision.engine.context import DeviceContext
from provision.engine.flash.survey import blank_test, flash_reader
from provision.errors import BoardError, ImageError
from provision.model.firmware import Firmware, Region
from provision.model.kept import KeptFlash
from provision.model.state import ActualState, FirmwareIdentity

ON_THE_BOARD = "the firmware that was on the board"
WITHOUT = "`on_failure: keep` applies without a way back"
_PIECE = 64 << 10  # bytes at a time: a run that is cancelled ends after one


def replaced_flash(
    device: DeviceContext, actual: ActualState, known: Sequence[Firmware]
) -> tuple[FirmwareIdentity, KeptFlash] | None:
    """What runs on a board, and what there is in its flash to go back to; `known` are images that
    may be it. None where no MicroPython is to be found; BoardError where one answered as `actual`
    and its image cannot be read."""
    image, new = _installed(device, actual, known), device.firmware
    if image is None or new is None:
        return None
    flash = KeptFlash(
        name=image.name,
        image=image.file,
        written=new.identity,
        data=tuple(_data_beside(device, actual, new)),
    )
    return actual.firmware or image.identity, flash


def firmware_before(flash: KeptFlash, runs: FirmwareIdentity | None) -> Firmware:
    """The kept image, which `runs` as this where it was heard to; ImageError where it is none."""
    image = read_firmware(flash.image, flash.name)
    return replace(image, identity=runs) if runs is not None else image


def _installed(
    device: DeviceContext, actual: ActualState, known: Sequence[Firmware]
) -> Firmware | None:
    session, board = device.session, device.desired.board
    flasher, family = session.flasher(), family_of(board.chip)
    flash_size = _flash_size(device)
    session.stage("read-flash", "the firmware that is replaced")
    if flasher.read(*family.image_start(board.chip)) is None:
        raise BoardError(
            "the flash of this board cannot be read back, so that its firmware cannot be kept for "
            "a rollback",
            hint=WITHOUT,
        )
    for image in known:
        if image.chip == board.chip and not flasher.differs(
            family.regions(image, board, flash_size)
        ):
            session.note(f"what is replaced is {image.name}, which this computer has")
            return image
    place = family.installed_image(board.chip, flash_reader(session), flash_size)
    try:
        if place is None:
            raise ImageError("there is none whose end can be told")
        session.note(f"reading what is replaced off the board: {byte_size(place[1])}")
        found = family.image_of_flash(board.chip, _read(device, *place))
        return read_firmware(found, ON_THE_BOARD)
    except ImageError as error:
        if actual.firmware is None:
            return None
        raise BoardError(
            f"the firmware on it cannot be kept for a rollback: {error.message}",
            hint=WITHOUT,
        ) from error


def _read(device: DeviceContext, offset: int, size: int) -> bytes:
    read, report = flash_reader(device.session), device.session.progress("read-flash")
    data = bytearray()
    while len(data) < size:
        device.cancel.check()
        data += read(offset + len(data), min(_PIECE, size - len(data)))
        report(len(data), size)
    return bytes(data)


def _data_beside(device: DeviceContext, actual: ActualState, new: Firmware) -> Iterator[Region]:
    """NVS, which the new firmware and its app may change, and whatever else has no place beside the
    new firmware or goes with an erase."""
    session, wanted = device.session, device.desired.firmware
    family, read = family_of(new.chip), flash_reader(session)
    renewed = wanted is not None and wanted.erase == "always"
    for each in family.data_in_flash(
        new.chip, read, _flash_size(device), actual.firmware, is_blank=blank_test(session)
    ):
        if each.blank or each.kind in ("littlefs", "fat"):
            continue
        if each.kind == "nvs" or renewed or not family.has_place(new, each):
            data = _read(device, each.offset, each.size)
            yield Region(name=each.name, offset=each.offset, data=data)


def _flash_size(device: DeviceContext) -> int:
    size = device.session.flasher().identify().flash_size or device.desired.board.flash_size
    if size is None:
        raise BoardError("nobody tells how large its flash is")
    return size
