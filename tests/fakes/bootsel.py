"""Boards in BOOTSEL mode for tests of what writes them: folders that take a UF2 file and go."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from provision.interfaces import Volume

INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: {}\n"


def drive(
    folder: Path,
    *,
    board: str = "RPI-RP2",
    serial: str | None = "E0C9125B0D9B",
    location: str | None = "1-1.4",
    device: str = "",
) -> Volume:
    """The drive of one board, as it is mounted at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "INFO_UF2.TXT").write_text(INFO.format(board))
    return Volume(
        path=folder,
        device=device,
        info={"Board-ID": board, "Model": "Raspberry Pi RP2"},
        usb_serial=serial,
        usb_location=location,
    )


@dataclass
class FakeVolumes:
    """Implements `interfaces.Volumes`: those of the drives whose folders are there."""

    drives: list[Volume] = field(default_factory=list)
    tells_sockets: bool = True

    def volumes(self) -> Sequence[Volume]:
        return [one for one in self.drives if one.path is None or one.path.is_dir()]


class Rom:
    """The boot ROM behind a drive: `after` so many seconds from when all blocks of a file are in,
    the drive goes."""

    def __init__(self, folder: Path, after: float = 0.0) -> None:
        self.taken = b""
        self._after = after
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Rom:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            for file in self._folder.glob("*.uf2"):
                data = file.read_bytes()
                blocks = int.from_bytes(data[24:28], "little")
                if len(data) >= 512 and len(data) == 512 * blocks:
                    self.taken = data
                    self._stop.wait(self._after)
                    shutil.rmtree(self._folder)
                    return
            time.sleep(0.002)  # as a board looks at its drive
