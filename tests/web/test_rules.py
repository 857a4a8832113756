"""Who gets to see a page, and who may change something: each rule, by what breaks it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from provision import api
from provision.errors import UsageError
from provision.web.access import LEAST_TOKEN, Access, HostNames, is_loopback, token_file
from provision.web.app import create_app
from provision.web.guard import HEADERS, Doorkeeper
from provision.web.pages import device, fleet, ledger, metrics, runs, station
from provision.web.site import Site
from tests.fleets import write_tree
from tests.web.client import Client

PAGES = (device, fleet, ledger, metrics, runs, station)
PLACE = "http://127.0.0.1:8321"
TOKENS = {"operate": "o" * 32, "view": "v" * 32}
MANIFEST = """
    defaults: {board: esp32}
    groups: {sensors: {}}
    devices:
      kitchen: {groups: [sensors], port: /dev/none-1}
      shed: {port: /dev/none-2}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    write_tree(tmp_path, {"fleet.yaml": MANIFEST})
    made = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path / "backups")
    yield made
    made.close()


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    """A browser that nobody has logged in with. Jobs are queued, and none is done."""
    access = Access({"operate": TOKENS["operate"], "view": TOKENS["view"]})
    names = HostNames(["127.0.0.1", "localhost", "[::1]"], 8321, addresses=False)
    doorkeeper = Doorkeeper(access, names, cookie="provision-8321", secure=False)
    made = Client(create_app(site, doorkeeper), PLACE)
    yield made
    made.close()


def log_in(client: Client, role: str) -> str:
    """Open the link of a role; what its forms bring along."""
    answer = client.get("/", params={"token": TOKENS[role]})
    assert answer.status_code == 303
    page = client.get("/")
    assert page.status_code == 200
    found = re.search(r'name="csrf" value="(\w+)"', page.text)
    assert found is not None
    return found[1]


def plan(client: Client, csrf: str, **headers: str) -> int:
    """Press a button; the status of the answer."""
    fields = {"csrf": csrf, "action": "plan", "device": "kitchen"}
    return client.post("/runs", data=fields, headers=headers).status_code


