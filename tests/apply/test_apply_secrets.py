"""A secret reaches the board and nothing else: not a terminal, a log, a record or a report."""

from __future__ import annotations

import hashlib
import json
import re

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station

SECRET = "tr0ub4dor&3 über 'alles'"
TOKEN = "tok-3f9c81aa27"


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
        ["apply", "-vv", "--diff", "--log-file", "run.log", "--junit", "run.xml"],
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

    kept = [station.work / "run.log", station.work / "run.xml"]
    kept += (station.work.parent / "state").rglob("*.jsonl")
    assert len(kept) >= 6, "each run leaves a record"
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
