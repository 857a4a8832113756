"""esptool's flasher on an open port, connected step by step: at the rate that the test asks for."""

from __future__ import annotations

from typing import Any

from provision.device.flashing.esptool.download_session import DownloadSession
from provision.device.flashing.esptool.flasher import EsptoolFlasher
from provision.device.transport.serial_port import Port
from provision.model.board import BoardProfile


class Connected(EsptoolFlasher):
    """A flasher whose rate is not raised by itself."""

    def raise_baud(self, baud: int) -> int:
        return self._session.raise_baud(baud)


def connected(port: Port, board: BoardProfile, **settings: Any) -> Connected:
    """Take the board on this port to download mode, with the settings of DownloadSession."""
    session = DownloadSession(port, board, **settings)
    session.connect()
    return Connected(session)
