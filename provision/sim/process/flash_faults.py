"""Faults in a board's flash: broken firmware, a damaged filesystem, a main.py that blocks the REPL.

Each changes the flash while the board is off; the effect shows at its next boot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from littlefs import LittleFS
from littlefs.context import UserContext

from provision.core.littlefs_blocks import VERSION_2_0, disk_version
from provision.model.firmware import LITTLEFS_BLOCK, FilesystemPlace
from provision.sim.chip.flash import Flash
from provision.sim.families import model_of
from provision.sim.setup import BoardSetup

_READ = 32  # MicroPython's

MAIN_PY: Mapping[str, str] = MappingProxyType(
    {
        "hog": "while True:\n    pass\n",
        "chatter": "while True:\n    print('tick')\n",
        "stubborn": (
            "import time\n"
            "while True:\n"
            "    try:\n"
            "        print('here')\n"
            "        while True:\n"
            "            time.sleep(1)\n"
            "    except KeyboardInterrupt:\n"
            "        print('no')\n"
        ),
        # Nothing interrupts it, whether it computes or not: it leaves the processor to others.
        "deaf": (
            "import micropython, time\nmicropython.kbd_intr(-1)\nwhile True:\n    time.sleep(1)\n"
        ),
        "deepsleep": "import machine\nmachine.deepsleep()\n",
        "reset-loop": "import machine\nmachine.reset()\n",
        "soft-reset-loop": "import sys\nsys.exit()\n",
        "watchdog": "from machine import WDT\nWDT(timeout=1000)\nwhile True:\n    pass\n",
        "crash": "raise ValueError('broken on purpose')\n",
    }
)
"""Programs that keep the REPL away, each in its own way."""


class _OnFlash(UserContext):  # type: ignore[misc]
    """littlefs-python's way to the blocks of the flash."""

    def __init__(self, flash: Flash, place: FilesystemPlace) -> None:
        super().__init__(buffsize=0)
        self._flash = flash
        self._offset = place.offset

    def read(self, cfg: object, block: int, off: int, size: int) -> bytearray:
        return bytearray(self._flash.read(self._offset + block * LITTLEFS_BLOCK + off, size))

    def prog(self, cfg: object, block: int, off: int, data: bytes) -> int:
        self._flash.program(self._offset + block * LITTLEFS_BLOCK + off, bytes(data))
        return 0

    def erase(self, cfg: object, block: int) -> int:
        self._flash.erase_sector(self._offset + block * LITTLEFS_BLOCK)
        return 0

    def sync(self, cfg: object) -> int:
        return 0


def open_filesystem(setup: BoardSetup, flash: Flash) -> LittleFS:
    """The board's filesystem, mounted in place; where the flash is blank, formatted first. Only
    while the board does not run. Raises LittleFSError for one that is damaged."""
    model = model_of(setup.chip)
    place = model.filesystem_place(setup, flash)

    def read(block: int) -> bytes:
        return flash.read(place.offset + block * LITTLEFS_BLOCK, LITTLEFS_BLOCK)

    blank = flash.read(place.offset, 2 * LITTLEFS_BLOCK).count(0xFF) == 2 * LITTLEFS_BLOCK
    filesystem = LittleFS(
        context=_OnFlash(flash, place),
        block_size=LITTLEFS_BLOCK,
        block_count=place.blocks,
        read_size=_READ,
        prog_size=model.program_unit,
        cache_size=4 * max(_READ, model.program_unit),  # as MicroPython's
        lookahead_size=32,
        # Where there is none yet, what every MicroPython can mount.
        disk_version=VERSION_2_0 if blank else disk_version(read, place.blocks) or 0,
        mount=False,
    )
    if blank:
        filesystem.format()
    filesystem.mount()
    return filesystem


def put_file(setup: BoardSetup, flash: Flash, path: str, data: bytes) -> None:
    """Write one file into the board's filesystem."""
    filesystem = open_filesystem(setup, flash)
    with filesystem.open(path, "wb") as file:
        file.write(data)
    filesystem.unmount()


def corrupt_filesystem(setup: BoardSetup, flash: Flash) -> None:
    """Both copies of the superblock hold something that is neither blank nor LittleFS."""
    place = model_of(setup.chip).filesystem_place(setup, flash)
    flash.erase(place.offset, 2 * LITTLEFS_BLOCK)
    flash.program(place.offset, b"\x5a" * (2 * LITTLEFS_BLOCK))


def fill_filesystem(setup: BoardSetup, flash: Flash) -> None:
    """A file takes all the room there is, but for a block or two."""
    filesystem = open_filesystem(setup, flash)
    with filesystem.open("/ballast.bin", "wb") as file:
        free = filesystem.block_count - filesystem.used_block_count
        file.write(b"\xa5" * (max(0, free - 3) * (LITTLEFS_BLOCK - 8)))
    filesystem.unmount()


def break_firmware(setup: BoardSetup, flash: Flash) -> None:
    """One bit of the app is cleared: its checksum does not hold, the chip boot-loops."""
    model_of(setup.chip).break_application(flash)


def install_foreign(setup: BoardSetup, flash: Flash) -> None:
    """A sound image that is not MicroPython, on a flash that was erased whole."""
    model = model_of(setup.chip)
    flash.erase_chip()
    model.install(flash, model.foreign_image(flash.size))


def _main(name: str) -> Callable[[BoardSetup, Flash], None]:
    def fault(setup: BoardSetup, flash: Flash) -> None:
        put_file(setup, flash, "/main.py", MAIN_PY[name].encode())

    return fault


FLASH_FAULTS: Mapping[str, Callable[[BoardSetup, Flash], None]] = MappingProxyType(
    {
        "corrupt-filesystem": corrupt_filesystem,
        "full-filesystem": fill_filesystem,
        "broken-firmware": break_firmware,
        "foreign-firmware": install_foreign,
        **{f"main-{name}": _main(name) for name in MAIN_PY},
    }
)
"""By the name that `provision sim fault` takes: what to do to the flash of a board that stands
still."""
