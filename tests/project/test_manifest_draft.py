"""Boards on their way into a manifest: which port each gets; nothing of somebody's is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.api_manifest import Naming, naming
from provision.core.chips.esp.chips import ESP8266
from provision.core.manifest.authoring.entries import comment
from provision.engine.discover import FoundPort
from provision.errors import UsageError
from provision.interfaces import PortInfo
from provision.model.state import ActualState, FirmwareIdentity
from provision.project.manifest_draft import ManifestDraft
from provision.project.manifest_file import load

SOCKET = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.4:1.0-port0"


def board(number: int, *, link: str = SOCKET, mac: bool = True, machine: str = "ESP module",
          port: PortInfo | None = None) -> FoundPort:  # fmt: skip
    info = port or PortInfo(path="/dev/ttyUSB0", usb_id="1a86:7523", links=(link,))
    return FoundPort(
        port=info,
        actual=ActualState(
            chip=ESP8266,
            mac=f"5c:cf:7f:00:00:{number:02x}" if mac else None,
            flash_size=4 << 20,
            firmware=FirmwareIdentity(version="1.24.1", machine=machine, chip=ESP8266),
        ),
    )


def ports(folder: Path) -> dict[str, str]:
    return {s.device: str(s.port) for s in load(str(folder / "fleet.yaml")).states()}


def test_boards_of_one_socket_are_found_by_their_macs(tmp_path: Path) -> None:
    boards = naming(tmp_path)
    for number in (1, 2, 3):
        boards.add(f"desk-{number}", board(number))
        boards.add(f"own-{number}", board(10 + number, link=f"{SOCKET}{number}"))
        boards.write()
    assert ports(tmp_path) == {
        **{f"desk-{number}": "any port" for number in (1, 2, 3)},
        **{f"own-{number}": f"{SOCKET}{number}" for number in (1, 2, 3)},
    }
    boards = naming(tmp_path)
    assert boards.known_as(board(3)) == "desk-3"
    boards.add("desk-4", board(4, link=f"{SOCKET}2"))
    boards.write()
    assert ports(tmp_path)["desk-4"] == "any port"
    with pytest.raises(UsageError, match="tells no MAC"):
        boards.add("desk-5", board(5, link=f"{SOCKET}2", mac=False))


def test_a_board_that_the_lock_knows_is_known(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("devices:\n  a: {port: any, board: esp8266}\n")
    (tmp_path / "fleet.lock").write_text('version: 1\ndevices:\n  a: {mac: "5c:cf:7f:00:00:07"}\n')
    boards = naming(tmp_path)
    assert boards.known_as(board(7)) == "a"
    assert boards.known_as(board(8)) is None


def test_the_next_name_that_is_free_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("devices:\n  desk-08: {port: any, board: esp8266}\n")
    boards = naming(tmp_path)
    assert boards.suggestion is None
    boards.add("desk-07", board(1))
    assert boards.suggestion == "desk-09"


def test_defaults_say_the_board_where_it_fits(tmp_path: Path) -> None:
    for usual, written in (("nodemcu", "nodemcu"), ("esp8266-1m", "wemos-d1-mini")):
        (tmp_path / "fleet.yaml").write_text(
            f"defaults: {{board: {usual}}}\ndevices:\n  other: {{port: any}}\n"
        )
        boards = naming(tmp_path)
        boards.add("a", board(1))
        boards.write()
        _, state = load(str(tmp_path / "fleet.yaml")).states()
        assert state.board.name == written


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_what_somebody_writes_meanwhile_is_kept(tmp_path: Path, mark: str) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"{mark}devices:\r\n  a: {{port: any, board: esp8266}}\r\n", newline="")
    boards = naming(file)
    boards.add("b", board(1))
    boards.write()
    text = file.read_bytes().decode()
    assert text.startswith(f"{mark}devices:\r\n  a: {{port: any, board: esp8266}}\r\n  b:\r\n")
    file.write_text("devices: {}  # anew\n")
    boards.add("c", board(2, link="/dev/serial/by-path/other"))
    with pytest.raises(UsageError, match="changed meanwhile"):
        boards.write()
    assert file.read_text() == "devices: {}  # anew\n"


def test_a_manifest_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    boards = naming(tmp_path)
    boards.add("a", board(1))
    (tmp_path / "fleet.yaml").write_text("mine")
    with pytest.raises(UsageError, match="changed meanwhile"):
        boards.write()
    assert (tmp_path / "fleet.yaml").read_text() == "mine"


@given(
    st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.sampled_from(["", "# "])
)
def test_no_board_writes_into_a_manifest(
    tmp_path_factory: pytest.TempPathFactory, machine: str, serial: str, error: str, start: str
) -> None:
    """What boards and USB devices say of themselves is theirs to choose."""
    folder = tmp_path_factory.mktemp("fleet")
    boards = Naming(ManifestDraft.new(str(folder)))
    machine = start + machine + "\ndefaults: {prune: [/]}"
    port = PortInfo(path="COM3", usb_id="1a86:7523", serial_number=serial or None)
    boards.add("a", board(1, machine=machine, port=port))
    boards.write([comment(error)])
    loaded = load(str(folder / "fleet.yaml"))
    (state,) = loaded.states()
    assert (state.device, state.mac, state.files, state.prune) == ("a", "5c:cf:7f:00:00:01", (), ())
    assert str(state.port) in ("COM3", f"serial {serial}")


@pytest.mark.parametrize("end", ["", "\n", "\n\n# the end\n"])
def test_a_manifest_whose_devices_are_in_other_files_gets_its_own_after_it(
    tmp_path: Path, end: str
) -> None:
    text = f"include: [rooms.yaml]\ndefaults: {{board: esp8266}}{end}"
    (tmp_path / "fleet.yaml").write_text(text)
    (tmp_path / "rooms.yaml").write_text("devices:\n  desk-1: {port: /dev/ttyUSB7}\n")
    boards = naming(tmp_path)
    assert boards.name_fault("desk-1") is not None  # of the other file
    boards.add("desk-2", board(2))
    boards.write()
    assert (tmp_path / "fleet.yaml").read_text().startswith(text)
    assert ports(tmp_path) == {"desk-2": SOCKET, "desk-1": "/dev/ttyUSB7"}
    assert (tmp_path / "rooms.yaml").read_text().count("desk") == 1
