"""`certificate:` on virtual boards: made once, renewed when needed, its key on the board alone."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station
from tests.cas import make_ca


def manifest(station: Station, more: str = "", *, cn: str = "{{ name }}.home") -> None:
    if not (station.work / "ca").exists():
        for name, data in zip(("ca/ca.pem", "ca/ca-key.pem"), make_ca(), strict=True):
            station.write(name, data)
    station.write("main.py", "print(1)")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: esp32
            files: [main.py]
            certificate:
              ca: {{cert: ca/ca.pem, key: ca/ca-key.pem}}
              cn: "{cn}"
              dest_cert: /tls/cert.der
              dest_key: /tls/key.der
            {more}
        """,
    )


def on_board(station: Station) -> tuple[bytes, bytes]:
    files = station.files("x")
    return files["/tls/cert.der"], files["/tls/key.der"]


def kept_anywhere(station: Station, data: bytes) -> list[Path]:
    """The files of this computer that hold these bytes, or them in hex or base64, the board's own
    flash left out."""
    # What a text in base64 says of them wherever they begin in it.
    coded = [base64.b64encode(bytes(before) + data)[4:-4] for before in range(3)]
    forms = (data, data.hex().encode(), *coded)
    found = []
    for path in station.home.parent.rglob("*"):
        if path.is_file() and not path.is_relative_to(station.home):
            content = path.read_bytes()
            if any(form in content for form in forms):
                found.append(path)
    return found


def test_it_is_made_once_and_its_key_stays_on_the_board(station: Station) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    manifest(station, "check: {console: '1', timeout: 20, on_failure: rollback}")
    plan = station.plan("--json")
    assert {"write-file /tls/cert.der", "write-file /tls/key.der"} <= set(plan.planned("x"))
    assert "/tls/key.der" not in station.files("x")
    ended = station.apply("-vv", "--log-file", "log.txt")
    assert {"write-file /tls/cert.der", "write-file /tls/key.der"} <= set(ended.done("x"))
    certificate, key = on_board(station)
    found = x509.load_der_x509_certificate(certificate)
    ca = x509.load_pem_x509_certificate((station.work / "ca/ca.pem").read_bytes())
    found.verify_directly_issued_by(ca)
    assert found.public_key() == load_der_private_key(key, None).public_key()
    assert found.subject.rfc4514_string() == "CN=x.home"
    assert kept_anywhere(station, key) == []
    assert kept_anywhere(station, key[40:72]) == [], "not in part either"

    again = station.apply()
    assert again.outcomes == {"x": "ok"}
    assert again.done("x") == []
    assert on_board(station) == (certificate, key)

    manifest(station, "check: {console: '1', timeout: 20, on_failure: rollback}", cn="attic")
    other = station.apply()
    assert "is for 'x.home', 'attic' is wanted" in other.said
    new_certificate, new_key = on_board(station)
    assert new_key != key
    assert x509.load_der_x509_certificate(new_certificate).subject.rfc4514_string() == "CN=attic"
    assert kept_anywhere(station, key[40:72]) == [], "the old key is kept by no rollback"
    assert kept_anywhere(station, new_key[40:72]) == []
    assert station.apply().outcomes == {"x": "ok"}


def test_it_goes_with_the_firmware_of_a_blank_board(station: Station) -> None:
    station.board("x", ESP32, None)
    manifest(station, f"firmware: {{file: {station.firmware(ESP32)}}}")
    station.apply("--yes")
    certificate, key = on_board(station)
    assert x509.load_der_x509_certificate(certificate)
    assert station.apply().outcomes == {"x": "ok"}
    assert on_board(station) == (certificate, key)
    assert kept_anywhere(station, key[40:72]) == []
    # An erase takes the key along: both are made anew, never one of them.
    manifest(station, f"firmware: {{file: {station.firmware(ESP32, '1.25.0')}, erase: always}}")
    station.apply("--yes")
    new_certificate, new_key = on_board(station)
    assert (new_key != key, new_certificate != certificate) == (True, True)
    found = x509.load_der_x509_certificate(new_certificate)
    assert found.public_key() == load_der_private_key(new_key, None).public_key()


CHECK = "check: {console: '1', timeout: 20, on_failure: rollback}"


