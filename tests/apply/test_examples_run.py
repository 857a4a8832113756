"""The other examples, as they are shipped: `python3 examples/NAME`."""

from __future__ import annotations

import os
import shutil

import pytest
from cryptography import x509

from provision.core.chips.rp2.chips import RP2040
from provision.station.ledger import Ledger
from tests.apply.examples import run_example
from tests.apply.station import Station

pytest.importorskip("micropython_unix")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="virtual boards need a POSIX system")


@pytest.mark.parametrize(("name", "devices"), [("minimal", 1), ("classroom", 4), ("greenhouse", 2)])
def test_manifests_for_real_boards_pass_on_twins(station: Station, name: str, devices: int) -> None:
    ended = run_example(station, name)
    assert ended.code == 0, ended.said
    assert f"passed: {devices} device{'s' * (devices > 1)} in 1 run" in ended.out
    told = "placeholders stand for the secrets wifi_password" in ended.err
    assert told == (name == "greenhouse")
    assert "placeholder-of-a-secret" not in ended.said


def test_four_families_in_one_manifest(station: Station) -> None:
    first = run_example(station, "mixed")
    assert first.code == 0, first.said
    assert "5 devices: 5 to change (5 to erase, 5 to flash, 15 files)" in first.out
    assert "changed=5 ok=0 failed=0 unreachable=0" in first.out
    for version in ("1.22.2 (ESP module", "1.25.0 (ESP32C3", "1.24.1 (Raspberry Pi Pico"):
        assert version in first.out
    assert b'"led": 16' in station.files("mixed-shelf", RP2040)["/board.json"], (
        "its own, not its kind's"
    )

    second = run_example(station, "mixed")
    assert second.code == 0, second.said
    assert "changed=0 ok=5 failed=0 unreachable=0" in second.out


def test_a_factory_whose_units_have_data_of_their_own(station: Station) -> None:
    first = run_example(station, "factory")
    assert first.code == 0, first.said
    assert "5 passed, 1 failed" in first.out
    assert "supply: supply() gave 2.91, less than 3.2" in first.out
    assert "example-join-key" not in first.said, "a secret is never told"
    folder = station.work / "examples" / "factory"
    ca = x509.load_pem_x509_certificate((folder / "ca" / "ca.pem").read_bytes())
    with Ledger.open(folder / "fleet.ledger", check=True) as ledger:
        units = ledger.units()
    done = [unit for unit in units if unit.state == "done"]
    assert [unit.number for unit in units] == [f"2026-{number:04d}" for number in range(1, 7)]
    assert len(done) == 5
    assert {path.stem for path in (folder / "labels").glob("*.zpl")} == {one.name for one in done}
    for unit in done:
        files = station.files(f"meter-{int((unit.mac or '')[-2:], 16)}")
        certificate = x509.load_der_x509_certificate(files["/tls/cert.der"])
        certificate.verify_directly_issued_by(ca)
        assert certificate.subject.rfc4514_string() == f"CN={unit.name}.meters.example"
        assert f'"serial": "{unit.number}"'.encode() in files["/unit.json"]
        tariff = 2 if unit.number[-1] in "35" else 1  # units.csv
        assert f"tariff {tariff} " in str(unit.result.evidence.checks)

    second = run_example(station, "factory")
    assert second.code == 0, second.said
    assert "5 only looked at" in second.out


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_repository_and_what_ci_does_with_it(station: Station) -> None:
    ended = run_example(station, "ci")
    assert ended.code == 0, ended.said
    assert ended.out.endswith("The first change passes, the second fails.\n")
    first, _, second = ended.out.partition("=== Count how often it starts")
    assert "passed: 2 devices in 2 runs" in first
    assert "would still write /config.json" in second
