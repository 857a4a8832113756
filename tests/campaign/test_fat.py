"""What MicroPython's own driver wrote, the campaign's reader of FAT finds."""

from __future__ import annotations

from tests.campaign import fat, flash


def test_what_is_written_is_read() -> None:
    files = {
        "/main.py": bytes(range(256)) * 80,
        "/UPPER.TXT": b"a short name",
        "/Mixed.Case": b"",
        "/.hidden": b"1",
        "/ü ö.txt": b"2",
        "/lib/deep/er/a_long_name_of_a_module.py": b"3",
        **{f"/many/file number {number}.txt": b"%d" % number * number for number in range(200)},
    }
    assert fat.read(fat.make(flash.files_at(flash.ESP32)[1], files)) == files


def test_another_filesystem_is_none_of_it() -> None:
    assert fat.read(flash.filesystem(16 * flash.BLOCK, {"/a": b"1"})) is None
    assert fat.read(b"\xff" * fat.SECTOR) is None