@pytest.mark.parametrize("way", ["pruned", "moved", "replaced"])
def test_no_rollback_keeps_a_key_that_the_manifest_names_no_more(
    station: Station, way: str
) -> None:
    """The rest goes back, and both the apply and the rollback say that the key does not."""
    station.board("x", ESP32, station.firmware(ESP32))
    manifest(station, CHECK)
    station.apply()
    certificate, key = on_board(station)
    other = make_ca()[1]
    station.write("other.pem", other)
    main = station.files("x")["/main.py"]
    pruned, files = "prune: [/tls]", "[main.py]"
    if way == "moved":
        manifest(station, f"{CHECK}\n            prune: [/tls]")
        text = (station.work / "fleet.yaml").read_text()
        station.write("fleet.yaml", text.replace("/tls/key.der", "/tls/new.der"))
    else:
        if way == "replaced":
            pruned = ""
            station.write("cert.der", "another")
            files = "[main.py, {src: other.pem, dest: /tls/key.der}, {src: cert.der, dest: /tls/}]"
        station.write(
            "fleet.yaml",
            f"devices: {{x: {{port: sim://x, board: esp32, files: {files}, {CHECK}, {pruned}}}}}",
        )
    station.write("main.py", "print(11)")
    ended = station.apply()
    told = "/tls/key.der: no rollback keeps a private key"
    assert ended.outcomes == {"x": "changed"}
    assert told in ended.said
    assert kept_anywhere(station, key[40:72]) == []
    back = station.provision("rollback", "--json", "--yes")
    assert back.outcomes == {"x": "changed"}, back.said
    assert told in back.said
    assert station.files("x").get("/tls/key.der") == (other if way == "replaced" else None)
    assert station.files("x")["/main.py"] == main
    if way != "moved":  # there the certificate is still that of `certificate:`
        assert station.files("x")["/tls/cert.der"] == certificate
    assert kept_anywhere(station, key[40:72]) == []


def test_a_key_that_the_manifest_brings_itself_goes_back_as_any_file(station: Station) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    keys = make_ca()[1], make_ca()[1]
    station.write("main.py", "print(1)")
    files = "[main.py, {src: key.pem, dest: /key.pem}]"
    station.write(
        "fleet.yaml", f"devices: {{x: {{port: sim://x, board: esp32, files: {files}, {CHECK}}}}}"
    )
    for key in keys:
        station.write("key.pem", key)
        station.apply()
    assert station.provision("rollback", "--json").outcomes == {"x": "changed"}
    assert station.files("x")["/key.pem"] == keys[0]


@pytest.mark.parametrize("lost", ["/tls/key.der", "/tls/cert.der"])
def test_where_one_of_the_two_is_gone_both_are_made_anew(station: Station, lost: str) -> None:
    """Also where an update was cut between the two: they are never of different pairs."""
    station.board("x", ESP32, station.firmware(ESP32))
    manifest(station)
    station.apply()
    before = on_board(station)
    station.type("x", f"import os; os.remove('{lost}')")
    station.apply()
    certificate, key = on_board(station)
    assert certificate != before[0]
    assert key != before[1]
    # A key of another pair, whole as it is.
    station.type("x", "f = open('/tls/key.der', 'r+b'); f.seek(40); f.write(b'12345'); f.close()")
    ended = station.apply()
    assert "it is not of the key beside it" in ended.said
    assert station.apply().outcomes == {"x": "ok"}


def test_mistakes_are_told_where_they_are(station: Station) -> None:
    manifest(station)
    text = (station.work / "fleet.yaml").read_text()
    text = text.replace("files: [main.py]", "files: [main.py, {src: ca/ca-key.pem, dest: /k}]")
    text = text.replace("/tls/key.der", "/main.py").replace("ca/ca.pem", "ca/none.pem")
    station.write("fleet.yaml", text)
    ended = station.provision("validate", "fleet.yaml")
    assert ended.code == 3
    assert "'ca/none.pem': No such file" in ended.said
    assert "'/main.py' is a file of the manifest already" in ended.said
    assert "'ca/ca-key.pem' is the CA's key, which never goes to a board" in ended.said
    assert "PRIVATE" not in ended.said


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_the_boards_own_ssl_takes_it(station: Station, kind: str) -> None:
    """MicroPython's, over mbed TLS as on the chips; it takes DER, by a path or as bytes, and no key
    in PEM."""
    station.board("x", ESP32, station.firmware(ESP32))
    manifest(station, f"  key: {kind}")
    station.apply()
    assert kind.upper() in type(load_der_private_key(on_board(station)[1], None)).__name__.upper()
    load = "load_cert_chain('/tls/cert.der', {!r})"
    said = station.type(
        "x",
        "import ssl; c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)",
        f"c.{load.format('/tls/key.der')}; print('taken')",
    )
    assert said == "taken"
    said = station.type(
        "x",
        "read = lambda name: open('/tls/' + name, 'rb').read()",
        "c.load_cert_chain(read('cert.der'), read('key.der')); print('taken')",
    )
    assert said == "taken"
    station.put("x", {"/tls/other.pem": make_ca()[1].decode()})
    assert "invalid key" in station.type("x", f"c.{load.format('/tls/other.pem')}")
