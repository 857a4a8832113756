"""A manifest that has not changed is not judged by the schema again, and any other is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provision.errors import ManifestError
from provision.project.manifest_file import load
from provision.project.schema_passes import SchemaPasses

GOOD = "devices: {kitchen: {board: esp32, port: /dev/ttyUSB0}}\n"


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "fleet.yaml"
    path.write_text(text)
    return str(path)


def kept(passes: Path) -> int:
    return len(passes.read_text().splitlines()) if passes.exists() else 0


def test_what_passed_is_remembered_by_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "state" / "valid"
    load(write(tmp_path, GOOD), passes=SchemaPasses(file))
    load(write(tmp_path, GOOD), passes=SchemaPasses(file))
    assert kept(file) == 1
    load(write(tmp_path, GOOD + "# another\n"), passes=SchemaPasses(file))
    assert kept(file) == 2


def test_what_did_not_pass_is_judged_each_time(tmp_path: Path) -> None:
    file = tmp_path / "valid"
    path = write(tmp_path, GOOD.replace("port:", "prt:"))
    for _ in range(2):
        with pytest.raises(ManifestError) as caught:
            load(path, passes=SchemaPasses(file))
        assert "prt" in caught.value.problems[0].message
    assert kept(file) == 0


def test_a_pass_under_another_schema_is_none() -> None:
    passes = SchemaPasses(None)
    assert passes.digest(b"a", "schema") != passes.digest(b"a", "other schema")


@pytest.mark.parametrize("content", [b"", b"\xff\x00garbage" * 50, b"0" * 63 + b"\n"])
def test_a_spoilt_file_only_means_that_it_is_judged(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "valid"
    file.write_bytes(content)
    with pytest.raises(ManifestError):
        load(write(tmp_path, GOOD.replace("port:", "prt:")), passes=SchemaPasses(file))
    load(write(tmp_path, GOOD), passes=SchemaPasses(file))
    assert kept(file) == 1


def test_the_file_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "valid"
    passes = SchemaPasses(file)
    digests = [passes.digest(str(number).encode(), "") for number in range(250)]
    for digest in digests:
        passes.add(digest)
    assert kept(file) == 200
    assert passes.has(digests[-1])
    assert not passes.has(digests[0])


def test_what_judges_is_not_imported_for_an_unchanged_manifest(tmp_path: Path) -> None:
    code = (
        "import sys; from provision.project.manifest_file import load;"
        "from provision.project.schema_passes import SchemaPasses; from pathlib import Path;"
        f"load({write(tmp_path, GOOD)!r}, passes=SchemaPasses(Path({str(tmp_path / 'valid')!r})));"
        "print('jsonschema' in sys.modules)"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [one.stdout.strip() for one in said] == ["True", "False"]
