"""What each tool is told to do, as its users would tell it."""

from __future__ import annotations

from pathlib import Path

from provision.sim import client
from tests.bench.unit import BOARDS, VERSION, Measured, Unit


class Provision:
    """This project."""

    name = "provision"

    def __init__(self, unit: Unit, *, firmware: Path | None = None, flash_baud: int = 460800):
        self._unit = unit
        line = unit.line
        text = (
            "fleet: bench\n"
            f"boards: {{unit: {{extends: {BOARDS[line.chip]}, baud: {flash_baud}}}}}\n"
            f"devices:\n  {unit.name}:\n    port: {unit.address}\n    board: unit\n"
            f"    baud: {line.baud}\n    transfer_baud: {line.rate if line.raised else 'off'}\n"
            "    files: [{src: tree/, dest: /}]\n"
        )
        if firmware is not None:
            text += f"    firmware: {{file: {firmware}, version: {VERSION}}}\n"
        (unit.work / "fleet.yaml").write_text(text)

    def sync(self) -> Measured:
        return self._unit.run("apply", "--yes")


class Mpremote:
    """mpremote 1.29; its command line knows one rate, 115200 baud."""

    name = "mpremote"

    def __init__(self, unit: Unit):
        self._unit = unit

    def sync(self) -> Measured:
        # With a trailing slash the folder's content is copied, when the target is a folder.
        return self._unit.tool("mpremote", "connect", self._unit.address, "cp", "-r", "tree/.", ":")


class Mpytool:
    """mpytool 2.6; it opens no URLs, so it gets the board's pseudo-terminal."""

    name = "mpytool"

    def __init__(self, unit: Unit):
        self._unit = unit
        self._port = client.request(unit.name, "pty")["pty"]

    def sync(self) -> Measured:
        baud = str(self._unit.line.baud)
        return self._unit.tool("mpytool", "-p", self._port, "-b", baud, "cp", "tree/", ":/")


def write_flash(unit: Unit, image: Path, *, baud: int) -> Measured:
    """esptool's own way to write a firmware, at its defaults."""
    return unit.tool(
        "esptool",
        *("--chip", str(unit.line.chip), "--port", unit.address, "--baud", str(baud)),
        *("write-flash", OFFSETS[unit.line.chip.name], str(image)),
    )


OFFSETS = {"esp8266": "0x0", "esp32": "0x1000"}
