"""Take the REPL of a board whose app never gives it: its start-up files are disabled from outside,
through the bootloader, and it is restarted without them. They get their names back over the REPL,
as after any safe boot.
"""

from __future__ import annotations

from provision.engine.context import DeviceContext
from provision.engine.flash.survey import flash_reader, survey
from provision.engine.safe_boot import STARTUP_DISABLED
from provision.errors import BoardError, NoAnswer
from provision.interfaces import ScanRequest
from provision.model.board_path import STARTUP_FILES
from provision.model.firmware import Region
from provision.model.state import ActualState

# Seconds for a firmware to mount its filesystem and print its prompt where nothing starts.
PROMPT_TIMEOUT = 15.0


def start_without_app(device: DeviceContext, request: ScanRequest) -> ActualState:
    """What the board is and holds, at its REPL. NoAnswer where it does not answer even so; then
    the filesystem is again as it was."""
    session = device.session
    flasher = session.flasher()
    flash_size = flasher.identify().flash_size or device.desired.board.flash_size
    stored = None
    if flash_size is not None:
        session.stage("read-flash")
        stored = survey(device, request=request, flash_size=flash_size).stored
    if stored is None:
        raise BoardError("the filesystem of the board cannot be read through its bootloader")
    edits = stored.startup_disabled(STARTUP_FILES)
    if not edits:
        raise NoAnswer(
            "its REPL does not answer, and there is no boot.py or main.py that could be the cause",
            hint="press RESET and run again; if it stays, give its firmware `erase: always` for "
            "one `provision apply`",
        )
    before = [_as_it_is(device, region) for region in edits]
    state = device.board_state or "nothing was changed"
    device.note_state(STARTUP_DISABLED)
    flasher.write(edits, lambda _done, _total: None)
    session.note("boot.py and main.py are disabled from outside")
    session.stage("boot")
    session.restart()
    session.await_prompt(PROMPT_TIMEOUT)
    try:
        session.repl().restore_startup()
        return session.observe(request)
    except NoAnswer:
        session.flasher().write(before, lambda _done, _total: None)
        device.note_state(state)
        raise


def _as_it_is(device: DeviceContext, region: Region) -> Region:
    data = flash_reader(device.session)(region.offset, len(region.data))
    return Region(name=region.name, offset=region.offset, data=data)
