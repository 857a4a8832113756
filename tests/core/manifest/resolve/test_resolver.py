"""From manifest and sources to desired states: precedence, joins, folders, variables, secrets."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP8266
from provision.model.secret import Secret
from provision.model.state import Check, DesiredState, PortKind, PortSelector
from tests.fleets import fleet, problems

FILES = {
    "boot.py": "boot = 1\n",
    "main.py": "main = 1\n",
    "src/util.py": "util = 1\n",
    "app/main.py": "main = 2\n",
    "app/net/wifi.py": "wifi = 2\n",
    "app/net/__pycache__/wifi.pyc": "x",
    "app/README.md": "x",
    "app/tests/test_x.py": "x",
    "app/.git/config": "x",
    "app/wifi.py~": "x",
    "lib/a.py": "a = 1\n",
    "lib/b.py": "b = 1\n",
    "config.json.j2": '{"topic": "{{ topic }}"}',
    "conf/net.json.j2": "{{ name }}",
    "conf/plain.txt": "{{ not rendered }}",
}


def states(folder: Path, manifest: str, **options: object) -> dict[str, DesiredState]:
    return {state.device: state for state in fleet(folder, manifest, FILES, **options).states()}


def one(folder: Path, device: str, **options: object) -> DesiredState:
    return states(folder, f"devices: {{d: {{board: esp32, {device}}}}}\n", **options)["d"]


def sources(state: DesiredState) -> dict[str, str]:
    return {file.dest: file.source for file in state.files}


def test_the_short_form(tmp_path: Path) -> None:
    manifest = """
    devices:
      kitchen: {port: /dev/ttyUSB0, board: wemos-d1-mini, firmware: 1.24.1,
                files: [boot.py, main.py, lib/]}
    """
    (state,) = states(tmp_path, manifest).values()
    assert state.device == "kitchen"
    assert state.board.chip is ESP8266
    assert state.port == PortSelector(kind="path", value="/dev/ttyUSB0")
    assert state.firmware is not None
    source = state.firmware.source
    assert (source.name, source.version, source.board) == ("1.24.1", "1.24.1", "ESP8266_GENERIC")
    assert sources(state) == {
        "/boot.py": "boot.py",
        "/lib/a.py": "lib/a.py",
        "/lib/b.py": "lib/b.py",
        "/main.py": "main.py",
    }
    assert (
        state.files_by_dest["/boot.py"].content.sha256 == hashlib.sha256(b"boot = 1\n").hexdigest()
    )


def test_precedence_is_defaults_then_groups_in_order_then_device(tmp_path: Path) -> None:
    manifest = """
    defaults:
      {board: esp8266, baud: 9600, transfer_baud: 230400, firmware: 1.20,
       vars: {a: 0, b: 0, c: 0, d: 0}, check: {expression: x}}
    groups:
      one: {board: esp32, vars: {b: 1, c: 1, d: 1}, prune: [/one]}
      two: {baud: 19200, transfer_baud: off, vars: {c: 2, d: 2}, prune: [/two]}
    devices:
      x: {groups: [one, two], vars: {d: 3}, prune: [/x, /one]}
      y: {groups: [two, one], board: esp32c3, firmware: 1.21, check: {console: up, timeout: 2.5}}
    """
    found = states(tmp_path, manifest)
    x, y = found["x"], found["y"]
    assert [x.variables[name] for name in "abcd"] == [0, 1, 2, 3]
    assert [y.variables[name] for name in "abcd"] == [0, 1, 1, 1]
    assert (x.board.name, x.baud, x.prune) == ("esp32", 19200, ("/one", "/two", "/x"))
    assert y.board.name == "esp32c3"
    assert (x.transfer_baud, y.transfer_baud) == (0, 0)
    assert x.check == Check(expression="x", timeout=10.0)
    assert y.check == Check(console="up", timeout=2.5)
    assert x.firmware is not None
    assert y.firmware is not None
    assert (x.firmware.source.version, y.firmware.source.version) == ("1.20", "1.21")
    assert x.groups == ("one", "two")


@pytest.mark.parametrize(
    "written",
    [
        "files: [{src: lib, exclude: ['*']}]",
        "files: [{src: lib, exclude: ['*']}], prune: [/other]",
        "files: [{src: lib, exclude: ['*']}, {src: boot.py, dest: /lib/b.py}], prune: [/lib]",
        "files: [{src: lib, exclude: ['*']}], packages: [mip], prune: [/lib]",
        "files: [boot.py, {src: lib, dest: /, exclude: ['*']}], prune: [/]",
    ],
)
def test_a_folder_without_files_is_an_empty_one_where_nothing_would_be_lost(
    tmp_path: Path, written: str
) -> None:
    found = states(tmp_path, f"devices: {{x: {{board: esp32, firmware: 1.24.1, {written}}}}}")
    assert "/lib/a.py" not in found["x"].files_by_dest


def test_files_are_joined_by_dest_the_later_layer_winning(tmp_path: Path) -> None:
    manifest = """
    defaults: {board: esp32, files: [boot.py, {src: main.py, dest: /old.py}]}
    groups:
      g: {files: [{src: app/, dest: /, exclude: ["*.md", tests/]}, {dest: /gone.py, state: absent}]}
    devices:
      a: {groups: [g]}
      b:
        groups: [g]
        files: [main.py, {dest: /old.py, state: absent}, {src: lib/a.py, dest: /gone.py}]
    """
    found = states(tmp_path, manifest)
    assert sources(found["a"]) == {
        "/boot.py": "boot.py",
        "/main.py": "app/main.py",
        "/net/wifi.py": "app/net/wifi.py",
        "/old.py": "main.py",
    }
    assert found["a"].absent == ("/gone.py",)
    assert sources(found["b"])["/main.py"] == "main.py"
    assert sources(found["b"])["/gone.py"] == "lib/a.py"
    assert found["b"].absent == ("/old.py",)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("src/util.py", {"/util.py": "src/util.py"}),
        ("{src: boot.py, dest: /sub/}", {"/sub/boot.py": "boot.py"}),
        ("{src: boot.py, dest: //a//b.py}", {"/a/b.py": "boot.py"}),
        ("lib", {"/lib/a.py": "lib/a.py", "/lib/b.py": "lib/b.py"}),
        ("{src: ./lib/, dest: /x}", {"/x/a.py": "lib/a.py", "/x/b.py": "lib/b.py"}),
        ("{src: lib, dest: /, exclude: [a.py]}", {"/b.py": "lib/b.py"}),
        ("{src: app/net}", {"/net/wifi.py": "app/net/wifi.py"}),
        ("{src: conf/, dest: /}",
         {"/net.json.j2": "conf/net.json.j2", "/plain.txt": "conf/plain.txt"}),
        ("{src: conf/, dest: /, template: true}",
         {"/net.json": "conf/net.json.j2", "/plain.txt": "conf/plain.txt"}),
        ("{src: conf/net.json.j2, template: true}", {"/net.json": "conf/net.json.j2"}),
        ('{src: "{{ what }}.py", dest: "/{{ name }}/{{ what }}.py"}', {"/d/boot.py": "boot.py"}),
    ],
)  # fmt: skip
def test_where_an_entry_goes(tmp_path: Path, entry: str, expected: dict[str, str]) -> None:
    assert sources(one(tmp_path, f"vars: {{what: boot}}, files: [{entry}]")) == expected


def test_the_whole_folder_of_the_manifest(tmp_path: Path) -> None:
    state = one(tmp_path, "files: [{src: ., exclude: ['*', '!/boot.py']}]")
    assert sources(state) == {"/boot.py": "boot.py"}


def test_provisionignore_beside_the_source_and_beside_the_manifest(tmp_path: Path) -> None:
    ignores = {
        "app/.provisionignore": "*.md\n",
        ".provisionignore": "# mine\napp/tests/\n/lib/b.py\n",
    }
    manifest = "devices: {d: {board: esp32, files: [{src: app/}, lib/]}}\n"
    state = fleet(tmp_path, manifest, {**FILES, **ignores}).states()[0]
    assert list(sources(state)) == ["/app/main.py", "/app/net/wifi.py", "/lib/a.py"]


def test_ranges_share_an_entry_and_differ_by_their_variables(tmp_path: Path) -> None:
    manifest = """
    defaults: {board: esp32}
    devices:
      desk-[08:10]:
        port: sim://{{ name }}
        vars: {topic: desk}
        files:
          - {src: config.json.j2, dest: "/{{ index }}-{{ number }}.json", template: true}
    """
    found = states(tmp_path, manifest)
    assert list(found) == ["desk-08", "desk-09", "desk-10"]
    assert found["desk-09"].port == PortSelector(kind="url", value="sim://desk-09")
    assert list(sources(found["desk-10"])) == ["/10-3.json"]


def test_devices_share_the_content_of_a_source(tmp_path: Path) -> None:
    found = states(tmp_path, "defaults: {board: esp32, files: [boot.py]}\ndevices: {a: , b: }\n")
    assert found["a"].files[0] is found["b"].files[0]


def test_templates_see_the_variables_and_what_is_built_in(tmp_path: Path) -> None:
    manifest = """
    fleet: here
    devices:
      d: {board: esp32, vars: {topic: a}, files: [{src: all.j2, template: true}, config.json.j2]}
    """
    template = {"all.j2": "{{ name }} {{ fleet }} {{ board }} {{ topic }}"}
    state = fleet(tmp_path, manifest, {**FILES, **template}).states()[0]
    assert state.files_by_dest["/all"].content.data == b"d here esp32 a"
    assert state.files_by_dest["/config.json.j2"].content.data == FILES["config.json.j2"].encode()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("60", 60), ("-3", -3), ("2.5", 2.5), ("true", True), ("False", False), ("null", None),
        ("", None), ("1.20", "1.20"), ("on", "on"), ("yes", "yes"), ("007", "007"), ("1e3", "1e3"),
        ("0x1F", "0x1F"), ("'60'", "60"), ("'true'", "true"), ("2024-01-01", "2024-01-01"),
        ("12:30:00", "12:30:00"), ("+1", "+1"), (".5", ".5"), ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)  # fmt: skip
def test_variables_keep_their_spelling_and_plain_numbers_their_type(
    tmp_path: Path, written: str, value: object
) -> None:
    state = one(tmp_path, f"vars: {{v: {written}}}")
    assert state.variables["v"] == value
    assert type(state.variables["v"]) is type(value)


def test_secrets_and_the_environment_make_a_file_sensitive(tmp_path: Path) -> None:
    files = {**FILES, "secrets.yaml": "wifi: hunter22\npin: 0042\n"}
    manifest = """
    devices:
      d:
        board: esp32
        vars: {topic: !secret wifi, deep: [{pin: !secret pin}], key: !env KEY}
        files: [{src: config.json.j2, template: true}, boot.py]
    """
    state = fleet(tmp_path, manifest, files, environment={"KEY": "k3y"}).states()[0]
    assert state.variables["topic"] == Secret("wifi", "hunter22")
    assert state.variables["deep"] == [{"pin": Secret("pin", "0042")}]
    assert state.variables["key"] == Secret("KEY", "k3y")
    config, boot = state.files_by_dest["/config.json"], state.files_by_dest["/boot.py"]
    assert config.content.data == b'{"topic": "hunter22"}'
    assert config.content.sensitive
    assert not boot.content.sensitive
    assert "hunter22" not in repr(state)


def test_another_secrets_file_is_read_over_the_one_beside_the_manifest(tmp_path: Path) -> None:
    files = {"secrets.yaml": "a: 1\nb: 2\n", "more/other.yaml": "b: 3\n"}
    manifest = "devices: {d: {board: esp32, vars: {a: !secret a, b: !secret b}}}\n"
    state = fleet(tmp_path, manifest, files, secrets=tmp_path / "more/other.yaml").states()[0]
    values = [state.variables[name] for name in "ab"]
    assert [value.reveal() for value in values if isinstance(value, Secret)] == ["1", "3"]


def test_a_secret_must_not_go_into_a_path_or_a_port(tmp_path: Path) -> None:
    manifest = """
    devices:
      d:
        {board: esp32, vars: {s: !secret s}, port: "sim://{{ s }}",
         files: [{src: boot.py, dest: "/{{ s }}"}]}
    """
    found = problems(tmp_path, manifest, {**FILES, "secrets.yaml": "s: hunter22\n"})
    assert [line.partition(": ")[2] for line in found] == [
        "devices.d.port: a secret must not go into a path",
        "devices.d.files[0].dest: a secret must not go into a path",
    ]


def test_firmware_in_the_table_and_inline(tmp_path: Path) -> None:
    digest = "AB" * 32
    manifest = f"""
    firmware:
      1.24: {{file: boot.py, sha256: {digest}, erase: always, verify: flash}}
      idx: {{version: v1.25.0-preview.3, board: MY_BOARD}}
    defaults: {{board: esp8266-1m}}
    devices:
      a: {{firmware: 1.24}}
      b: {{firmware: idx}}
      c: {{firmware: {{url: "https://x/y.bin", version: 1.20}}}}
      d: {{firmware: 1.20}}
      e: {{firmware: }}
    """
    found = {name: state.firmware for name, state in states(tmp_path, manifest).items()}
    a, b, c, d = (found[name] for name in "abcd")
    assert found["e"] is None
    assert a is not None
    assert (a.source.name, a.erase, a.verify) == ("1.24", "always", "flash")
    assert (a.source.file, a.source.sha256) == ("boot.py", digest.lower())
    assert b is not None
    assert (b.source.version, b.source.board, b.source.variant) == (
        "1.25.0-preview.3",
        "MY_BOARD",
        None,
    )
    assert c is not None
    assert (c.source.url, c.source.version, c.source.board) == ("https://x/y.bin", "1.20", None)
    assert d is not None
    assert (d.source.version, d.source.board, d.source.variant) == (
        "1.20",
        "ESP8266_GENERIC",
        "FLASH_1M",
    )


def test_boards_of_the_manifest_s_own(tmp_path: Path) -> None:
    manifest = """
    boards:
      clone: {extends: base, baud: 115200}
      base: {extends: wemos-d1-mini, title: My board, flash_size: 16MB, usb: ["1A86:7523"]}
      esp32: {extends: esp32, reset: none}
    devices: {a: {board: clone}, b: {board: esp32}}
    """
    found = states(tmp_path, manifest)
    clone = found["a"].board
    assert (clone.name, clone.chip, clone.flash_size, clone.baud) == (
        "clone", ESP8266, 16 * 1024 * 1024, 115200,
    )  # fmt: skip
    assert clone.usb == ("1a86:7523",)
    assert found["b"].board.reset.value == "none"


@pytest.mark.parametrize(
    ("port", "kind", "value"),
    [
        ("/dev/ttyUSB0", "path", "/dev/ttyUSB0"), ("COM3", "path", "COM3"),
        ("sim://x?flash=4MB", "url", "sim://x?flash=4MB"), ("{path: /dev/x}", "path", "/dev/x"),
        ("{url: rfc2217://h:1}", "url", "rfc2217://h:1"), ("{serial: '0001'}", "serial", "0001"),
        ("{location: 1-1.4}", "location", "1-1.4"), ("{usb: 1a86:7523}", "usb", "1a86:7523"),
        ("{mac: 5C-CF-7F-01-02-03}", "mac", "5c:cf:7f:01:02:03"),
        ('"{{ base }}/{{ name }}"', "path", "/dev/d"),
    ],
)  # fmt: skip
def test_ports(tmp_path: Path, port: str, kind: PortKind, value: str) -> None:
    state = one(tmp_path, f"vars: {{base: /dev}}, port: {port}")
    assert state.port == PortSelector(kind=kind, value=value)


@pytest.mark.parametrize("root", ["/", "//"])
def test_all_of_a_board_can_be_pruned(tmp_path: Path, root: str) -> None:
    assert one(tmp_path, f"prune: [/lib, {root}]").prune == ("/", "/lib")


def test_create_only_and_mac(tmp_path: Path) -> None:
    state = one(tmp_path, "mac: 5C:CF:7F:01:02:03, files: [{src: boot.py, create_only: yes}]")
    assert state.mac == "5c:cf:7f:01:02:03"
    assert state.files[0].create_only


def test_any_port_is_no_ports_name_and_many_devices_have_it(tmp_path: Path) -> None:
    manifest = """
    defaults: {board: esp32, port: any, vars: {where: any}}
    devices:
      a: {mac: "5C-CF-7F-01-02-03"}
      b: {}
      c: {port: "{{ where }}"}
      d: {port: {path: any}}
    """
    found = states(tmp_path, manifest)
    assert [found[name].port for name in "abc"] == [PortSelector(kind="any", value="any")] * 3
    assert found["d"].port == PortSelector(kind="path", value="any")
    assert str(found["a"].port) == "any port"


def test_every_mac_that_the_manifest_declares_is_known_whatever_is_limited(tmp_path: Path) -> None:
    manifest = """
    defaults: {board: esp32, vars: {last: "04"}}
    devices:
      a: {mac: "5C-CF-7F-01-02-03", port: /dev/ttyUSB0}
      b: {port: {mac: "5c:cf:7f:01:02:{{ last }}"}}
      c: {port: {mac: "5c:cf:7f:01:02:{{ nothing }}"}}
      d: {port: /dev/ttyUSB1}
    """
    loaded = fleet(tmp_path, manifest, FILES)
    assert loaded.declared_macs() == {"a": "5c:cf:7f:01:02:03", "b": "5c:cf:7f:01:02:04"}


@pytest.mark.parametrize("port", ["", ", port: {mac: '{{ id }}'}"])
@pytest.mark.parametrize(
    ("board", "said", "known"),
    [
        ("esp32c6", "60:55:F9:FF:FE:01:02:03", "60:55:f9:01:02:03"),
        ("esp32c6", "6055f9fffe010203", "60:55:f9:01:02:03"),
        ("pico", "E6:61:41:FF:FE:03:6D:22", "e6:61:41:ff:fe:03:6d:22"),
        ("pico", "E66141FFFE036D22", "e6:61:41:ff:fe:03:6d:22"),
    ],
)
def test_which_id_a_board_is_known_by_its_chip_tells(
    board: str, said: str, known: str, port: str, tmp_path: Path
) -> None:
    """An ESP32-C6 has a MAC of eight bytes besides, ff:fe in its middle; of a Pico's id these may
    be two bytes as any others."""
    manifest = f"""
    defaults: {{board: {board}}}
    devices:
      a: {{vars: {{id: "{said}"}}, mac: "{said}"{port}}}
    """
    loaded = fleet(tmp_path, manifest, FILES)
    assert loaded.declared_macs() == {"a": known}
    (state,) = loaded.states()
    assert state.mac == known
    assert not port or state.port == PortSelector(kind="mac", value=known)


def test_limit_resolves_only_the_chosen_devices(tmp_path: Path) -> None:
    manifest = "defaults: {board: esp32}\ndevices: {a: , b: {files: [nix.py]}}\n"
    loaded = fleet(tmp_path, manifest)
    assert [state.device for state in loaded.states(["a"])] == ["a"]
    assert len(problems(tmp_path, manifest)) == 1


def test_sources_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "big.bin").touch()
    with (tmp_path / "big.bin").open("wb") as stream:
        stream.truncate(40 * 1024 * 1024)
    manifest = (
        "devices: {d: {board: esp32, files: [/dev/null, big.bin, {src: bin.j2, template: true}]}}\n"
    )
    (tmp_path / "bin.j2").write_bytes(b"\xff\xfe")
    found = problems(tmp_path, manifest)
    assert [line.partition(": ")[2] for line in found] == [
        "not UTF-8 text: byte 0xff; save the file as UTF-8 (for d)",
        "devices.d.files[0]: '/dev/null' leads out of the manifest's folder (or git checkout); "
        "copy what the boards need into it",
        "devices.d.files[1].src: 'big.bin': it is larger than 32 MB",
    ]
