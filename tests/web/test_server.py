"""The server itself, over real sockets: how it is started, many streams, strange requests."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from provision.errors import UsageError
from provision.web.live import MOST_STREAMS
from provision.web.server import Certificate
from tests.apply.station import Run, Station
from tests.cas import make_ca
from tests.web.conftest import Serve, link

PATIENCE = 60.0  # seconds


@pytest.fixture
def running(station: Station, serve: Serve) -> Iterator[tuple[Run, httpx.Client]]:
    """A server for devices that nobody has plugged in, and somebody who may operate."""
    lines = "\n".join(
        f"  d{number}: {{board: esp32, port: /dev/none-{number}}}" for number in range(3)
    )
    station.write("fleet.yaml", f"devices:\n{lines}\n")
    run = serve()
    with httpx.Client(follow_redirects=True, timeout=PATIENCE) as client:
        client.get(link(run))
        client.base_url = link(run).partition("/?")[0]
        yield run, client
    run.signal(signal.SIGTERM)
    ended = run.end()
    assert ended.code == 0
    assert ended.err == "Ctrl-C ends it\n"


AT_ITS_FIRST_WORDS = """
import os, signal, sys
write = sys.stderr.write
def interrupted(text):
    written = write(text)
    if "Ctrl-C" in text:
        os.kill(os.getpid(), signal.SIGINT)
    return written
