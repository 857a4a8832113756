"""esptool as a library: no file of the working directory read, each thread's lines to itself."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.esp.runtime import security_fuses
from provision.device.flashing.esptool.errors import translate
from provision.device.flashing.esptool.library import esptool, listening
from provision.errors import BoardError, DeviceError, FlashFailed, NoAnswer
from provision.model.chip import Chip


def test_the_working_directory_does_not_configure_it(tmp_path: Path) -> None:
    (tmp_path / "esptool.cfg").write_text("[esptool]\ntimeout = 77\n")
    program = (
        "import os\n"
        "from provision.device.flashing.esptool.library import esptool\n"
        "print(esptool().loader.DEFAULT_TIMEOUT, os.environ.get('ESPTOOL_CFGFILE'))\n"
    )
    for named in ({}, {"ESPTOOL_CFGFILE": str(tmp_path / "esptool.cfg")}):  # given back as it was
        result = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, **named},
        )
        assert result.stdout.split() == ["3", named.get("ESPTOOL_CFGFILE", "None")]


def test_it_is_not_imported_with_the_adapter() -> None:
    program = (
        "import sys, provision.device.flashing.esptool.flasher; print('esptool' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_notes_about_resets_that_esptool_does_not_do_are_for_vv() -> None:
    esptool()
    from esptool.logger import log

    heard: list[tuple[int, str]] = []
    with listening(lambda level, text: heard.append((level, text))):
        log.note("Failed to get VID/PID of a device on sim://x: Using standard reset sequence.")
        log.note('Pre-connection option "no-reset" was selected. Connection may fail')
        log.note("the flash is small")
    assert [level for level, _ in heard] == [2, 2, 1]


def test_each_thread_hears_its_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    esptool()
    from esptool.logger import log

    heard: dict[str, list[tuple[int, str]]] = {"one": [], "two": []}
    barrier = threading.Barrier(2)

    def talk(name: str) -> None:
        with listening(lambda level, text: heard[name].append((level, text))):
            for number in range(50):
                barrier.wait()
                log.print(f"{name} {number}")
            log.warn(f"{name} warns")
            log.print("[dim]packet[/dim]", style="dim")
            log.print(".", end="")
            with log.progress(total=10) as progress:
                progress.update(advance=10)

    threads = [threading.Thread(target=talk, args=(name,)) for name in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.print("nobody listens")
    for name, lines in heard.items():
        assert lines == [
            *((1, f"{name} {number}") for number in range(50)),
            (1, f"warning: {name} warns"),
            (2, "packet"),
        ]
    assert capsys.readouterr().out == ""


def test_every_kind_of_line_is_heard_with_its_kind() -> None:
    esptool()
    from esptool.logger import log

    heard: list[tuple[int, str]] = []
    with listening(lambda level, text: heard.append((level, text))):
        log.note("one")
        log.hint("two")
        log.warning("three")
        log.err("four")
        log.error("five")
        log.debug("six")
        log.print("[not markup")
        log.print("[/]")
        log.set_verbosity("silent")  # ours is to decide
        log.print("still heard")
    assert heard == [
        (1, "note: one"),
        (1, "hint: two"),
        (1, "warning: three"),
        (1, "error: four"),
        (1, "error: five"),
        (2, "six"),
        (1, "[not markup"),
        (1, "[/]"),
        (1, "still heard"),
    ]


@pytest.mark.parametrize(
    ("said", "kind", "hint"),
    [
        ("No serial data received.", NoAnswer, "hub"),
        ("Serial data stream stopped: Possible serial noise or corruption.", FlashFailed, "baud"),
        ("Invalid head of packet (0x00): Possible serial noise", FlashFailed, "baud"),
        ("Unexpected chip ID value 99. Failed to autodetect chip type.", BoardError, "esptool"),
        ("Failed to write to target (result was 0106: …)", FlashFailed, "baud"),
    ],
)
def test_what_esptool_raises_becomes_ours(said: str, kind: type[DeviceError], hint: str) -> None:
    error = translate(esptool().FatalError(said), "writing the app", "kitchen")
    assert type(error) is kind
    assert error.device == "kitchen"
    assert error.message.startswith("writing the app failed: ")
    assert error.hint is not None
    assert hint in error.hint


@pytest.mark.parametrize(
    "doing",
    [
        "entering download mode",
        "reading what the board is",
        "going to 460800 baud",
        "restarting the board",
        "reading the flash",
    ],
)
@pytest.mark.parametrize(
    "said",
    [
        "Invalid head of packet (0x00): Possible serial noise",
        "Failed to read target memory (result was 0105)",
    ],
)
def test_what_fails_where_nothing_is_flashed_is_no_failure_of_flashing(
    doing: str, said: str
) -> None:
    """`plan` connects and looks: what goes wrong there did nothing to the flash, and says nothing
    of what is in it."""
    error = translate(esptool().FatalError(said), doing, "kitchen")
    assert type(error) is NoAnswer
    assert "lower baud rate" in str(error.hint)


@pytest.mark.parametrize("chip", [chip for chip in CHIPS if chip is not ESP8266])
def test_the_fuses_asked_at_a_repl_are_those_that_esptool_asks(chip: Chip) -> None:
    rom = esptool().chips[chip.name]
    encryption = (rom.EFUSE_SPI_BOOT_CRYPT_CNT_REG, rom.EFUSE_SPI_BOOT_CRYPT_CNT_MASK)
    if chip is ESP32:
        bits = rom.EFUSE_RD_ABS_DONE_0_MASK | rom.EFUSE_RD_ABS_DONE_1_MASK
        secure_boot = (rom.EFUSE_RD_ABS_DONE_REG, bits)
    else:
        secure_boot = (rom.EFUSE_SECURE_BOOT_EN_REG, rom.EFUSE_SECURE_BOOT_EN_MASK)
    assert set(security_fuses(chip)) == {secure_boot, encryption}


def test_an_esp8266_has_no_such_fuses() -> None:
    assert security_fuses(ESP8266) == ()
