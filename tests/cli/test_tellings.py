"""What a mistake is told as: input, exit code, message and the next command, one row a case.

Each was met by somebody who typed it, and was told something else, or nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench
from tests.cli.conftest import Cli
from tests.fleets import write_tree
from tests.html_page import parsed, rows

__all__ = ["bench"]

TWO = "devices: {kitchen: {board: esp32}, hall: {board: esp32}}\n"


@dataclass(frozen=True, kw_only=True)
class Telling:
    """`said` are the lines on stderr, or parts of them, in their order; the rest is not looked
    at. `unsaid` is what must not be there."""

    files: Mapping[str, str | bytes] = field(default_factory=lambda: {"fleet.yaml": TWO})
    words: Sequence[str]
    code: int
    said: Sequence[str] = ()
    unsaid: Sequence[str] = ()


COMMAND_LINE = {
    "an empty --limit is no whole fleet": Telling(
        words=("apply", "--yes", "-l", ""),
        code=2,
        said=(
            "error: --limit is empty and selects no device",
            "hint: name devices, as in `--limit kitchen`, or leave it out for all of them",
        ),
    ),
    "an exclusion beside an empty pattern": Telling(
        words=("plan", "-l", ",!hall"),
        code=2,
        said=(
            "error: --limit ,!hall leaves no device",
            "hint: an empty pattern selects nothing; all but these are `--limit '*,!hall'`",
        ),
    ),
    "an empty --limit before another exclusion": Telling(
        words=("plan", "-l", "", "-l", "!hall"), code=2, said=("leaves no device",)
    ),
    "a device in place of the manifest": Telling(
        words=("apply", "kitchen"),
        code=2,
        said=(
            "error: there is no manifest kitchen, but a device of fleet.yaml is called that",
            "hint: write `provision apply --limit kitchen`",
        ),
    ),
    "devices in place of the manifest": Telling(
        words=("check", "kitchen", "hall"),
        code=2,
        said=("hint: write `provision check --limit kitchen,hall`",),
    ),
    "a glob in place of the manifest": Telling(
        words=("plan", "kit*"), code=2, said=("hint: write `provision plan --limit kit*`",)
    ),
    "neither a manifest nor a device": Telling(
        words=("facts", "cellar"),
        code=2,
        said=(
            "error: there is no cellar",
            "hint: name the manifest, as in `provision facts path/to/fleet.yaml`, or change to "
            "its folder",
        ),
        unsaid=("--limit",),
    ),
    "a device for a command without --limit": Telling(
        words=("lock", "kitchen"), code=2, said=("error: there is no kitchen",), unsaid=("--limit",)
    ),
    "two manifests": Telling(
        files={"fleet.yaml": TWO, "other.yaml": TWO},
        words=("plan", "fleet.yaml", "other.yaml"),
        code=2,
        said=(
            "error: one manifest at a time, not fleet.yaml, other.yaml",
            "hint: write `provision plan fleet.yaml`",
        ),
    ),
    "fleet.yml beside no fleet.yaml": Telling(
        files={"fleet.yml": TWO},
        words=("plan",),
        code=2,
        said=(
            "error: there is no fleet.yaml; did you mean 'fleet.yml'?",
            "hint: write `provision plan fleet.yml`",
        ),
    ),
    "a folder with a fleet.yml": Telling(
        files={"lab/fleet.yml": TWO},
        words=("show", "lab"),
        code=2,
        said=(
            "error: there is no lab/fleet.yaml; did you mean 'lab/fleet.yml'?",
            "hint: write `provision show lab/fleet.yml`",
        ),
    ),
    "the only manifest has another name": Telling(
        files={"school.yaml": TWO, "secrets.yaml": "a: b\n"},
        words=("validate",),
        code=2,
        said=("hint: write `provision validate school.yaml`",),
    ),
    "a mistyped manifest": Telling(
        files={"fleet.yaml": TWO, "school.yaml": TWO},
        words=("lock", "shcool.yaml"),
        code=2,
        said=("hint: write `provision lock school.yaml`",),
    ),
    "nothing that could be a manifest": Telling(
        files={}, words=("plan",), code=2, said=("error: there is no fleet.yaml",), unsaid=("mean",)
    ),
    "a new board for a device that is not there": Telling(
        words=("apply", "--accept-new-board", "kitchn"),
        code=2,
        said=("error: no device matches 'kitchn'; did you mean 'kitchen'?",),
    ),
    "a new board for a device that is left out": Telling(
        words=("apply", "--limit", "kitchen", "--accept-new-board", "hall"),
        code=2,
        said=(
            "error: --accept-new-board: hall is not among the devices of this run",
            "hint: `--limit` leaves it out; write `--limit hall --accept-new-board hall`",
        ),
    ),
    "a new board for one that is there and one that is left out": Telling(
        words=("apply", "--limit", "kitchen", "--accept-new-board", "kitchen,hall"),
        code=2,
        said=("hall is not among the devices of this run",),
    ),
    "a new board for nobody": Telling(
        words=("apply", "--accept-new-board", ""),
        code=2,
        said=("error: --accept-new-board is empty and selects no device",),
    ),
    "plan takes new boards as apply does": Telling(
        words=("plan", "--accept-new-board", "kitchn"),
        code=2,
        said=("error: no device matches 'kitchn'; did you mean 'kitchen'?",),
    ),
    "a new board for a device whose MAC is declared": Telling(
        files={"fleet.yaml": "devices: {kitchen: {board: esp32, mac: '24:6f:28:00:00:01'}}"},
        words=("apply", "--accept-new-board", "*"),
        code=2,
        said=(
            "error: --accept-new-board: the manifest declares which board kitchen has",
            "hint: change `mac:` of kitchen in the manifest, and leave --accept-new-board out",
        ),
    ),
    "less and more at once": Telling(
        words=("apply", "-q", "-v"),
        code=2,
        said=("error: -q shows less and -v more", "hint: leave one of them out"),
    ),
    "quiet, of what failed": Telling(
        words=("apply", "--quiet", "--limit", "kitchen"),
        code=5,
        said=("kitchen: unreachable", "hint: "),
        unsaid=("apply fleet",),
    ),
    "new boards are taken by globs and lists": Telling(
        words=("apply", "--limit", "kitchen", "--accept-new-board", "kit*,k?tchen"),
        code=5,  # it has no port
        said=("kitchen: unreachable",),
    ),
}  # fmt: skip


def lines_in_order(text: str, parts: Sequence[str]) -> bool:
    """Whether each part is in a line of the text, in their order."""
    lines = iter(text.splitlines())
    return all(any(part in line for line in lines) for part in parts)


def tell(cli: Cli, folder: Path, case: Telling) -> None:
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    ended = cli(*case.words)
    assert ended.code == case.code, ended.everything
    assert lines_in_order(ended.err, case.said), ended.err
    assert [part for part in case.unsaid if part in ended.everything] == []
    assert "internal" not in ended.err


@pytest.mark.parametrize("case", COMMAND_LINE.values(), ids=COMMAND_LINE)
def test_the_command_line(cli: Cli, tmp_path: Path, case: Telling) -> None:
    tell(cli, tmp_path, case)


# -- the manifest ----------------------------------------------------------------------------------

ESP32_NAMED = "devices: {{k: {{board: esp32, {}}}}}\n"
CORRECT = "hint: correct the lines named above, then try `provision validate`"


def device(text: str, *said: str, files: Mapping[str, str | bytes] | None = None) -> Telling:
    """A device of which this is said; nothing, and it is valid."""
    return Telling(
        files={**(files or {}), "fleet.yaml": ESP32_NAMED.format(text)},
        words=("validate",),
        code=3 if said else 0,
        said=(*said, CORRECT) if said else (),
        unsaid=() if said else ("warning", "error"),
    )


LONG = "/".join(letter * 100 for letter in "xyz")
HEADER = bytes((ord("M"), 6, 0, 31))
OLD_HEADER = bytes((ord("M"), 5, 2, 31))
XTENSA_CODE = bytes((ord("M"), 6, 9 << 2 | 3, 31))  # an ESP8266's
ESP32_CODE = bytes((ord("M"), 6, 10 << 2 | 3, 31))
ESP32_CODE_OF_1_22 = bytes((ord("M"), 6, 10 << 2 | 2, 31))
A = {"a.py": ""}

MANIFESTS = {
    "a URL that nothing can open": device(
        "port: 'telnet://h:1'",
        "devices.k.port: there is no transport for telnet:// URLs; use a serial path, or one of "
        "rfc2217://, socket://",
    ),
    "the URL of a web page": device("port: 'http://x/'", "no transport for http:// URLs"),
    "a URL by a variable": device(
        "vars: {h: 'telnet://h'}, port: '{{ h }}:1'", "no transport for telnet:// URLs"
    ),
    "a chip that no virtual board has": device(
        "port: 'sim://x?chip=esp99'",
        "devices.k.port: sim://x: invalid value chip=esp99; chip must be one of esp8266, esp32,",
    ),
    "a setting that no virtual board has": device(
        "port: 'sim://x?colour=red'",
        "unknown setting 'colour'; valid settings are bridge, chip, console",
    ),
    "a virtual board without a name": device("port: 'sim://'", "write sim://NAME"),
    "a virtual board that was made otherwise": device("port: 'sim://x?wiring=usb-jtag'"),
    "a port beyond 65535": device(
        "port: 'socket://h:99999'",
        "devices.k.port: it names no host and port; write socket://HOST:PORT, with a PORT of 1 to",
    ),
    "port 0": device("port: 'rfc2217://h:0'", "write rfc2217://HOST:PORT"),
    "no port": device("port: {url: 'rfc2217://h'}", "devices.k.port.url: it names no host and"),
    "no host": device("port: 'rfc2217://:23'", "it names no host and port"),
    "a scheme in capitals": device("port: 'RFC2217://host:4000'"),
    "a scheme of pyserial's": device("port: 'spy:///dev/ttyUSB0'"),
    "a host and port for a path": device(
        "port: 'pi.local:4000'",
        "'pi.local:4000' is a host and a port, not a serial path; write rfc2217://pi.local:4000",
    ),
    "two devices on one port of Windows": device(
        "port: com3}, l: {board: esp32, port: COM3",
        "devices.l.port: 'COM3' is the port of k already, so it cannot be l's",
    ),
    "one server, spelled in two ways": device(
        "port: 'rfc2217://Pi:40'}, l: {board: esp32, port: 'RFC2217://pi:40?ign_set_control'",
        "devices.l.port: 'RFC2217://pi:40?ign_set_control' is the port of k already",
    ),
    "one virtual board, by two addresses": device(
        "port: 'sim://x?chip=esp32'}, l: {board: esp32, port: 'sim://x'", "is the port of k already"
    ),
    "two virtual boards, whose names have a case": device(
        "port: 'sim://x'}, l: {board: esp32, port: 'sim://X'"
    ),
    "one path, spelled in two ways": device(
        "port: /dev/ttyUSB0}, l: {board: esp32, port: /dev//ttyUSB0", "is the port of k already"
    ),
    "one serial number, spelled in two ways": device(
        "port: {serial: AB}}, l: {board: esp32, port: {serial: ab}", "is the port of k already"
    ),
    "one port by variables": device(
        "vars: {p: com3}, port: '{{ p }}'}, l: {board: esp32, port: COM3",
        "is the port of k already",
    ),
    "an image file for a firmware": device(
        "firmware: fw.bin",
        "devices.k.firmware: unknown firmware 'fw.bin'; expected a key of the firmware table or a "
        "version; write 'firmware: {file: fw.bin}' for an image file",
    ),
    "a path for a firmware": device("firmware: ../fw", "write 'firmware: {file: ../fw}' for an"),
    "a URL for a firmware": device(
        "firmware: 'https://x/y.bin'", "write 'firmware: {url: https://x/y.bin}' for an image on"
    ),
    "a check that is a statement": device(
        "check: {expression: x = 1}",
        "devices.k.check.expression: 'x = 1' is a statement, not an expression; write what is true "
        "when the app runs",
    ),
    "a check that imports": device("check: {expression: import app}", "is a statement, not an"),
    "a check that is cut short": device(
        "check: {expression: 'app.ready('}", "'app.ready(' is not an expression: "
    ),
    "a check with an operator too few": device(
        "check: {expression: app ready}", "'app ready' is not an expression: invalid syntax"
    ),
    "a check that is an expression": device("check: {expression: 'app.ready and x is 1'}"),
    "a check that is nested without end": device(
        "check: {expression: '" + "(" * 1500 + "'}", "is not an expression: "
    ),
    "a check that is a program": device(
        "check: {expression: '" + "1+" * 1500 + "1'}", "longer than 2,000 characters"
    ),
    "a variable that names a variable": Telling(
        files={"fleet.yaml": ESP32_NAMED.format("vars: {topic: '{{ name }}/t'}")},
        words=("validate",),
        code=0,
        said=(
            "warning: fleet.yaml:1:43: devices.k.vars.topic: variables are not rendered: this "
            "stays '{{ name }}/t' wherever it is used; write {{ name }} in the template itself",
        ),
    ),
    "one inside a list": Telling(
        files={"fleet.yaml": ESP32_NAMED.format("vars: {room: hall, l: ['{{room|upper}}']}")},
        words=("validate",),
        code=0,
        said=("devices.k.vars.l[0]: variables are not rendered",),
    ),
    "somebody else's template": device("vars: {ha: '{{ value_json.t }}'}"),
    "a source with a byte order mark": device(
        "files: [main.py]",
        "main.py:1:1: starts with a byte order mark, which MicroPython takes for a part of the "
        "code; save the file as UTF-8, without a byte order mark (for k)",
        files={"main.py": b"\xef\xbb\xbfprint(1)\n"},
    ),
    "sources in UTF-16, with a mark and without": device(
        "files: [{src: app/, dest: /}]",
        "app/a.py:1:1: is UTF-16, which MicroPython cannot read; save the file as UTF-8, without",
        "app/b.py:1:1: is UTF-16",
        files={"app/a.py": "x".encode("utf-16"), "app/b.py": "x".encode("utf-16-le")},
    ),
    "a byte order mark in what is no source": device(
        "files: [a.csv]", files={"a.csv": b"\xef\xbb\xbfa;b\n"}
    ),
    "a source in latin-1": device("files: [a.py]", files={"a.py": b"# caf\xe9\n"}),
    "bytecode of another version": device(
        "firmware: 1.18, files: [m.mpy]",
        "devices.k.files[0].src: 'm.mpy' is bytecode version 6, and MicroPython 1.18 imports 5; "
        "build it with the mpy-cross of 1.18, or give the source and `compile: true`",
        files={"m.mpy": HEADER},
    ),
    "bytecode of an older version": device(
        "firmware: 1.24.1, files: [{src: lib/, dest: /lib}]",
        "'lib/m.mpy' is bytecode version 5, and MicroPython 1.24.1 imports 6",
        files={"lib/m.mpy": OLD_HEADER},
    ),
    "bytecode that is none": device(
        "firmware: 1.24.1, files: [m.mpy]",
        "'m.mpy' is not MicroPython bytecode; build it with mpy-cross, or give the source",
        files={"m.mpy": "X = 1\n"},
    ),
    "machine code of another chip": device(
        "firmware: 1.24.1, files: [m.mpy]",
        "'m.mpy' holds machine code for xtensa, and this chip runs xtensawin; build it with "
        "`mpy-cross -march=xtensawin`",
        files={"m.mpy": XTENSA_CODE},
    ),
    "machine code of another sub-version": device(
        "firmware: 1.24.1, files: [m.mpy]",
        "holds machine code of bytecode version 6.2, and MicroPython 1.24.1 imports 6.3",
        files={"m.mpy": ESP32_CODE_OF_1_22},
    ),
    "machine code that fits": device(
        "firmware: 1.24.1, files: [m.mpy]", files={"m.mpy": ESP32_CODE}
    ),
    "bytecode that fits": device("firmware: 1.18, files: [m.mpy]", files={"m.mpy": OLD_HEADER}),
    "bytecode for whatever is on the board": device("files: [m.mpy]", files={"m.mpy": OLD_HEADER}),
    "two files that differ by case alone": device(
        "files: [{src: a.py, dest: /a.py}, {src: a.py, dest: /A.py}]",
        "devices.k.files[1]: '/A.py' and '/a.py' differ by case alone, and are the same on a board "
        "with a FAT filesystem; rename one of them",
        files=A,
    ),
    "two folders that differ by case alone": device(
        "files: [{src: a.py, dest: /Lib/a.py}, {src: a.py, dest: /lib/b.py}]",
        "devices.k.files[1]: '/lib' and '/Lib' differ by case alone",
        files=A,
    ),
    "a file that is there and absent, by case": device(
        "files: [a.py, {dest: /A.PY, state: absent}]", "'/A.PY' and '/a.py' differ by case", files=A
    ),
    "letters beyond ASCII that differ by case": device(
        "files: [{src: a.py, dest: /é}, {src: a.py, dest: /É}]", "differ by case alone", files=A
    ),
    "a path of more than 255 bytes": device(
        f"files: [{{src: a.py, dest: /{LONG}}}]",
        "devices.k.files[0].dest: '/xxx",
        files=A,
    ),
    "a path whose bytecode has a letter too much": device(
        f"firmware: 1.24.1, files: [{{src: a.py, dest: /{'n' * 251}.py, compile: true}}]",
        "has 256 bytes; a path on a board has at most 255",
        files=A,
    ),
    "a name of more than 255 bytes": device(
        f"files: [{{src: a.py, dest: /{'é' * 128}}}]", "has a name of more than 255 bytes", files=A
    ),
    "a path of 255 bytes": device(f"files: [{{src: a.py, dest: /{'n' * 254}}}]", files=A),
    "a name of this tool's own": device(
        "files: [{src: a.py, dest: /.provision~main.py}]",
        "devices.k.files[0].dest: '/.provision~main.py' is of this tool: what begins with "
        ".provision~ is a file that it is writing, and is cleared away",
        files=A,
    ),
    "a folder of this tool's own": device(
        "files: [{dest: /x/.provision~y/z, state: absent}]", "is of this tool: what begins with"
    ),
    "a prune of this tool's own": device(
        "prune: [/.provision~]", "devices.k.prune[0]: '/.provision~' is of this tool"
    ),
    "a name that only resembles it": device("files: [{src: a.py, dest: /a.provision~}]", files=A),
}  # fmt: skip


@pytest.mark.parametrize("case", MANIFESTS.values(), ids=MANIFESTS)
def test_the_manifest(cli: Cli, tmp_path: Path, case: Telling) -> None:
    tell(cli, tmp_path, case)


def test_a_long_path_says_how_long(cli: Cli, tmp_path: Path) -> None:
    tell(cli, tmp_path, MANIFESTS["a path of more than 255 bytes"])
    assert "has 303 bytes; a path on a board has at most 255" in cli("validate").err


def test_a_package_that_is_not_locked_is_for_lock(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": ESP32_NAMED.format("packages: [umqtt.simple]")})
    for command in ("plan", "show", "facts"):
        ended = cli(command)
        assert ended.code == 3
        assert "the package umqtt.simple has no entry for py in fleet.lock" in ended.err
        assert ended.err.splitlines()[-1] == (
            "hint: run `provision lock` once, with a network, and commit fleet.lock"
        )


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("bad.py", "", "app/bad.py:3:1: does not compile: SyntaxError: invalid syntax (for k)"),
        (
            "bad.py.j2",
            ", template: true",
            "app/bad.py.j2:1:1: line 3 of what it renders to does not compile: SyntaxError",
        ),
    ],
)
def test_what_does_not_compile_is_told_at_its_own_line(
    cli: Cli, tmp_path: Path, name: str, options: str, said: str
) -> None:
    (tmp_path / "fw.bin").write_bytes(build(ESP32, "1.24.1"))
    entry = f"firmware: {{file: fw.bin}}, files: [{{src: app/, dest: /, compile: true{options}}}]"
    write_tree(tmp_path, {"fleet.yaml": ESP32_NAMED.format(entry), f"app/{name}": "\n\ndef f(:\n"})
    ended = cli("show")
    assert ended.code == 3
    assert ended.err.startswith(said)
    assert "provision-" not in ended.err  # no temporary folder


# -- to programs ---------------------------------------------------------------------------------

INVALID = "devices:\n  k: {board: esp23}\n"
PROBLEM = {
    "file": "fleet.yaml",
    "line": 2,
    "column": 14,
    "path": "devices.k.board",
    "message": "unknown board 'esp23'; did you mean 'esp32'?",
}


@pytest.mark.parametrize("command", ["plan", "apply", "check"])
def test_an_invalid_manifest_is_told_in_every_report(
    cli: Cli, tmp_path: Path, command: str
) -> None:
    write_tree(tmp_path, {"fleet.yaml": INVALID})
    ended = cli(command, "--json", "--junit", "report.xml", "--html", "report.html")
    assert ended.code == 3
    (line,) = ended.out.splitlines()
    event = json.loads(line)
    assert (event["kind"], event["code"], event["exit_code"]) == ("run-failed", "manifest", 3)
    assert event["problems"] == [PROBLEM]
    assert "fleet.yaml:2:14: devices.k.board" in ended.err
    (suite,) = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    (error,) = suite.iter("error")
    assert error.get("type") == "manifest"
    assert f"fleet.yaml:2:14: devices.k.board: {PROBLEM['message']}" in str(error.text)
    page = parsed((tmp_path / "report.html").read_text("utf-8"))
    assert rows(page) == [["fleet.yaml:2:14", "devices.k.board", PROBLEM["message"]]]


@pytest.mark.parametrize(
    ("files", "words", "code", "problems"),
    [
        ({"fleet.yaml": INVALID}, ("facts",), "manifest", [PROBLEM]),
        ({"fleet.yaml": INVALID}, ("lock",), "manifest", [PROBLEM]),
        ({"fleet.yaml": INVALID}, ("discover", "fleet.yaml"), "manifest", [PROBLEM]),
        ({"fleet.yaml": INVALID}, ("image", "build", "k", "-o", "x.bin"), "manifest", [PROBLEM]),
        ({"fleet.yaml": TWO}, ("validate", "-l", "nobody"), "usage", None),
        ({"fleet.yaml": TWO}, ("image", "build", "kitchen", "-o", "x.bin"), "usage", None),
        ({"fw.bin": "no image"}, ("firmware", "show", "fw.bin"), "image", None),
    ],
)
def test_where_a_document_was_asked_for_an_error_is_one(
    cli: Cli, tmp_path: Path, files: dict[str, str], words: tuple[str, ...], code: str,
    problems: object,
) -> None:  # fmt: skip
    write_tree(tmp_path, files)
    ended = cli(*words, "--json")
    assert ended.code in (2, 3)
    assert (ended.json["code"], ended.json.get("problems")) == (code, problems)
    assert ended.json["error"] in ended.err  # people are told as well
    assert ended.json["hint"] in ended.err


def test_a_lock_that_is_not_up_to_date_is_one_document(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": "devices: {k: {board: esp32, firmware: 1.24.1}}"})
    ended = cli("lock", "--check", "--json")
    assert ended.code == 3
    assert ended.json["changes"]
    assert "is not up to date" in ended.err


def test_what_fails_before_any_board_is_told_as_an_event_and_a_case(
    cli: Cli, tmp_path: Path
) -> None:
    write_tree(tmp_path, {"fleet.yaml": "devices: {k: {board: esp32, firmware: 1.24.1}}"})
    ended = cli("plan", "--json", "--junit", "report.xml")
    assert ended.code == 3
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert [event["kind"] for event in events] == ["run-started", "run-failed"]
    assert "has no entry in fleet.lock" in events[1]["error"]
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert [case.get("name") for case in suite] == ["the run", "k"]


# -- outputs that do not take it -----------------------------------------------------------------


def run(
    words: Sequence[str], folder: Path, *, out: str = os.devnull, **environment: str
) -> subprocess.CompletedProcess[str]:
    with Path(out).open("w", encoding="utf-8") as stdout:
        return subprocess.run(
            [sys.executable, "-m", "provision", *words],
            cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")


@full
@pytest.mark.parametrize(
    "words", [("validate",), ("show", "--json"), ("boards",), ("--help",), ("--version",)]
)
def test_output_that_is_lost_is_no_success(tmp_path: Path, words: tuple[str, ...]) -> None:
    write_tree(tmp_path, {"fleet.yaml": TWO})
    ended = run(words, tmp_path, out="/dev/full")
    assert ended.returncode == 2
    assert "error: the output cannot be written: No space left on device" in ended.stderr
    assert "internal" not in ended.stderr


@pytest.mark.parametrize(
    "words", [("validate",), ("show", "--json"), ("boards",), ("--help",), ("--version",)]
)
def test_a_reader_that_left_is_no_failure(tmp_path: Path, words: tuple[str, ...]) -> None:
    """As `head`, once it has what it wanted: click ends with 1 there, an error of our own."""
    write_tree(tmp_path, {"fleet.yaml": TWO})
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "provision", *words], cwd=tmp_path, stdout=write,
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, "")


REACHED = "devices: {k: {board: esp32, port: 'sim://%s?chip=esp32'}}\n"


@full
@pytest.mark.parametrize("words", [("facts",), ("plan",), ("plan", "--json")])
def test_a_run_whose_result_is_lost_is_no_success(
    bench: Bench, tmp_path: Path, words: tuple[str, ...]
) -> None:
    write_tree(tmp_path, {"fleet.yaml": REACHED % "lost"})
    ended = run(words, tmp_path, out="/dev/full")
    assert ended.returncode == 2
    assert "No space left on device" in ended.stderr


@full
def test_a_log_that_is_lost_is_no_success(bench: Bench, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": REACHED % "logged"})
    ended = run(("plan", "--log-file", "/dev/full"), tmp_path)
    assert ended.returncode == 2
    assert "cannot write the log file /dev/full: No space left on device" in ended.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_name_that_the_terminal_has_no_characters_for(tmp_path: Path, encoding: str) -> None:
    write_tree(tmp_path, {"fleet.yaml": f"fleet: gro\u00df \U0001f600\n{TWO}"})
    out = tmp_path / "out"
    ended = run(("validate",), tmp_path, out=str(out), PYTHONIOENCODING=encoding)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert b"fleet 'gro" in out.read_bytes()


@pytest.mark.parametrize("module", ["click", "provision.cli.streams", "jinja2", "yaml"])
def test_ctrl_c_while_modules_load_is_no_traceback(tmp_path: Path, module: str) -> None:
    """As if it was pressed just then: the import of the module raises it."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text(
        "import sys\n"
        "class CtrlC:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, CtrlC())\n"
    )
    write_tree(
        tmp_path,
        {
            "t.j2": "{{ name }}",
            "fleet.yaml": "devices: {k: {board: esp32, files: [{src: t.j2, template: true}]}}",
        },
    )
    ended = run(("validate",), tmp_path, PYTHONPATH=str(tmp_path / "early"))
    assert (ended.returncode, ended.stderr.split()) == (130, ["interrupted"])
