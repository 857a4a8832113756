"""The mistakes of docs/mistakes.md, in its order: `python -m tests.cli.mistake_cases` writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.cli.mistakes import (
    CORRECT,
    ESP32_IMAGE,
    GONE,
    KITCHEN,
    PAGE,
    PLAN,
    Mistake,
    kitchen,
    page,
)

_FIRMWARE = "    firmware: fw\nfirmware:\n  fw: {file: fw.bin}\n"
_CONFLICT = "<<<<<<< HEAD\n{}=======\n{}>>>>>>> lab\n"
_UP = ("sim", "up", "kitchen", "--set", "firmware=fw.bin", "--chip")
_SIM = "    port: sim://kitchen\n"


def _in_device(title: str, line: str, where: str, why: str, then: str = CORRECT) -> Mistake:
    return Mistake(title=title, files=kitchen(f"    {line}\n"), where=where, why=why, then=then)


WRITING = [
    Mistake(
        title="A typo in the first word",
        files={"fleet.yaml": "devises:\n  kitchen: {board: esp32}\n"},
        where="fleet.yaml:1:1", why="unknown key 'devises'", then="did you mean 'devices'?",
    ),
    Mistake(
        title="A typo in a device",
        files={"fleet.yaml": "devices:\n  kitchen:\n    bord: esp32\n"},
        where="fleet.yaml:3:5: devices.kitchen.bord", why="unknown key",
        then="did you mean 'board'?",
    ),
    _in_device("A typo in a file's entry", "files: [{scr: main.py}]",
               "fleet.yaml:4:14: devices.kitchen.files[0].scr", "unknown key",
               "did you mean 'src'?"),
    Mistake(
        title="Tabs",
        files={"fleet.yaml": "devices:\n\tkitchen:\n\t\tboard: esp32\n"},
        where="fleet.yaml:2:1", why="a tab", then="indent with spaces",
    ),
    Mistake(
        title="A space too few in front of a line",
        files={"fleet.yaml": f"{KITCHEN}   port: /dev/ttyUSB0\n"},
        where="fleet.yaml:4:4", why="its indentation is that of no line above it",
        then="keys of one table stand below one another",
    ),
    Mistake(
        title="A device's key below the device, not in it",
        files={"fleet.yaml": "devices:\n  kitchen:\n  board: esp32\n"},
        where="fleet.yaml:3:10: devices.board", why="expected a mapping, got 'esp32'", then=CORRECT,
    ),
    Mistake(
        title="A space that a web page had, copied along",
        files={"fleet.yaml": "devices:\n  kitchen:\n \u00a0  board: esp32\n"},
        where="fleet.yaml:3:2", why="a space that is none (U+00A0)", then="indent with plain ones",
    ),
    Mistake(
        title="No space after a colon",
        files={"fleet.yaml": "devices:\n  kitchen:\n    board:esp32\n"},
        where="fleet.yaml:3:5: devices.kitchen", why="got 'board:esp32'",
        then="write 'board: esp32', with a space after the colon",
    ),
    Mistake(
        title="No colon",
        files={"fleet.yaml": "devices:\n  kitchen\n    board: esp32\n"},
        where="fleet.yaml:3:10", why="the line above lacks its own", then=CORRECT,
    ),
    Mistake(
        title="A quotation mark without its end",
        files=kitchen('    port: "/dev/ttyUSB0\n'),
        where="fleet.yaml:4:11", why="the quotation mark that begins here has no end", then=CORRECT,
    ),
    _in_device("Quotation marks of a word processor", "mac: “24:6f:28:00:00:01”",
               "devices.kitchen.mac", "“ is no quotation mark of YAML", "write ' or \""),
    Mistake(
        title="A key twice",
        files=kitchen("    board: esp8266\n"),
        where="fleet.yaml:4:5: devices.kitchen.board", why="duplicate key 'board'",
        then="first on line 3",
    ),
    Mistake(
        title="A device twice",
        files={"fleet.yaml": "devices:\n  hall: {board: esp32}\n  hall: {board: esp8266}\n"},
        where="fleet.yaml:3:3: devices.hall", why="duplicate key 'hall'", then="first on line 2",
    ),
    Mistake(
        title="Devices as a list",
        files={"fleet.yaml": "devices:\n  - kitchen\n  - hall\n"},
        where="fleet.yaml:2:3: devices", why="expected a mapping, got a list",
        then="write 'kitchen:' in place of '- kitchen'",
    ),
    Mistake(
        title="A list as a word",
        files={"fleet.yaml": "groups: {sensors: {}}\n" + KITCHEN + "    groups: sensors\n"},
        where="fleet.yaml:5:13: devices.kitchen.groups", why="expected a list",
        then="write '[sensors]'",
    ),
    Mistake(title="An empty manifest", files={"fleet.yaml": ""},
            where="fleet.yaml:1:1", why="fleet.yaml is empty", then="`provision init`"),
    Mistake(
        title="A manifest in UTF-16", files={"fleet.yaml": KITCHEN.encode("utf-16")},
        where="fleet.yaml:1:1", why="not UTF-8 text", then="save the file as UTF-8",
    ),
    Mistake(
        title="A merge left unresolved",
        files={"fleet.yaml": _CONFLICT.format(KITCHEN, "devices: {}\n")},
        where="fleet.yaml:1:1", why="a merge of version control was left unresolved here",
        then="delete the <<<<<<<, ======= and >>>>>>> lines",
    ),
    Mistake(
        title="A range with a dash",
        files={"fleet.yaml": "devices:\n  desk-[01-30]: {board: esp32}\n"},
        where="fleet.yaml:2:3", why="a range has a colon between its numbers", then="as [01:30]",
    ),
]  # fmt: skip

VALUES = [
    Mistake(
        title="A board's name with a typo",
        files={"fleet.yaml": "devices:\n  kitchen: {board: wemos-d1-mni}\n"},
        where="fleet.yaml:2:20: devices.kitchen.board", why="unknown board 'wemos-d1-mni'",
        then="did you mean 'wemos-d1-mini'?",
    ),
    Mistake(
        title="A board that is none",
        files={"fleet.yaml": "devices:\n  kitchen: {board: toaster}\n"},
        where="devices.kitchen.board", why="unknown board 'toaster'",
        then="`provision boards` lists all",
    ),
    Mistake(
        title="No board",
        files={"fleet.yaml": "devices:\n  kitchen: {port: /dev/ttyUSB0}\n"},
        where="fleet.yaml:2:3: devices.kitchen", why="no board",
        then="name one with `board:` here, in a group or in defaults",
    ),
    Mistake(
        title="A group that is not there",
        files={"fleet.yaml": "groups: {sensors: {}}\n" + KITCHEN + "    groups: [sensor]\n"},
        where="fleet.yaml:5:14", why="unknown group 'sensor'", then="did you mean 'sensors'?",
    ),
    _in_device("A word for a number", "baud: fast", "devices.kitchen.baud",
               "expected a whole number, got 'fast'"),
    _in_device("A word for true or false", "files: [{src: a, template: yep}]",
               "devices.kitchen.files[0].template", "expected true or false, got 'yep'"),
    _in_device("A MAC cut short", "mac: 24:6f:28", "devices.kitchen.mac",
               'expected a MAC address such as "5c:cf:7f:01:02:03"'),
    _in_device("A path of Windows between double quotes", 'files: ["C:\\Users\\me\\main.py"]',
               "fleet.yaml:4:", "in double quotes a backslash is no letter of a path",
               "write /, or single quotes"),
    _in_device("A path with backslashes", "files: [app\\main.py]", "devices.kitchen.files[0]",
               "no such file or folder: 'app\\main.py'", "as 'app/main.py'"),
    _in_device("A file that is not there", "files: [main.py]",
               "fleet.yaml:4:13: devices.kitchen.files[0]", "no such file or folder: 'main.py'"),
    Mistake(
        title="A file's name with a typo",
        files=kitchen("    files: [mian.py]\n", {"main.py": ""}),
        where="fleet.yaml:4:13", why="no such file or folder: 'mian.py'",
        then="did you mean 'main.py'?",
    ),
    Mistake(
        title="A path on the board without its slash",
        files=kitchen("    files: [{src: main.py, dest: main.py}]\n", {"main.py": ""}),
        where="devices.kitchen.files[0].dest", why="'main.py' is outside /", then="as '/main.py'",
    ),
    Mistake(
        title="A name too long for the board's filesystem",
        files=kitchen("    files: [{src: main.py, dest: /" + "n" * 300 + "}]\n", {"main.py": ""}),
        where="devices.kitchen.files[0].dest", why="has a name of more than 255 bytes",
        then=CORRECT,
    ),
    _in_device("The URL of a web page for a port", "port: http://192.168.4.1/",
               "devices.kitchen.port", "there is no transport for http:// URLs",
               "use a serial path"),
    _in_device("A firmware that is in no table", "firmware: esp32-latest",
               "devices.kitchen.firmware", "unknown firmware 'esp32-latest'",
               "expected a key of the firmware table or a version"),
    _in_device("An image's file in place of a firmware", "firmware: fw.bin",
               "devices.kitchen.firmware", "unknown firmware 'fw.bin'",
               "write 'firmware: {file: fw.bin}'"),
    Mistake(
        title="An image that is not there", files=kitchen(_FIRMWARE),
        where="fleet.yaml:6:14: firmware.fw.file", why="no such file: 'fw.bin'", then=CORRECT,
    ),
    Mistake(
        title="A download that is an error page", files=kitchen(_FIRMWARE, {"fw.bin": "<html>404"}),
        where="firmware.fw.file", why="fw.bin is a web page, not an image", then=CORRECT,
    ),
    Mistake(
        title="An image for another chip",
        files={"fleet.yaml": "devices:\n  kitchen:\n    board: wemos-d1-mini\n" + _FIRMWARE},
        before=[ESP32_IMAGE],
        where="fleet.yaml:6:14: firmware.fw.file", why="fw.bin is for the ESP32", then=CORRECT,
    ),
    Mistake(
        title="A variable's name with a typo, in a template",
        files=kitchen(
            "    vars: {topic: x}\n    files: [{src: a.j2, dest: /a, template: true}]\n",
            {"a.j2": "x = 1\ny = {{ topc }}\n"},
        ),
        where="a.j2:2:8", why="'topc' is undefined", then="did you mean 'topic'?",
    ),
    Mistake(
        title="A brace too few in a template",
        files=kitchen("    files: [{src: a.j2, dest: /a, template: true}]\n",
                      {"a.j2": "x = {{ name }\n"}),
        where="a.j2:1:1", why="unexpected '}' (for kitchen)", then=CORRECT,
    ),
    _in_device("A secret without a secrets file", "vars: {wifi: !secret wifi_password}",
               "devices.kitchen.vars.wifi", "unknown secret 'wifi_password'",
               "write `wifi_password: …` into secrets.yaml beside the manifest"),
    Mistake(
        title="A secret's name with a typo",
        files=kitchen("    vars: {w: !secret wifi_pasword}\n",
                      {"secrets.yaml": "wifi_password: a"}),
        where="devices.kitchen.vars.w", why="unknown secret 'wifi_pasword'",
        then="did you mean 'wifi_password'?",
    ),
    _in_device("A variable of the environment that is not set", "vars: {w: !env WIFI_PASSWORD}",
               "devices.kitchen.vars.w", "the environment variable WIFI_PASSWORD is not set"),
]  # fmt: skip

COMMANDS = [
    Mistake(title="The wrong folder", words=("apply",), code=2,
            where="there is no fleet.yaml", why="there is no", then="`provision init` writes"),
    Mistake(title="fleet.yaml is a folder", files={"fleet.yaml": None}, code=2,
            where="fleet.yaml", why="is a folder, and a manifest is a file",
            then="name the manifest, as in `provision validate path/to/fleet.yaml`"),
    Mistake(title="A device in place of the manifest", files=kitchen(""), code=2,
            words=("apply", "kitchen"), where="fleet.yaml", why="there is no manifest kitchen",
            then="write `provision apply --limit kitchen`"),
    Mistake(title="--limit with a typo", files=kitchen(""), code=2,
            words=("plan", "--limit", "kitchn"), where="'kitchn'", why="no device matches",
            then="did you mean 'kitchen'?"),
    Mistake(title="--limit with a group that is not there", files=kitchen(""), code=2,
            words=("plan", "--limit", "@sensors"), where="'@sensors'", why="no group matches",
            then="`provision show` lists them"),
    Mistake(title="A variable with a colon", files=kitchen(""), code=2,
            words=("plan", "-e", "topic:garden"), where="-e", why="takes a name and a value",
            then="write `-e topic=garden`"),
    Mistake(title="A variable's name with a typo",
            files=kitchen("    vars: {topic: a}\n"), code=0, words=("validate", "-e", "topc=b"),
            where="-e topc", why="the manifest has no such variable",
            then="did you mean 'topic'?"),
    Mistake(title="Another tool's command", words=("flash",), code=2,
            where="'flash'", why="there is no command", then="did you mean 'apply'?"),
    Mistake(title="Another tool's option", files=kitchen(""), words=("apply", "--dry-run"), code=2,
            where="'--dry-run'", why="there is no option", then="did you mean '--check'?"),
    Mistake(title="Secrets as the manifest", files=kitchen("", {"secrets.yaml": "a: b\n"}), code=2,
            words=("plan", "secrets.yaml"), where="secrets.yaml", why="holds secrets",
            then="name the manifest, as in `provision plan path/to/fleet.yaml`"),
    Mistake(title="A report in a folder that is not there", files=kitchen(""), code=2,
            words=("plan", "--junit", "out/run.xml"), where="out/run.xml",
            why="there is no directory out", then="give another path with --junit FILE"),
    Mistake(title="A variable of the environment that names no manifest", words=PLAN, code=2,
            environment={"PROVISION_MANIFEST": "/nowhere/fleet.yaml"},
            where="PROVISION_MANIFEST", why="there is no /nowhere/fleet.yaml",
            then="`unset PROVISION_MANIFEST`"),
    Mistake(title="A typo in one's own configuration",
            files=kitchen("", {"c.yaml": "colour: no\n"}),
            environment={"PROVISION_CONFIG": "c.yaml"},
            where="c.yaml:1:1", why="unknown key 'colour'", then="did you mean 'color'?"),
    Mistake(title="init where there is a manifest", files=kitchen(""), words=("init",), code=2,
            where="fleet.yaml", why="is there already, and is not overwritten",
            then="`provision init --walk`"),
    Mistake(title="A board named in front of the file to run", files=GONE, code=2,
            words=("run", "kitchen", "test.py"),
            where="kitchen, test.py", why="run takes one file",
            then="`provision run test.py --limit kitchen`"),
    Mistake(title="A prompt in a pipe", files=GONE, words=("repl", "kitchen"), code=2,
            where="prompt", why="needs a terminal, and this is none", then="`provision run`"),
]  # fmt: skip

NETWORK = [
    Mistake(title="No lock yet", files=kitchen("    firmware: 1.24.1\n"), words=PLAN,
            where="the firmware '1.24.1'", why="has no entry in fleet.lock",
            then="run `provision lock` once"),
    Mistake(title="A lock with a merge left unresolved", words=PLAN,
            files=kitchen("", {"fleet.lock": _CONFLICT.format("version: 1\n", "version: 1\n")}),
            where="fleet.lock:1:1", why="a merge of version control was left unresolved here",
            then="keep the lines of both sides and delete"),
    Mistake(title="A lock that is none", files=kitchen("", {"fleet.lock": "hello\n"}), words=PLAN,
            where="fleet.lock:1:1", why="expected `key: value` lines at the top",
            then="restore fleet.lock from version control"),
    Mistake(title="Offline, and nothing cached", files=kitchen("    firmware: 1.24.1\n"),
            words=("lock", "--offline"), where="ESP32_GENERIC", why="neither in the cache nor",
            then="run once without --offline"),
]  # fmt: skip

BOARDS = [
    Mistake(title="No port", files=kitchen(""), words=PLAN, code=5, where="kitchen: unreachable",
            why="the manifest names no port for it", then="add `port:` to the device"),
    Mistake(title="A port that is not there", files=GONE, words=PLAN, code=5,
            where="kitchen: unreachable", why="there is no port /dev/ttyUSB7",
            then="`provision discover` lists what is there"),
    Mistake(title="A file for a port", files=kitchen("    port: /etc/passwd\n"), words=PLAN,
            code=5, where="kitchen: unreachable", why="/etc/passwd is not a serial port",
            then="`provision discover` lists what is there"),
    Mistake(title="A serial server that does not run", words=PLAN, code=5,
            files=kitchen("    port: rfc2217://127.0.0.1:9\n"), where="rfc2217://127.0.0.1:9",
            why="nothing answers there", then="check the host name and port"),
    Mistake(title="A cable that is pulled", files=kitchen(_SIM), words=PLAN, code=5,
            before=[ESP32_IMAGE, (*_UP, "esp32"), ("sim", "fault", "kitchen", "unplug")],
            where="kitchen: unreachable", why="is unplugged",
            then="`provision sim fault kitchen replug`"),
    Mistake(title="The wrong board", files=kitchen(_SIM + '    mac: "24:6f:28:aa:bb:cc"\n'),
            before=[ESP32_IMAGE, (*_UP, "esp32")], words=("apply",), code=4,
            where="kitchen: refused", why="24:6f:28:aa:bb:cc", then="hint: "),
    Mistake(title="A board with another chip",
            files={"fleet.yaml": "devices:\n  kitchen:\n    board: esp32c3\n" + _SIM},
            before=[ESP32_IMAGE, (*_UP, "esp32")], words=("apply",), code=4,
            where="kitchen: refused", why="ESP32", then="hint: "),
    Mistake(title="More than the board has room for",
            files=kitchen(_SIM + "    files: [big.bin]\n", {"big.bin": bytes(3 << 20)}),
            before=[ESP32_IMAGE, (*_UP, "esp32")], words=("apply",), code=4,
            where="kitchen: ", why="big.bin", then="hint: "),
]  # fmt: skip

MISTAKES: Mapping[str, Sequence[Mistake]] = {
    "Writing the manifest": WRITING,
    "Values": VALUES,
    "The command line": COMMANDS,
    "Lock and network": NETWORK,
    "Ports and boards": BOARDS,
}

if __name__ == "__main__":
    PAGE.write_text(page(MISTAKES), encoding="utf-8")
