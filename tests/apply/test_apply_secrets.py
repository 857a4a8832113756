"""A secret reaches the board and nothing else: not a terminal, a log, a record or a report."""

from __future__ import annotations

import hashlib
import json
import re
import traceback

import pytest

from provision import api
from provision.core.chips.esp.chips import ESP32
from provision.model.plan import Plan
from tests.apply.station import Station
from tests.secret_forms import shown_of

SECRET = "tr0ub4dor&3 über 'alles'"
TOKEN = "tok-3f9c81aa27"
REPORTS = ("--log-file", "run.log", "--junit", "run.xml", "--html", "run.html")


def test_no_output_holds_a_secret_or_its_digest(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write("secrets.yaml", f'wifi: "{SECRET}"\ntoken: {TOKEN}\n').chmod(0o600)
    station.write("wifi.py.j2", "PASSWORD = {{ password | tojson }}\nprint(PASSWORD)\n")
    station.write("token.txt.j2", "{{ token }}")
    station.write("main.py", "import wifi\nprint('token', open('/token.txt').read())\n")
    station.write(
        "fleet.yaml",
        """
        devices:
          x:
            port: sim://x
            board: esp32
            vars: {password: !secret wifi, token: !secret token}
            files:
              - {src: wifi.py.j2, dest: /wifi.py, template: true}
              - {src: token.txt.j2, dest: /token.txt, template: true}
              - main.py
            check: {console: "^token"}
        """,
    )
    said = ""
    for words in (
        ["plan", "--diff", "-vv"],
        ["plan", "--json", "--diff"],
        ["apply", "-vv", "--diff", *REPORTS],
        ["apply", "--json", "-vv", "--log-file", "run.log"],
        ["facts", "--json", "-vv"],
        ["show", "--json"],
    ):
        ended = station.provision(*words)
        assert ended.code == 0, ended.said
        said += ended.said
    files = station.files("x")
    assert files["/token.txt"].decode() == TOKEN
    as_json = re.search(rb'"(.*)"', files["/wifi.py"])
    assert as_json is not None
    assert json.loads(as_json[0]) == SECRET

    kept = [station.work / name for name in ("run.log", "run.xml", "run.html")]
    kept += (station.work.parent / "state").rglob("*.jsonl")
    assert len(kept) >= 7, "each run leaves a record"
    said += "".join(path.read_text(encoding="utf-8") for path in kept)
    said += (station.work / "fleet.lock").read_text(encoding="utf-8")
    for path in ("/wifi.py", "/token.txt"):
        assert f"write {path}" in said
        digest = hashlib.sha256(files[path])
        assert digest.hexdigest() not in said
        assert repr(digest.digest())[2:-1] not in said
    for secret in (SECRET, TOKEN):
        assert secret not in said
        assert repr(secret)[1:-1] not in said
        assert json.dumps(secret)[1:-1] not in said
        assert hashlib.sha256(secret.encode()).hexdigest() not in said
    assert as_json[1].decode() not in said
    assert "***" in said, "the app printed its token, and that was masked"


CHATTY = r"""
import json
from binascii import b2a_base64, hexlify

with open("/secret.json") as file:
    secret = json.load(file)


def show():
    data = secret.encode()
    print(secret, repr(secret), repr(data), json.dumps({"key": secret}))
    print(repr(json.dumps(secret)), b2a_base64(b"u:" + data), hexlify(data), hexlify(data, ":"))
    print("<a href='?p=%s'>" % secret.replace("&", "&amp;").replace("<", "&lt;"))


def ready():
    raise ValueError("no network for " + "x" * 120, secret)


def busy():
    while True:
        show()


show()
"""


@pytest.mark.parametrize(
    "check",
    [
        "{console: ^never$, timeout: 2}",
        '{expression: "ready()", timeout: 2}',
        '{expression: "busy()", timeout: 2}',
        '{expression: "{}[secret]", timeout: 2}',
    ],
)
def test_a_board_that_says_its_secret_fails_its_check_without_a_trace_of_it(
    station: Station, check: str
) -> None:
    secret = "a\"b'ü&<c\\d 漢\x07\nÉ-fghijk"
    station.board("x", firmware=station.firmware(ESP32))
    station.write("secrets.yaml", f"wifi: {json.dumps(secret)}\n").chmod(0o600)
    station.write("secret.json.j2", "{{ wifi | tojson }}")
    station.write("main.py", CHATTY)
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: esp32
            vars: {{wifi: !secret wifi}}
            files:
              - {{src: secret.json.j2, dest: /secret.json, template: true}}
              - main.py
            check: {check}
        """,
    )
    said = ""
    for words in (
        ["apply", "-vv", *REPORTS],
        ["check", "--json", "-vv"],
    ):
        ended = station.provision(*words)
        assert ended.code in (4, 5), ended.said
        said += ended.said
        said += "".join(str(event) for event in ended.events) if "--json" in words else ""
    assert json.loads(station.files("x")["/secret.json"]) == secret
    kept = [station.work / name for name in ("run.log", "run.xml", "run.html")]
    kept += (station.work.parent / "state").rglob("*.jsonl")
    assert len(kept) == 5
    said += "".join(path.read_text(encoding="utf-8") for path in kept)
    assert shown_of(secret, said, 8) == set()  # `&quot;` is the report's own
    assert "***" in said, said


def test_a_program_is_told_no_secret_either(station: Station) -> None:
    secret = "a\"b'ü&<c\\d-fghijk"
    station.board("x", firmware=station.firmware(ESP32))
    station.write("secrets.yaml", f"wifi: {json.dumps(secret)}\n").chmod(0o600)
    station.write("secret.txt.j2", "{{ wifi }}")
    station.write("plain.txt", secret)
    station.write("main.py", "def ready():\n    raise ValueError(open('/secret.txt').read())\n")
    manifest = station.write(
        "fleet.yaml",
        """
        devices:
          x:
            port: sim://x
            board: esp32
            vars: {wifi: !secret wifi}
            files:
              - {src: secret.txt.j2, dest: /secret.txt, template: true}
              - main.py
              - plain.txt
            check: {expression: "ready()", timeout: 1}
        """,
    )
    events: list[object] = []
    report = api.apply(api.load(manifest), diff=True, on_event=events.append)
    (device,) = report.devices
    assert device.error is not None
    told = [*map(repr, events), repr(device), device.error.message, device.error.hint]
    told += traceback.format_exception(device.error)
    said = "\n".join(told)
    assert "ValueError: ***" in said
    assert "+***" in said
    assert shown_of(secret, said, 8) == set()
    assert hashlib.sha256(secret.encode()).hexdigest()[:12] not in said


def test_who_is_asked_sees_no_secret(station: Station) -> None:
    """Even where the manifest writes it out beside the place that keeps it."""
    station.board("x")
    station.write("secrets.yaml", f"token: {TOKEN}\n").chmod(0o600)
    station.write("main.py", "print(1)\n")
    manifest = station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: esp32
            firmware: {{file: {station.firmware(ESP32)}}}
            files: [main.py]
            check: {{console: "is {TOKEN}"}}
        """,
    )
    asked: list[str] = []

    def confirm(device: str, plan: Plan) -> bool:
        asked.append(repr(plan))
        return False

    api.apply(api.load(manifest), confirm=confirm)
    assert len(asked) == 1
    assert "is ***" in asked[0]
    assert TOKEN not in asked[0]


TALKER = """
import time
while True:
    try:
        while True:
            print(repr(open("/secret.txt").read()))
            time.sleep(0.05)
    except KeyboardInterrupt:
        pass
"""


def test_an_app_that_never_stops_to_say_its_secret_is_heard_without_it(station: Station) -> None:
    """What was heard last begins and ends anywhere in it."""
    secret = "a\"b'ü&<c\\d-fghijk"
    station.board("x", firmware=station.firmware(ESP32))
    station.write("secrets.yaml", f"wifi: {json.dumps(secret)}\n").chmod(0o600)
    station.write("secret.txt.j2", "{{ wifi }}")
    station.write("main.py", TALKER)
    station.write(
        "fleet.yaml",
        """
        devices:
          x:
            port: sim://x
            board: esp32
            vars: {wifi: !secret wifi}
            files: [{src: secret.txt.j2, dest: /secret.txt, template: true}, main.py]
        """,
    )
    assert station.provision("apply").code == 0
    said = station.provision("facts", "--json", "-vv").said
    said += station.provision("discover", "--probe", "--json").said
    assert "could not interrupt the running program to reach the REPL; last heard: " in said
    assert "'***'" in said
    assert shown_of(secret, said, 6) == set()
