"""Every mistake a manifest can hold is told with its place and in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleets import problems

FILES = {
    "boot.py": "",
    "main.py": "",
    "app/main.py": "",
    "app/config.json": "{}",
    "lib/a.py": "",
    "t.j2": "{{ topic }}\n  {{ nothing }}\n",
    "bad.j2": "{% if %}",
}

# Under `devices: {d: {board: esp32, …}}`, and what is said of it.
DEVICE_MISTAKES = [
    ("board: esp23", "1:22: devices.d.board: unknown board 'esp23'; did you mean 'esp32'?"),
    ("bord: esp32", "1:15: devices.d.bord: unknown key 'bord'; did you mean 'board'?"),
    ("groups: nix", "1:23: devices.d.groups: expected a list, got 'nix'"),
    ("groups: [nix]", "1:24: devices.d.groups[0]: unknown group 'nix'"),
    ("baud: fast", "1:21: devices.d.baud: expected a whole number, got 'fast'"),
    ('baud: "9600"', "devices.d.baud: expected a whole number, got '9600'; remove the quotes"),
    ("transfer_baud: 3", "devices.d.transfer_baud: '3' is too small; the least is 9600"),
    ("transfer_baud: on", "devices.d.transfer_baud: expected off or a whole number, got 'on'"),
    ("baud: 3", "devices.d.baud: '3' is too small; the least is 1200"),
    ("baud: 99999999", "devices.d.baud: '99999999' is too large; the most is 4000000"),
    ("mac: 5c:cf", "devices.d.mac: expected a MAC address such as \"5c:cf:7f:01:02:03\", got"),
    ("port: {mac: 5c:cf}", "devices.d.port.mac: expected a MAC address"),
    ("port: {usb: CH340}", "devices.d.port.usb: expected a USB id such as 1a86:7523, got 'CH340'"),
    ("port: {serial: a, mac: b}", "devices.d.port: expected exactly one of path, url, mac"),
    ("port: {}", "devices.d.port: expected exactly one of path, url, mac"),
    ("port: {seriel: a}", "unknown key 'seriel'; did you mean 'serial'?"),
    ('port: ""', "devices.d.port: expected some text, got an empty one"),
    ("port: [a]", "devices.d.port: expected text or a mapping, got a list"),
    ("port: {url: localhost}", "devices.d.port.url: expected a URL such as rfc2217://host:port"),
    ('port: "sim://{{ nme }}"', "devices.d.port: 'nme' is undefined; did you mean 'name'?"),
    ('port: "{{ name[9:] }}"', "devices.d.port: renders to an empty text"),
    ("firmware: newest", "devices.d.firmware: unknown firmware 'newest'; expected a key of the"),
    ("firmware: {url: http://x, version: latest}", "`latest` is for releases; beside"),
    ("firmware: {version: 1.2, preview: perhaps}", "expected true or false, got 'perhaps'"),
    ("firmware: {version: 1.2, variant: a/b}", "expected a variant such as SPIRAM, got 'a/b'"),
    ("packages: umqtt.simple", "devices.d.packages: expected a list, got 'umqtt.simple'"),
    ("packages: [../x]", "devices.d.packages[0]: expected a package such as umqtt.simple"),
    ("packages: [a@1@2]", "devices.d.packages[0]: expected a package such as umqtt.simple"),
    ("packages: [github:org]", "devices.d.packages[0]: expected a package such as umqtt.simple"),
    ("packages: [ftp://x/y]", "devices.d.packages[0]: expected a package such as umqtt.simple"),
    ("packages: [a, a@1.0]", "devices.d.packages[1]: the package 'a' is listed twice"),
    ("files: [{src: boot.py, compile: 1}]", "files[0].compile: expected true or false, got '1'"),
    (
        "firmware: 1.24, files: [{src: boot.py, compile: true}]",
        "files[0].compile: '/boot.py' is run as source by MicroPython itself",
    ),
    (
        "firmware: 1.24, files: [{src: app/config.json, compile: true}]",
        "files[0].compile: '/config.json' is not Python source",
    ),
    (
        "files: [{src: lib/a.py, compile: true}]",
        "files[0].compile: `compile` needs `firmware`: bytecode is for one version",
    ),
    ("firmware: {}", "devices.d.firmware: needs one of file, url, version"),
    ("firmware: {version: new}", "firmware.version: expected a MicroPython version such as 1.24.1"),
    ("firmware: {file: a.bin}", "devices.d.firmware.file: no such file: 'a.bin'"),
    ("firmware: {file: app}", "devices.d.firmware.file: not a file: 'app'"),
    ("firmware: {url: ftp://x}", "devices.d.firmware.url: expected an http:// or https:// URL"),
    ("firmware: {file: boot.py, url: http://x}", "firmware.url: both `file` and `url` are given"),
    ("firmware: {version: 1.2, sha256: 0f3c}", "expected a SHA-256 of 64 hex digits, got '0f3c'"),
    ("firmware: {version: 1.2, verify: flsh}", "unknown value 'flsh'; expected one of banner"),
    ("firmware: {version: 1.2, erase: 3}", "unknown value '3'; expected one of auto, always"),
    ("firmware: {version: 1.2, erase: }", "expected one of auto, always, never, got nothing"),
    ("vars: [a]", "devices.d.vars: expected a mapping, got a list"),
    ("vars: {a-b: 1}", "devices.d.vars.a-b: 'a-b' is not a variable's name"),
    ("vars: {a: !secret nix}", "devices.d.vars.a: unknown secret 'nix'; there is no secrets.yaml"),
    ("vars: {a: [!env NIX]}", "devices.d.vars.a[0]: the environment variable NIX is not set"),
    ("port: !env PORT", "devices.d.port: !env is allowed below `vars` only"),
    ("board: !secret x", "devices.d.board: !secret is allowed below `vars` only"),
    ("files: boot.py", "devices.d.files: expected a list, got 'boot.py'"),
    ("files: [[a]]", "devices.d.files[0]: expected text or a mapping, got a list"),
    ("files: [nix.py]", "1:23: devices.d.files[0]: no such file or folder: 'nix.py'"),
    ("files: [boot.py/]", "'boot.py/' is a file; leave out the slash at its end"),
    ('files: ["*.py"]', "no such file: '*.py'; patterns are not expanded, name the folder instead"),
    ("files: [{dest: /x}]", "devices.d.files[0]: needs `src`, or `state: absent`"),
    ("files: [{state: absent}]", "devices.d.files[0]: `state: absent` needs `dest`"),
    ("files: [{state: absent, dest: /x, src: boot.py}]", "`src` has no meaning beside `state:"),
    ("files: [{state: gone, dest: /x}]", "unknown value 'gone'; expected one of present, absent"),
    ("files: [{src: boot.py, dest: x}]", "'x' is outside /; a path on the board is absolute"),
    ("files: [{src: boot.py, dest: ../x}]", "devices.d.files[0].dest: '../x' is outside /"),
    ("files: [{src: boot.py, dest: /a/../../x}]", "must not contain `.` or `..`"),
    ("files: [{src: lib/, dest: /..}]", "must not contain `.` or `..`"),
    ("files: [{src: boot.py, dest: /a\\b}]", r"'/a\b' contains a backslash; paths on a board use"),
    ("files: [{src: boot.py, dest: \\lib\\x.py}]", r"use /, as '/lib/x.py'"),
    ("files: [{src: boot.py, dest: lib\\}]", r"paths on a board use /, as '/lib/'"),
    ("files: [{src: boot.py, dest: C:\\main.py}]", r"paths on a board use /, as '/main.py'"),
    ("files: [lib\\a.py]", r"'lib\a.py'; paths in a manifest use /, as 'lib/a.py'"),
    ("files: [{src: app\\, dest: /}]", r"'app\'; paths in a manifest use /, as 'app/'"),
    ("firmware: {file: fw\\a.bin}", r"'fw\a.bin'; paths in a manifest use /, as 'fw/a.bin'"),
    ('files: [{src: boot.py, dest: "{{ name[9:] }}"}]', "name[9:] }}' renders to an empty text"),
    ("files: [{src: boot.py, dest: /" + "x" * 300 + "}]", "a name of more than"),
    ("files: [{src: app, dest: /x, template: true}, {src: lib, dest: /../x}]", "`.` or `..`"),
    ('port: "/dev/tty\\tUSB0"', "a port must not contain control characters"),
    ('files: [{src: boot.py, dest: "/a\\tb"}]', "contains control characters"),
    ("files: [boot.py, {src: main.py, dest: /boot.py}]",
     "devices.d.files[1]: two sources for '/boot.py': 'boot.py' (line 1) and 'main.py'"),
    ("files: [{src: app/, dest: /}, main.py]",
     "devices.d.files[1]: two sources for '/main.py': 'app/main.py' (line 1) and 'main.py'"),
    ("files: [boot.py, {dest: /boot.py, state: absent}]", "'/boot.py' is absent and has a source"),
    ("files: [{dest: /a, state: absent}, {dest: //a/, state: absent}]", "'/a' is absent already"),
    ("files: [{src: boot.py, dest: /a}, {src: main.py, dest: /a/b}]",
     "devices.d.files[0]: '/a' is a file, and cannot be a folder: '/a/b' (devices.d.files[1])"),
    ("files: [{src: main.py, dest: /a}, {src: lib, dest: /a/b}]",
     "'/a' is a file, and cannot be a folder: '/a/b/a.py' (devices.d.files[1]) lies below it; "
     "write 'dest: /a/' to put 'main.py' into it"),
    ("files: [{src: main.py, dest: /a}, {dest: /a/b, state: absent}]",
     "devices.d.files[0]: '/a' is a file, and cannot be a folder: '/a/b' (devices.d.files[1])"),
    ("files: [{src: main.py, dest: /lib}]",
     "devices.d.files[0]: '/lib' is the folder that packages are imported from, and cannot be a "
     "file; write 'dest: /lib/' to put 'main.py' into it"),
    ("files: [{src: main.py, dest: //lib}], packages: [umqtt.simple]", "'/lib' is the folder that"),
    ("files: [{src: main.py, dest: '/{{ name[:0] }}lib'}]", "'/lib' is the folder that"),
    ("files: [{src: main.py, dest: /a}], prune: [/a]",
     "devices.d.prune[0]: '/a' cannot be pruned: '/a' is to be a file (devices.d.files[0], line 1);"
     " write 'dest: /a/' to put 'main.py' into it"),
    ("files: [{src: main.py, dest: /a}], prune: [/, /a/b/]",
     "devices.d.prune[1]: '/a/b' cannot be pruned: '/a' is to be a file"),
    ("files: [{src: lib, exclude: ['*']}], prune: [/lib]",
     "devices.d.files[0].src: 'lib' holds no file, so that all below '/lib' would be deleted "
     "(prune '/lib'); is it a git submodule that is not checked out?"),
    ("files: [main.py, {src: lib, dest: /a/b, exclude: ['*']}], prune: [/a]", "all below '/a/b'"),
    ("files: [{src: lib, dest: /, exclude: ['*']}], prune: [/a/b]", "all below '/a/b'"),
    ("files: [{dest: /lib, state: absent}, lib]", "'/lib' cannot be absent: '/lib/a.py'"),
    ("files: [{src: boot.py, template: perhaps}]", "expected true or false, got 'perhaps'"),
    ('files: [{src: boot.py, template: "true"}]', "got 'true'; remove the quotes"),
    ("files: [{src: boot.py, exclude: '*.md'}]", "files[0].exclude: expected a list, got '*.md'"),
    ("files: [{src: lib, exclude: ['!']}]", "devices.d.files[0].exclude: '!' is not a gitignore"),
    ('files: [{src: "{{ nix }}.py"}]', "devices.d.files[0].src: 'nix' is undefined"),
    ('files: [{src: boot.py, dest: "/{{ 1"}]', "devices.d.files[0].dest: unexpected"),
    ("files: [{src: bad.j2, template: true}]", "bad.j2:1:1: Expected an expression"),
    ("prune: [lib]", "devices.d.prune[0]: expected an absolute path on the board, such as /lib"),
    ("prune: [/a/../b]", "devices.d.prune[0]: '/a/../b' must not contain `.` or `..`"),
    ("check: true", "devices.d.check: expected a mapping or a list, got 'true'"),
    ("check: {}", "devices.d.check: needs `expression` or `console`"),
    ("check: {expression: a, console: b}", "devices.d.check: both `expression` and"),
    ('check: {console: "("}', "devices.d.check.console: not a regular expression: missing )"),
    ('check: {console: "(?<!un)ready"}',
     "devices.d.check.console: not a regular expression: invalid perl operator: (?<!; RE2, which"),
    ('check: {console: "ready {{ name }}"}', "devices.d.check.console: a check is no template:"),
    ("check: {expression: a, timeout: 0}", "'0' is too small; it must be more than 0"),
    ("check: {expression: a, timeout: soon}", "timeout: expected a number, got 'soon'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "message"), DEVICE_MISTAKES, ids=[each[0] for each in DEVICE_MISTAKES]
)
def test_a_mistake_in_a_device(tmp_path: Path, written: str, message: str) -> None:
    board = "" if written.startswith("board") else ", board: esp32"
    found = problems(tmp_path, f"devices: {{d: {{{written}{board}}}}}\n", FILES)
    assert len(found) == 1, found
    assert message in found[0]


ONE = "\ndevices: {d: {board: esp32}}\n"
MANIFEST_MISTAKES = [
    ("rollout: 3" + ONE, "1:10: rollout: expected a mapping, got '3'"),
    ("rollout: {batches: 0}" + ONE, "1:20: rollout.batches: '0': the least is 1"),
    ("rollout: {batches: '1,x%'}" + ONE, "rollout.batches: 'x%': expected a number of"),
    ("rollout: {batches: [1, 200%]}" + ONE, "1:24: rollout.batches[1]: '200%': more than 100%"),
    ("rollout: {batches: []}" + ONE, "rollout.batches: expected sizes, as in [1, 10%, 100%]"),
    ("rollout: {max_failures: few}" + ONE, "rollout.max_failures: 'few': expected a"),
    ("rollout: {max_failure: 1}" + ONE, "unknown key 'max_failure'; did you mean"),
    ("fleet: x\n", "fleet.yaml:1:1: the key 'devices' is missing"),
    ("devices: {}\n", "fleet.yaml:1:1: devices: there are no devices"),
    ("devices: [a]\n", "fleet.yaml:1:10: devices: expected a mapping, got a list"),
    ("devices:\n", "fleet.yaml:1:9: devices: expected a mapping, got nothing"),
    ("devices: {d: 3}\n", "fleet.yaml:1:14: devices.d: expected a mapping, got '3'"),
    ("devices: {d: }\n", "fleet.yaml:1:11: devices.d: no board; name one with `board:` here"),
    ("devices: {'a b': {board: esp32}}\n", "'a b' cannot name a device; use letters, digits"),
    ("devices: {'@a': {board: esp32}}\n", "'@a' cannot name a device"),
    ("devices: {'a*[1:2]': {board: esp32}}\n", "'a*[1:2]' cannot name devices"),
    ("devices: {'a-[2:1]': {board: esp32}}\n", "devices.a-[2:1]: [2:1] ends before it starts"),
    ("devices: {'a[1:3]': {board: esp32}, a2: {board: esp32}}\n",
     "devices.a2: 'a2' is a device already ('a[1:3]' on line 1)"),
    ("defaults: {board: esp32, mac: x}\ndevices: {d: }\n",
     "defaults.mac: unknown key 'mac'; it belongs in a device of `devices`"),
    ("groups: {'g h': {board: esp32}}\ndevices: {d: {board: esp32}}\n", "cannot name a group"),
    ("groups: {g: {groups: [h]}}\ndevices: {d: {board: esp32}}\n", "unknown key 'groups'; it"),
    ("defaults: {compile: true}\ndevices: {d: {board: esp32}}\n",
     "defaults.compile: unknown key 'compile'; it belongs in an entry of `files`, as "
     "`files: [{src: lib/, dest: /lib, compile: …}]`"),
    ("devices: {d: {board: esp32, sha256: x}}\n", "it belongs in an entry of `firmware`"),
    ("groups: {g: }\ndevices: {d: {board: esp32, groups: [g, g]}}\n", "'g' is listed twice"),
    ("firmware: {f: {file: x.bin}}\ndevices: {d: {board: esp32}}\n",
     "firmware.f.file: no such file: 'x.bin'"),
    ("firmware: {f: }\ndevices: {d: {board: esp32, firmware: f}}\n",
     "firmware.f: expected a mapping, got nothing"),
    ("firmware: {esp32: {version: 1.24}}\ndevices: {d: {board: esp32, firmware: esp23}}\n",
     "unknown firmware 'esp23'; expected a key of the firmware table or a version; did you mean"),
    ("firmware: [x]\ndevices: {d: {board: esp32}}\n", "firmware: expected a mapping, got a list"),
    ("boards: {b: {extends: esp23}}\ndevices: {d: {board: b}}\n",
     "boards.b.extends: unknown board 'esp23'; did you mean 'esp32'?"),
    ("boards: {b: }\ndevices: {d: {board: b}}\n", "boards.b: expected a mapping, got nothing"),
    ("boards: {b: {baud: 9600}}\ndevices: {d: {board: b}}\n", "boards.b: say which chip it has"),
    ("boards: {b: {chip: esp31}}\ndevices: {d: {board: b}}\n",
     "boards.b.chip: unknown value 'esp31'; expected one of"),
    ("boards: {b: {extends: c}, c: {extends: b}, d: {chip: esp32}}\ndevices: {d: {board: d}}\n",
     "extends itself through other boards"),
    ("devices:\n  a: {board: esp32, port: /dev/x}\n  b: {board: esp32, port: /dev/x}\n",
     "fleet.yaml:3:27: devices.b.port: '/dev/x' is the port of a already, so it cannot be b's"),
    ("defaults: {board: esp32}\ndevices: {'a[1:3]': {port: /dev/x}}\n",
     "devices.a[1:3].port: '/dev/x' would be the port of a1 and of a2; tell them apart with"),
    ("defaults: {board: esp32, port: /dev/x}\ndevices: {a: , b: }\n", "defaults.port: '/dev/x' is"),
    ('defaults: {board: esp32}\ndevices: {a: {port: "{{ \'/dev/x\' }}"}, b: {port: /dev/x}}\n',
     "devices.a.port: '/dev/x' is the port of a already"),
    ('devices:\n  a: {board: esp32, mac: "02:00:00:00:00:0A"}\n'
     '  b: {board: esp32, mac: "02-00-00-00-00-0a"}\n',
     "fleet.yaml:3:26: devices.b.mac: 02:00:00:00:00:0a is the MAC of a already"),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "message"), MANIFEST_MISTAKES)
def test_a_mistake_in_a_manifest(tmp_path: Path, manifest: str, message: str) -> None:
    found = problems(tmp_path, manifest, FILES)
    assert [line for line in found if message in line], found
    assert len(found) == (2 if "through other boards" in message else 1), found


def test_a_template_s_own_line_is_named_and_the_devices_it_fails_for(tmp_path: Path) -> None:
    manifest = """
    defaults: {board: esp32, vars: {topic: x}, files: [{src: t.j2, template: true}]}
    devices: {'d[1:40]': }
    """
    assert problems(tmp_path, manifest, FILES) == [
        "t.j2:2:6: 'nothing' is undefined (for d1 and 39 more)"
    ]


def test_ten_mistakes_are_ten_located_problems_sorted_by_place(tmp_path: Path) -> None:
    manifest = """\
    fleet: ten
    defaults: {board: wemos-d1-mimi}
    firmware:
      f: {file: none.bin}
    groups:
      g:
        files: [{src: nix.py, dest: /x}, t.j2]
    devices:
      kitchen:
        groups: [h]
        mac: 5c:cf
        files: [{src: t.j2, dest: /t, template: true}]
        vars: {topic: !secret wifi}
      kitchen: {}
      desk-[03:01]: {}
      hall: {groups: [g], prot: /dev/ttyUSB0, board: esp32}
    """
    found = problems(tmp_path, manifest, FILES)
    places = [line.partition(": ")[0] for line in found]
    assert places == [
        "fleet.yaml:2:19",
        "fleet.yaml:4:13",
        "fleet.yaml:7:19",
        "fleet.yaml:10:14",
        "fleet.yaml:11:10",
        "fleet.yaml:13:19",
        "fleet.yaml:14:3",
        "fleet.yaml:15:3",
        "fleet.yaml:16:23",
        "t.j2:2:6",
    ]


def test_bad_parts_cause_no_further_complaints(tmp_path: Path) -> None:
    manifest = """\
    defaults: {board: [x]}
    firmware: {f: 3}
    groups: {g: [1]}
    devices: {d: {groups: [g], firmware: f}}
    """
    assert len(problems(tmp_path, manifest)) == 3


def test_two_sources_of_one_folder_for_one_place(tmp_path: Path) -> None:
    manifest = "devices: {d: {board: esp32, files: [{src: app, template: true}]}}\n"
    (problem,) = problems(tmp_path, manifest, {"app/a.txt": "", "app/a.txt.j2": ""})
    assert "'app/a.txt' and 'app/a.txt.j2' both go to '/app/a.txt'" in problem


def test_a_template_that_is_no_text_is_told_once_for_all_devices(tmp_path: Path) -> None:
    manifest = 'devices: {"d[1:3]": {board: esp32, files: [{src: bad.j2, template: true}]}}'
    (tmp_path / "bad.j2").write_bytes(b"\xff\xfe")
    (problem,) = problems(tmp_path, manifest)
    assert "bad.j2" in problem
    assert "not UTF-8 text" in problem


def test_more_devices_than_any_fleet_has(tmp_path: Path) -> None:
    ranges = "".join(f"  {letter}[1:9999]: {{board: esp32}}\n" for letter in "abc")
    (problem,) = problems(tmp_path, f"devices:\n{ranges}")
    assert problem == "fleet.yaml:4:3: devices.c[1:9999]: more than 20,000 devices"