def test_a_link_logs_in_and_is_left_at_once(client: Client) -> None:
    answer = client.get("/", params={"token": TOKENS["operate"], "group": "sensors"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?group=sensors"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKENS["operate"] not in cookie


@pytest.mark.parametrize("token", ["", "wrong", TOKENS["view"][:-1], "\udce9", "x" * 2000])
def test_a_wrong_token_opens_nothing(client: Client, token: str) -> None:
    answer = client.get("/?token=" + quote(token.encode("utf-8", "surrogateescape")))
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert client.get("/").status_code == 401


def addresses(site: Site, method: str) -> list[str]:
    """All that the pages answer to by this method, whoever may ask."""
    named = {"device": "kitchen", "run": "x", "file": "x", "what": "facts"}
    routes = [route for page in PAGES for route in page.routes(site)]
    return [route.path.format_map(named) for route in routes if method in (route.methods or ())]


def test_without_a_cookie_nothing_is_shown(site: Site, client: Client) -> None:
    paths = [*addresses(site, "GET"), "/nowhere"]
    assert {"/devices/kitchen/files/x/save", "/ledger/ledger.json", "/metrics"} < set(paths)
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert "kitchen" not in answer.text


def test_a_cookie_that_this_server_did_not_make_is_none(client: Client) -> None:
    log_in(client, "view")
    (name,) = client.cookies.keys()
    mine = client.cookies[name]
    other = mine[:-1] + ("1" if mine.endswith("0") else "0")
    forged = (mine.replace("view.", "operate."), other, "operate..", "x", "")
    client.cookies.clear()
    for cookie in forged:
        assert client.get("/", headers={"cookie": f"{name}={cookie}"}).status_code == 401


def test_a_token_in_a_header_will_do_for_programs(client: Client) -> None:
    headers = {"authorization": f"Bearer {TOKENS['view']}"}
    assert client.get("/runs", headers=headers).status_code == 200
    assert client.post("/runs", headers=headers, data={"action": "plan"}).status_code == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example:8321", "127.0.0.1", "127.0.0.1:80", "localhost.evil:8321", "[::2]:8321",
     "127.0.0.1:8321@evil", "", "127.0.0.2:8321"],
)  # fmt: skip
def test_a_name_that_is_not_ours_gets_nothing(client: Client, host: str) -> None:
    log_in(client, "operate")
    for path in ("/", "/healthz", "/static/page.css"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 421
        assert "kitchen" not in answer.text


def test_the_names_of_this_computer(client: Client) -> None:
    for host in ("127.0.0.1:8321", "LOCALHOST:8321", "[::1]:8321"):
        assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_on_a_network_an_address_will_do_and_a_strange_name_will_not() -> None:
    names = HostNames(["station.local"], 443, addresses=True)
    good = ("192.168.1.7:443", "[fe80::1]", "station.local", "STATION.local:443")
    assert [host for host in good if not names.accepts(host, scheme="https")] == []
    bad = ("evil.example", "192.168.1.7:80", "[fe80::1]:8443", "1.2.3.4.evil.example")
    assert [host for host in bad if names.accepts(host, scheme="https")] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"origin": PLACE, "sec-fetch-site": "same-origin"}, 303),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 403),
        ({"origin": "https://127.0.0.1:8321"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_a_form_of_another_page_does_nothing(
    site: Site, client: Client, headers: dict[str, str], status: int
) -> None:
    csrf = log_in(client, "operate")
    assert plan(client, csrf, **headers) == status
    assert len(site.queue.jobs) == (status == 303)


def test_a_form_without_what_its_session_was_given_does_nothing(site: Site, client: Client) -> None:
    csrf = log_in(client, "operate")
    other = log_in(client, "operate")
    assert csrf != other
    for wrong in (csrf, "", "x", other[:-1]):
        assert plan(client, wrong) == 403
    assert client.post("/runs", data={"action": "plan", "device": "kitchen"}).status_code == 403
    assert site.queue.jobs == ()


def test_who_may_look_changes_nothing(site: Site, client: Client) -> None:
    csrf = log_in(client, "view")
    job = site.queue.submit("plan", ["kitchen"])
    assert plan(client, csrf) == 403
    paths = addresses(site, "POST")
    assert {"/devices/kitchen/look/facts", "/devices/kitchen/console/open", "/station/start"} < (
        set(paths)
    )
    for path in [*paths, *(f"/runs/{job.id}/{what}" for what in ("cancel", "agree", "again"))]:
        answer = client.post(path, data={"csrf": csrf, "action": "plan"})
        assert answer.status_code == 403, path
    assert client.get("/devices/kitchen/files/x/save").status_code == 403
    assert site.queue.jobs == (job,)
    assert site.consoles.state("kitchen") == "closed"
    assert not job.cancel.cancelled()
    assert client.post("/logout", data={"csrf": csrf}).status_code == 303


def test_no_get_changes_anything(site: Site, client: Client) -> None:
    csrf = log_in(client, "operate")
    job = site.queue.submit("plan", ["kitchen"])
    fields = {"csrf": csrf, "action": "apply", "device": "kitchen", "question": "x"}
    for path in ("/runs", *(f"/runs/{job.id}/{what}" for what in ("cancel", "agree", "again"))):
        client.get(path, params=fields)
        client.request("HEAD", path, params=fields)
    for path in ("/logout", "/login"):
        assert client.get(path, params=fields).status_code in (404, 405)
    assert site.queue.jobs == (job,)
    assert not job.cancel.cancelled()
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_answered_by_no_page(client: Client, method: str) -> None:
    log_in(client, "operate")
    assert client.request(method, "/runs").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/....//app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/vendor/../../app.py",
        "/static/\\..\\app.py",
        "/static/%00",
        "/runs/..%2f..%2fapplies",
        "/runs/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/runs/20260101T000000.000000Z-1%00",
    ],
)
def test_no_path_leads_elsewhere(client: Client, path: str) -> None:
    log_in(client, "view")
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "Starlette" not in answer.text
    assert "root:" not in answer.text


