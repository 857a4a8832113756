"""Secrets that the user's command prints, as commands of the command line meet them: a `pass` on
PATH, a `sops`, and who does not run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from provision import api
from provision.errors import ManifestError, UsageError
from tests.cli.conftest import Cli

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the commands are shell scripts")

MANIFEST = """\
groups:
  room: {vars: {wifi: !secret wifi}}
devices:
  a:
    port: /dev/ttyUSB98
    board: esp32
    groups: [room]
    files: [{src: config.j2, dest: /config, template: true}]
  b:
    port: /dev/ttyUSB99
    board: esp32
    groups: [room]
    vars: {pin: !secret pin, own: !secret own}
    nvs: {app: {pin: {u8: "{{ pin }}"}}}
    files: [{src: config.j2, dest: /config, template: true}]
"""
PASS = """\
#!/bin/sh
echo "$2" >> "$LOG"
case "$2" in
iot/wifi) echo correct-horse-battery;;
iot/pin) echo 42;;
*) echo "Error: $2 is not in the password store." >&2; exit 1;;
esac
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `pass` was asked for, a line each; with a project that has it asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (
        ("pass", PASS),
        ("sops", '#!/bin/sh\nexec sed "s/^own: .*/own: dog/" "$2"\n'),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    log = tmp_path / "asked"
    log.touch()
    monkeypatch.setenv("LOG", str(log))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "fleet.yaml").write_text(MANIFEST)
    (tmp_path / "config.j2").write_text("{{ wifi }}")
    (tmp_path / "secrets.yaml").write_text("own: cat\n")
    (tmp_path / "secrets.yaml").chmod(0o600)
    configured("secrets: {command: [pass, show, 'iot/{name}']}\n")
    return log


def configured(text: str) -> None:
    config = Path(os.environ["PROVISION_CONFIG"])
    config.write_text(text)
    config.chmod(0o600)


def test_a_device_has_what_it_prints_and_a_file_goes_before_it(asked: Path, cli: Cli) -> None:
    fleet = api.load("fleet.yaml")
    a, b = fleet.states
    assert a.files[0].content.data == b"correct-horse-battery"
    assert b.nvs[0].data == bytes([42])
    assert sorted(asked.read_text().split()) == ["iot/pin", "iot/wifi"], "each once; own is known"
    assert fleet.masked("a correct-horse-battery") == "a ***"
    assert fleet.loaded.holds_secret(b"x correct-horse-battery")
    shown = cli("show")
    assert shown.code == 0
    assert "correct" not in shown.everything


def test_only_what_the_devices_of_a_run_need_is_asked_for(asked: Path, cli: Cli) -> None:
    api.load("fleet.yaml", limit=["a"])
    assert asked.read_text().split() == ["iot/wifi"]


def test_who_does_not_ask(asked: Path, cli: Cli) -> None:
    for words in (
        ("validate",),
        ("lock", "--check"),
        ("discover",),
        ("show", "--hosts"),
        ("config",),
    ):
        assert cli(*words).code == 0, words
    said = cli("validate")
    assert "; 2 secrets not looked up" in said.out
    assert cli("validate", "--json").json["secrets_not_looked_up"] == ["wifi", "pin"]
    assert asked.read_text() == ""


def test_one_that_it_does_not_have_is_located_and_masked(asked: Path, cli: Cli) -> None:
    Path("fleet.yaml").write_text(MANIFEST.replace("secret pin", "secret gone"))
    ended = cli("plan")
    assert ended.code == 3
    assert (
        "fleet.yaml:13:17: devices.b.vars.pin: the secret 'gone' could not be looked up: "
        "`pass show iot/gone` ended with 1: Error: iot/gone is not in the password store.\n"
        "error: the manifest has 1 problem\n" in ended.err
    )
    assert "hint: `provision config` shows the command and its folders; try it by hand" in ended.err
    assert "correct" not in ended.everything


def test_what_sops_has_encrypted(asked: Path, cli: Cli) -> None:
    """It is not read as it is; a folder may share it."""
    Path("secrets.yaml").write_text(
        "wifi: x\npin: 7\nown: ENC[AES256_GCM,data:x]\nsops:\n    mac: ENC[AES256_GCM,data:y]\n"
    )
    Path("secrets.yaml").chmod(0o644)
    configured("secrets: {command: [sops, --decrypt, '{folder}/secrets.yaml']}\n")
    fleet = api.load("fleet.yaml")
    assert fleet.states[0].files[0].content.data == b"x"
    assert fleet.warnings == ()
    configured("")
    for words in (("validate",), ("validate", "--no-secrets"), ("lock", "--check")):
        assert cli(*words).code == 0, "as in CI, where nobody can decrypt it"
    assert cli("validate", "--json").json["secrets_not_looked_up"] == ["wifi", "pin", "own"]
    with pytest.raises(ManifestError) as caught:
        api.load("fleet.yaml")
    assert [
        one.message.startswith("unknown secret 'wifi'; sops has encrypted secrets.yaml: have `sec")
        for one in caught.value.problems
    ].count(True) == 1


def test_nothing_of_a_project_names_a_command(
    asked: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not its manifest, nor a file beside it, nor a program beside it that is called alike."""
    Path("fleet.yaml").write_text(f"secrets: {{command: [touch, sprung]}}\n{MANIFEST}")
    assert cli("validate").code == 3
    Path("fleet.yaml").write_text(MANIFEST)
    configured("")
    Path("config.yaml").write_text("secrets: {command: [touch, sprung, '{name}']}\n")
    (Path("provision")).mkdir()
    Path("provision/config.yaml").write_text("secrets: {command: [touch, sprung, '{name}']}\n")
    assert "unknown secret 'wifi'" in cli("plan").err
    Path("pass").write_text(f"#!/bin/sh\ntouch {Path.cwd()}/sprung\n")
    Path("pass").chmod(0o755)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.environ['PATH']}")
    configured("secrets: {command: [pass, show, 'iot/{name}']}\n")
    api.load("fleet.yaml")
    assert not Path("sprung").exists()


def test_a_configuration_that_others_may_write_runs_nothing(asked: Path, cli: Cli) -> None:
    Path(os.environ["PROVISION_CONFIG"]).chmod(0o666)
    with pytest.raises(UsageError, match="can be written by others"):
        api.load("fleet.yaml")
    ended = cli("plan")
    assert ended.code == 2
    assert "chmod go-w" in ended.err
    assert asked.read_text() == ""
    assert cli("apply", "--help").code == 0
    assert cli("config", "path").out == f"{os.environ['PROVISION_CONFIG']}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_who_interrupts_it_ends_what_it_has_started(
    asked: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """It is in a session of its own, which the terminal's Ctrl-C does not reach."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = tmp_path / "programs" / "pass"
    program.write_text(
        f"#!/bin/sh\nexec 3> {pipe}\necho begun >&3\nsleep 1000 &\nexec sleep 1000\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "provision", "plan"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with pipe.open() as stream:
        assert stream.readline() == "begun\n"
        run.send_signal(number)
        said, _ = run.communicate(timeout=60)
        assert (run.returncode, said.strip()) == (130, "interrupted")
        assert set(stream.read().split()) <= {"begun"}, "nobody holds it open any more"
