"""`validate`, `show` and `schema`, as a user types them."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.sim.esp.firmware import build
from tests.cli.conftest import Cli
from tests.fleets import write_tree

MANIFEST = """\
fleet: greenhouse
defaults: {board: wemos-d1-mini, firmware: 1.24.1}
groups:
  sensors:
    vars: {interval: 60}
    files: [{src: app/, dest: /}, {src: config.json.j2, template: true}]
devices:
  kitchen:
    groups: [sensors]
    port: /dev/ttyUSB0
    mac: "5c:cf:7f:01:02:03"
    vars: {wifi: !secret wifi}
    prune: [/lib]
    check: {expression: app.ready}
  hall: {groups: [sensors], port: sim://hall, vars: {wifi: open}, firmware: }
"""
FILES = {
    "fleet.yaml": MANIFEST,
    "secrets.yaml": "wifi: correct horse\n",
    "app/main.py": "print(1)\n",
    "config.json.j2": '{"wifi": "{{ wifi }}", "interval": {{ interval }}}',
}
MAIN_SHA256 = hashlib.sha256(b"print(1)\n").hexdigest()


def test_a_valid_manifest(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, FILES)
    ended = cli("validate")
    assert (ended.code, ended.out) == (
        0,
        "fleet.yaml: valid: fleet 'greenhouse' with 2 devices and 4 files\n",
    )
    assert cli("validate", "--limit", "@sensors,!hall").out.endswith("with 1 device and 2 files\n")


def test_a_valid_manifest_as_json(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, FILES)
    ended = cli("validate", "fleet.yaml", "--json")
    assert ended.code == 0
    assert ended.json == {
        "valid": True,
        "problems": [],
        "warnings": ended.json["warnings"],
        "manifest": "fleet.yaml",
        "fleet": "greenhouse",
        "devices": 2,
        "groups": 1,
        "files": 4,
        "secrets_not_looked_up": [],
    }


def test_the_manifest_may_come_from_a_folder_or_standard_input(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {f"fleets/{name}": text for name, text in FILES.items()})
    assert cli("validate", "fleets").out.startswith("fleets/fleet.yaml: valid")
    write_tree(tmp_path, FILES)
    assert cli("validate", "-", stdin=MANIFEST.encode()).out.startswith("<stdin>: valid")
    ended = cli("validate", "-", stdin=b"devices: {a: {board: esp23}}")
    assert ended.code == 3
    assert ended.err.startswith("<stdin>:1:22: devices.a.board: unknown board 'esp23'; did you")


def test_an_invalid_manifest(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {**FILES, "fleet.yaml": MANIFEST.replace("wemos-d1-mini", "wemos-mini")})
    ended = cli("validate")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.splitlines() == [
        "fleet.yaml:2:19: defaults.board:"
        " unknown board 'wemos-mini'; did you mean 'wemos-d1-mini'?",
        "error: the manifest has 1 problem",
        "hint: correct the lines named above, then try `provision validate`",
    ]


def test_an_invalid_manifest_as_json(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": "devices:\n  a: {board: esp23}\n"})
    for command in ("validate", "show"):
        ended = cli(command, "--json")
        assert (ended.code, ended.err) == (3, "")
        assert ended.json["problems"] == [
            {
                "file": "fleet.yaml",
                "line": 2,
                "column": 14,
                "path": "devices.a.board",
                "message": "unknown board 'esp23'; did you mean 'esp32'?",
            }
        ]


TEN_MISTAKES = """\
fleet: ten
defaults: {board: wemos-d1-mimi}
firmware:
  f: {file: none.bin}
groups:
  g:
    files: [{src: nix.py, dest: relative}]
devices:
  kitchen:
    groups: [h]
    mac: 5c:cf
    vars: {topic: !secret nix}
  kitchen: {}
  desk-[03:01]: {}
  hall: {groups: [g], prot: /dev/ttyUSB0, board: esp32}
"""


def test_ten_mistakes_are_told_in_one_run(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": TEN_MISTAKES})
    for command in ("validate", "show"):
        ended = cli(command)
        assert ended.code == 3
        told = ended.err.splitlines()
        assert [line.partition(": ")[0] for line in told[:-2]] == [
            f"fleet.yaml:{place}"
            for place in (
                *("2:19", "4:13", "7:19", "7:33", "10:14"),
                *("11:10", "12:19", "13:3", "14:3", "15:23"),
            )
        ]
        assert told[-2] == "error: the manifest has 10 problems"


def test_on_a_terminal_the_line_and_a_caret_are_shown(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tree(tmp_path, {"fleet.yaml": "devices:\n\n  日本: {board: esp23}\n"})
    monkeypatch.setenv("FORCE_COLOR", "1")
    ended = cli("validate")
    assert "\x1b[31;1m^\x1b[0m" in ended.err
    plain = ended.err.replace("\x1b[0m", "")
    for code in ("1", "2", "31;1"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain.splitlines()[1:3] == [
        "    3 |   日本: {board: esp23}",
        "      |" + " " * (3 + len("日本: {board: ") + 2) + "^",  # two characters are two wide
    ]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in cli("validate").err


def test_what_a_manifest_says_cannot_steer_the_terminal(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": 'devices: {a: {board: "\\e[2Jesp\\u202e32"}}\n'})
    ended = cli("validate")
    assert ended.code == 3
    assert "\x1b" not in ended.err
    assert "\u202e" not in ended.err


def test_many_problems_are_cut_short_for_people_only(cli: Cli, tmp_path: Path) -> None:
    devices = "".join(f"  d{number}: {{board: x{number}}}\n" for number in range(150))
    write_tree(tmp_path, {"fleet.yaml": f"devices:\n{devices}"})
    assert "… and 50 more (--json lists all)" in cli("validate").err
    assert len(cli("validate", "--json").json["problems"]) == 150


def test_no_manifest_is_a_usage_error(cli: Cli) -> None:
    ended = cli("validate")
    assert ended.code == 2
    assert ended.err == (
        "error: there is no fleet.yaml\n"
        "hint: name the manifest, as in `provision validate path/to/fleet.yaml`, or change to its "
        "folder; `provision init` writes a first one\n"
    )
    assert cli("validate", "bad\0name").code == 2


def test_a_limit_that_matches_nothing_is_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, FILES)
    ended = cli("show", "--limit", "kitchn")
    assert ended.code == 2
    assert "no device matches 'kitchn'; did you mean 'kitchen'?" in ended.err


def test_show(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, FILES)
    ended = cli("show")
    assert ended.code == 0
    first, second = ended.out.split("\n\n")
    assert first.splitlines() == [
        "kitchen",
        "  board     wemos-d1-mini (ESP8266)",
        "  port      /dev/ttyUSB0",
        "  mac       5c:cf:7f:01:02:03",
        "  firmware  MicroPython 1.24.1 for ESP8266_GENERIC",
        "  groups    sensors",
        "  check     `app.ready` within 10 s",
        "  prune     /lib",
        "  vars",
        "    name      kitchen",
        "    fleet     greenhouse",
        "    board     wemos-d1-mini",
        "    interval  60",
        "    wifi      ***",
        "  files",
        f"    /config.json  41 B  {'***':<64}  config.json.j2 (template)",
        f"    /main.py      9 B   {MAIN_SHA256}  app/main.py",
    ]
    assert second.startswith("hall\n")


def test_show_as_json(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, FILES)
    ended = cli("show", "--json", "--limit", "kitchen")
    assert ended.code == 0
    (device,) = ended.json["devices"]
    assert device["variables"]["wifi"] == "***"
    assert device["variables"]["interval"] == 60
    assert device["firmware"]["version"] == "1.24.1"
    assert device["files"] == [
        {
            "dest": "/config.json",
            "source": "config.json.j2",
            "size": 41,
            "sha256": "***",
            "sensitive": True,
            "template": True,
            "create_only": False,
        },
        {
            "dest": "/main.py",
            "source": "app/main.py",
            "size": 9,
            "sha256": MAIN_SHA256,
            "sensitive": False,
            "template": False,
            "create_only": False,
        },
    ]


def test_schema_prints_the_shipped_schema(cli: Cli) -> None:
    ended = cli("schema")
    assert ended.code == 0
    assert ended.json["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert ended.json["title"] == "provision manifest"


SECRET = 'correct horse & <battery> "staple"'


def test_no_output_holds_a_secret_or_its_digest(cli: Cli, tmp_path: Path) -> None:
    """Neither as it is nor as JSON, base64, hex or sha256 would write it, whatever goes wrong."""
    manifests = {
        "good": MANIFEST,
        "quoted in a mistake": MANIFEST.replace("interval: 60", f"interval: 60, n: '{SECRET}'")
        + "  x: {board: esp23}\n",
        "also in a name": MANIFEST.replace("greenhouse", f"'{SECRET}'"),
        "in a path": MANIFEST.replace("sim://hall", '"sim://{{ wifi }}"').replace(
            "open", "!secret wifi"
        ),
        "from the environment": MANIFEST.replace("!secret wifi", "!env WIFI"),
    }
    templates = {
        "good": FILES["config.json.j2"],
        "digest": "{{ wifi }}",
        "undefined": "{{ wifi }}{{ interval.nothing.at_all }}",
        "attribute": "{{ wifi.nothing }}{{ [wifi][3].x }}",
        "failing": "{{ wifi | int(base='x') }}",
        "raising": "{{ {}[wifi].x }}",
        "malformed": "{% if wifi %}",
    }
    printed = ""
    for manifest in manifests.values():
        for template in templates.values():
            files = {**FILES, "fleet.yaml": manifest, "config.json.j2": template}
            write_tree(tmp_path, {**files, "secrets.yaml": f"wifi: {json.dumps(SECRET)}\n"})
            for command in (("validate",), ("validate", "--json"), ("show",), ("show", "--json")):
                ended = cli(*command)
                assert ended.code in (0, 3)
                printed += ended.everything
    assert "***" in printed
    data = SECRET.encode()
    rendered = FILES["config.json.j2"].replace("{{ wifi }}", SECRET).replace("{{ interval }}", "60")
    for form in (
        SECRET,
        json.dumps(SECRET)[1:-1],
        repr(SECRET)[1:-1],
        base64.b64encode(data).decode().rstrip("="),
        data.hex(),
        hashlib.sha256(data).hexdigest(),
        hashlib.sha256(rendered.encode()).hexdigest(),
    ):
        assert form not in printed


def test_a_secret_from_the_environment_is_masked(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIFI", SECRET)
    write_tree(tmp_path, {**FILES, "fleet.yaml": MANIFEST.replace("!secret wifi", "!env WIFI")})
    ended = cli("show", "--json")
    assert ended.code == 0
    assert ended.json["devices"][0]["variables"]["wifi"] == "***"
    assert SECRET not in ended.out
    assert hashlib.sha256(SECRET.encode()).hexdigest() not in ended.out


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_error(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "fleet.yaml").write_text("devices: {a: {board: esp32}}\n")
    command = f'exec "$0" -m provision plan {closed}'
    done = subprocess.run(["sh", "-c", command, sys.executable], cwd=tmp_path, check=False)
    assert done.returncode == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["aply"], "there is no command 'aply'; did you mean 'apply'?"),
        (["boards", "wemos-d1-mimi"], "did you mean 'wemos-d1-mini' or 'wemos-d1-mini-pro'?"),
    ],
)
def test_what_was_probably_meant(cli: Cli, words: list[str], said: str) -> None:
    ended = cli(*words)
    assert ended.code == 2
    assert said in ended.err


def test_validate_looks_into_image_files(cli: Cli, tmp_path: Path) -> None:
    manifest = """\
    defaults: {board: wemos-d1-mini}
    firmware:
      good: {file: esp8266.bin}
      other: {file: esp32.bin}
      page: {file: page.bin}
      older: {file: esp8266.bin, version: 1.20.0}
      gone: {file: gone.bin}
    devices:
      a: {firmware: good}
      b: {firmware: other}
      c: {firmware: other}
      d: {firmware: page}
      e: {firmware: older}
      f: {firmware: other, board: esp32}
    """
    write_tree(tmp_path, {"fleet.yaml": manifest, "page.bin": "<!DOCTYPE html>" + " " * 100})
    for chip in (ESP8266, ESP32):
        (tmp_path / f"{chip.name}.bin").write_bytes(build(chip, "1.24.1"))
    ended = cli("validate")
    assert ended.code == 3
    told = [line.partition(": ")[::2] for line in ended.err.splitlines()[:-2]]
    assert [place for place, _ in told] == [
        "fleet.yaml:4:17", "fleet.yaml:5:16", "fleet.yaml:6:17", "fleet.yaml:7:16"
    ]  # fmt: skip
    assert "esp32.bin is for the ESP32, the board wemos-d1-mini has an ESP8266" in told[0][1]
    assert "page.bin" in told[1][1]
    assert "1.20.0" in told[2][1]
    assert "no such file: 'gone.bin'" in told[3][1]


def test_show_hosts_needs_neither_sources_nor_secrets(cli: Cli, tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "fleet.yaml": "{defaults: {board: esp32, files: [gone.py]}, groups: {a: {host: pi}}, "
            "devices: {'b-[1:2]': {groups: [a]}, c: {vars: {x: !secret y}}}}"
        },
    )
    shown = cli("show", "--hosts")
    assert (shown.code, shown.out) == (0, "pi  b-1 and b-2\n-   c\n"), shown.err
    found = cli("show", "--hosts", "--json", "--limit", "b-*").json
    assert found["hosts"] == {"pi": ["b-1", "b-2"]}
    assert found["groups"] == {"b-1": ["a"], "b-2": ["a"]}
    assert found["lock"] == str(tmp_path.resolve() / "fleet.lock")


def test_several_manifests_are_checked_each(cli: Cli, tmp_path: Path) -> None:
    """As `*.yaml` names them, secrets among them, of which nothing is shown."""
    more = {"a.yaml": "devices: {x: {boar: esp32}}\n", "b/fleet.yaml": "fleet: [\n"}
    write_tree(tmp_path, {**FILES, **more})
    ended = cli("validate", "a.yaml", "b", "fleet.yaml", "secrets.yaml")
    assert ended.code == 3
    assert ended.out == "fleet.yaml: valid: fleet 'greenhouse' with 2 devices and 4 files\n"
    assert "a.yaml:1:15: devices.x.boar" in ended.err
    assert "b/fleet.yaml:2:1:" in ended.err
    assert "secrets.yaml holds secrets and is no manifest: left out" in ended.err
    assert "correct horse" not in ended.everything
    assert cli("validate", "fleet.yaml", "gone.yaml").code == 2
    ended = cli("lock", "--check", "fleet.yaml", "a.yaml")
    assert ended.code == 3
    assert "fleet.lock is not up to date" in ended.err
    assert "a.yaml:1:15: devices.x.boar" in ended.err


def test_a_secrets_file_is_no_manifest(cli: Cli, tmp_path: Path) -> None:
    write_tree(tmp_path, FILES)
    for command in ("validate", "plan"):
        ended = cli(command, "secrets.yaml")
        assert ended.code == 2
        assert "secrets.yaml holds secrets and is no manifest" in ended.err
        assert "correct horse" not in ended.everything


@pytest.mark.parametrize("secrets", [None, "wifi: !env GONE\n"])
def test_without_secrets(cli: Cli, tmp_path: Path, secrets: str | None) -> None:
    """As a checkout of a CI has none; also where a number is to be made of one."""
    nvs = 'nvs: {app: {pin: {u8: "{{ pin }}"}}}'
    vars_ = "vars: {wifi: !secret wifi, pin: !env PIN_OF_NOBODY}\n    board: esp32\n    " + nvs
    manifest = MANIFEST.replace("vars: {wifi: !secret wifi}", vars_)
    write_tree(tmp_path, {**FILES, "fleet.yaml": manifest})
    (tmp_path / "secrets.yaml").unlink()
    if secrets is not None:
        write_tree(tmp_path, {"secrets.yaml": secrets})
    assert cli("validate").code == 3
    ended = cli("validate", "--no-secrets")
    assert ended.code == 0, ended.err
    assert "; 1 secret not looked up" in ended.out
    ended = cli("lock", "--check", "--no-secrets")
    assert "fleet.lock is not up to date" in ended.err, "and nothing else"
    assert "unknown secret" not in ended.err