def test_a_form_that_is_too_large_is_left_unread(client: Client) -> None:
    csrf = log_in(client, "operate")
    assert plan(client, csrf + "x" * (1 << 20)) == 413
    assert client.get("/?" + "x" * 4000).status_code == 414


@pytest.mark.parametrize("body", ["%", "a", "a=%zz&b", "csrf=%ff", "&" * 30000, "a=1&" * 30000])
def test_what_is_no_form_of_ours_is_refused(client: Client, body: str) -> None:
    log_in(client, "operate")
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/runs", content=body, headers=headers)
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("path", ["/", "/runs", "/healthz", "/static/page.js", "/nowhere"])
def test_every_answer_has_the_headers(client: Client, path: str) -> None:
    for role in (None, "view"):
        if role is not None:
            log_in(client, role)
        answer = client.get(path)
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode()
        kept = path.startswith("/static/")
        assert answer.headers["cache-control"] == ("no-cache" if kept else "no-store")


def test_pages_have_no_script_and_no_style_of_their_own(site: Site, client: Client) -> None:
    """The policy would not run them."""
    log_in(client, "operate")
    job = site.queue.submit("plan", ["kitchen"])
    for path in ("/", "/runs", f"/runs/{job.id}", "/nowhere"):
        text = client.get(path).text
        assert re.findall(r"<script(?![^>]* src=)", text) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", text) == []


def test_a_manifest_cannot_write_into_a_page(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {"fleet.yaml": "fleet: '<script>alert(1)</script>'\ndevices: {a: {board: esp32, port: x}}"},
    )
    site = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path)
    html = site.templates.piece("fleet_pieces.html", "tile", site.tiles.tile("a"))
    assert "tile-a" in html
    page = site.templates.render(
        "runs.html", site=site, session=True, here="/", csrf="", may_operate=True, jobs=[],
        recorded=[],
    )  # fmt: skip
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_server_says_that_it_is_there_to_anybody(client: Client) -> None:
    answer = client.get("/healthz")
    assert answer.json()["status"] == "ok"


def test_tokens_of_a_file_stay_and_are_private(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    made = token_file(path)
    assert token_file(path).tokens == made.tokens
    assert path.stat().st_mode & 0o077 == 0
    assert len(set(made.tokens.values())) == 2
    cookie = made.cookie("view")
    session = token_file(path).session(cookie)
    assert session is not None
    assert not session.may_operate
    assert Access.random().session(cookie) is None


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("view " + "v" * 32, 0o600, "has no line `operate TOKEN`"),
        ("operate short", 0o600, f"is not {LEAST_TOKEN} letters"),
        ("operate " + "a" * 32 + "\nview " + "a" * 32, 0o600, "both roles"),
        ("admin " + "a" * 32, 0o600, "line 1 is no"),
        ("operate " + "ü" * 32, 0o600, "is not"),
        ("operate " + "a" * 32, 0o640, "can be read by other users"),
        ("operate " + "a" * 5000, 0o600, "larger than"),
    ],
)
def test_a_token_file_that_will_not_do(tmp_path: Path, text: str, mode: int, said: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(UsageError) as raised:
        token_file(path)
    assert said in raised.value.message


def test_which_addresses_only_this_computer_reaches() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.1", "localhost.evil", "")))


def test_the_page_of_a_device_follows_the_manifest(
    tmp_path: Path, site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.web.project.FRESH", 0.0)
    log_in(client, "view")
    assert client.get("/devices/attic").status_code == 404
    write_tree(tmp_path, {"fleet.yaml": MANIFEST.replace("shed", "attic")})
    assert client.get("/devices/attic").status_code == 200
    gone = client.get("/devices/shed")
    assert gone.status_code == 404
    assert "the manifest has no such device" in gone.text