sys.stderr.write = interrupted
from provision.__main__ import main
sys.argv = ["provision", "serve", "--port", "0"]
main()
"""


def test_ctrl_c_ends_it_as_soon_as_it_says_so(station: Station) -> None:
    station.write("fleet.yaml", "devices: {a: {board: esp32, port: /dev/none}}\n")
    ended = subprocess.run(
        [sys.executable, "-c", AT_ITS_FIRST_WORDS],
        cwd=station.work, env=station.environment, timeout=PATIENCE, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "Ctrl-C ends it\n")


def raw(client: httpx.Client, request: str) -> socket.socket:
    place = urlsplit(str(client.base_url))
    assert place.hostname is not None
    connection = socket.create_connection((place.hostname, place.port or 80), PATIENCE)
    connection.sendall(request.encode())
    return connection


def head(client: httpx.Client, path: str) -> str:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    host = urlsplit(str(client.base_url)).netloc
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n"


def until(connection: socket.socket, text: bytes) -> bytes:
    """Read until that has come, or the other side has closed."""
    heard = b""
    while text not in heard:
        piece = connection.recv(65536)
        if not piece:
            break
        heard += piece
    return heard


def test_two_hundred_streams_are_served_and_one_too_many_is_told(
    running: tuple[Run, httpx.Client],
) -> None:
    _, client = running
    page = client.get("/").text
    (live,) = re.findall(r'sse-connect="([^"]+)"', page)
    (csrf, *_) = re.findall(r'name="csrf" value="(\w+)"', page)
    with ExitStack() as open_streams:
        streams = [
            open_streams.enter_context(raw(client, head(client, live) + "\r\n"))
            for _ in range(MOST_STREAMS)
        ]
        for stream in streams:
            assert b"200 OK" in until(stream, b": \n\n")
        full = client.get(live)
        assert full.status_code == 503
        assert f"{MOST_STREAMS} pages are followed live already" in full.text
        fields = {"csrf": csrf, "action": "plan", "device": ["d0", "d1"]}
        assert client.post("/runs", data=fields).status_code == 200
        for stream in streams:
            assert b"not plugged in" in until(stream, b"unreachable")
        assert client.get("/").status_code == 200
    assert client.get("/healthz").json()["status"] == "ok"


def test_no_raw_path_leads_elsewhere(running: tuple[Run, httpx.Client]) -> None:
    _, client = running
    for path in (
        "/static/../app.py", "/static/../../../../../../etc/passwd", "/static/%2e%2e/app.py",
        "/static/..%2f..%2f..%2fetc/passwd", "/static//etc/passwd", "/../../etc/passwd",
        "//etc/passwd", "/static/./../server.py", "/static/vendor/%2e%2e/%2e%2e/server.py",
        "/runs/../../applies",
    ):  # fmt: skip
        with raw(client, head(client, path) + "Connection: close\r\n\r\n") as connection:
            answer = until(connection, b"nothing ends it but the server")
        assert re.match(rb"HTTP/1.1 (400|404) ", answer), (path, answer)
        assert b"import " not in answer
        assert b"root:" not in answer


STRANGE = {
    "unended": "GET / HTTP/1.1\r\n",
    "tls": "\x16\x03\x01\x02\x00\x01\x00",
    "two hosts": "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "long": "GET /" + "x" * 100_000,
    "large": "POST /runs HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    "empty": "\r\n" * 100,
}


def test_strange_requests_hold_nobody_up(running: tuple[Run, httpx.Client]) -> None:
    _, client = running
    with ExitStack() as strangers:
        for request in STRANGE.values():
            strangers.enter_context(raw(client, request))
        assert client.get("/").status_code == 200


def test_a_key_that_will_not_do_is_told_and_no_pass_phrase_asked_for(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.pem" for name in ("certificate", "key", "locked", "others")}
    pair, locked, others = make_ca(), make_ca(password=b"secret"), make_ca()
    contents = (*pair, b"".join(locked), others[1])
    for path, content in zip(paths.values(), contents, strict=True):
        path.write_bytes(content)
    Certificate(certificate=paths["certificate"], key=paths["key"]).check()
    for wrong in (paths["locked"], paths["others"], paths["certificate"], tmp_path / "none"):
        with pytest.raises(UsageError) as raised:
            Certificate(certificate=paths["certificate"], key=wrong).check()
        assert str(wrong) in raised.value.message
        assert "without a pass phrase" in raised.value.hint
    code = "import sys; from pathlib import Path; from provision.web.server import Certificate; "
    code += "both = Path(sys.argv[1]); Certificate(certificate=both, key=both).check()"
    asked = subprocess.run(  # without a terminal OpenSSL would read it from there
        [sys.executable, "-c", code, paths["locked"]],
        input=b"secret\n", capture_output=True, start_new_session=True, check=False,
    )  # fmt: skip
    assert b"UsageError" in asked.stderr
    assert b"pass phrase:" not in asked.stderr


def test_with_a_certificate_nothing_is_said_in_clear(station: Station, serve: Serve) -> None:
    station.write("fleet.yaml", "devices: {a: {board: esp32, port: /dev/none}}\n")
    certificate, key = make_ca("127.0.0.1")
    (station.work / "certificate.pem").write_bytes(certificate)
    (station.work / "key.pem").write_bytes(key)
    run = serve("--tls-cert", "certificate.pem", "--tls-key", "key.pem")
    assert link(run).startswith("https://127.0.0.1:")
    trust = ssl.create_default_context(cadata=certificate.decode())
    trust.check_hostname = False  # what is tried is the server's part
    with httpx.Client(verify=trust, timeout=PATIENCE) as client:
        answer = client.get(link(run))
        assert answer.status_code == 303
        assert "secure" in answer.headers["set-cookie"].lower()
        with pytest.raises(httpx.TransportError):
            client.get(link(run).replace("https:", "http:"))


def test_another_address_wants_tokens_that_last_and_warns_without_tls(
    station: Station, serve: Serve
) -> None:
    station.write("fleet.yaml", "devices: {a: {board: esp32, port: /dev/none}}\n")
    refused = station.provision("serve", "--bind", "0.0.0.0", "--port", "0")
    assert refused.code == 2
    assert "--token-file tokens" in refused.err
    run = serve("--bind", "0.0.0.0", "--token-file", "tokens")
    assert "warning: without TLS" in run.err
    assert [line.partition(":")[0] for line in run.out.splitlines()] == [
        "to operate", "to look only",
    ]  # fmt: skip
    port = urlsplit(link(run)).port
    token = link(run).partition("token=")[2]
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(timeout=PATIENCE) as client:
        place = f"http://127.0.0.1:{port}/"
        assert client.get(place, headers=headers).status_code == 200
        strange = client.get(place, headers={**headers, "host": f"evil.example:{port}"})
        assert strange.status_code == 421
    second = station.provision("serve", "--port", "0")
    assert second.code == 2
    assert "another `provision serve` is at work with" in second.err
    taken = station.write("other.yaml", "devices: {a: {board: esp32, port: /dev/none}}\n")
    busy = station.provision("serve", "--port", str(port), str(taken))
    assert busy.code == 2
    assert "--port" in busy.err
