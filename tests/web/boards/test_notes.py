"""What was looked up of boards: shown without secrets and control sequences, kept within bounds,
and no path that was not listed."""

from __future__ import annotations

import pytest

from provision.model.state import BoardEntry
from provision.web.boards import notes as board_notes
from provision.web.boards.notes import MOST_SHOWN, BoardNotes, ReadFile, entry_id

FILE = BoardEntry(path="/main.py", kind="file", size=3)
FOLDER = BoardEntry(path="/lib", kind="directory")


def masked(text: str) -> str:
    return text.replace("hunter2", "***")


def read(data: bytes, path: str = "/main.py") -> ReadFile:
    notes = BoardNotes()
    notes.read("x", path, data, masked)
    found = notes.file("x", entry_id(path))
    assert found is not None
    return found


def test_only_files_that_were_listed_can_be_asked_for() -> None:
    notes = BoardNotes()
    assert notes.entry("x", entry_id("/main.py")) is None
    notes.listed("x", (FILE, FOLDER))
    assert notes.entry("x", entry_id("/main.py")) == FILE
    for path in ("/lib", "/../etc/passwd", "/secrets.yaml", "", "/main.py/"):
        assert notes.entry("x", entry_id(path)) is None
    assert notes.entry("y", entry_id("/main.py")) is None


def test_text_is_shown_without_secrets_and_control_sequences() -> None:
    found = read(b"a \x1b[31mhunter2\x1b[0m\r\nb")
    assert (found.shown, found.masked) == ("a ***\nb", True)
    assert found.data == b"a \x1b[31mhunter2\x1b[0m\r\nb", "what is saved is the file"
    assert read(b"hun\x1b[0mter2").shown == "***"
    assert read("grün".encode()).shown == "grün"
    assert not read(b"plain").masked


@pytest.mark.parametrize("data", [b"\x00text", b"\xff\xfe", bytes(range(256))])
def test_what_is_no_text_is_shown_in_hexadecimal(data: bytes) -> None:
    found = read(data)
    assert found.shown is None
    assert found.text.startswith("000000  " + data[:16].hex(" "))


def test_a_large_text_is_cut_on_the_page_alone() -> None:
    found = read(b"x" * (MOST_SHOWN + 1))
    assert found.cut
    assert len(found.text) == MOST_SHOWN
    assert len(found.data) == MOST_SHOWN + 1


@pytest.mark.parametrize(
    ("path", "name"),
    [("/main.py", "main.py"), ("/a/b.txt", "b.txt"), ('/"; x="', "%22; x=%22"),
     ("/grün", "grün"), ("/a\r\nx: y", "a%0D%0Ax%3A y"), ("/..", ".%2E")],
)  # fmt: skip
def test_the_name_of_what_is_saved_fits_any_folder(path: str, name: str) -> None:
    assert read(b"", path).name == name


def test_memory_is_bounded_and_a_new_listing_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_notes, "MOST_READ", 10)
    notes = BoardNotes()
    for number in range(5):
        notes.read("x", f"/{number}", b"1234", masked)
    kept = [number for number in range(5) if notes.file("x", entry_id(f"/{number}"))]
    assert kept == [3, 4]
    notes.read("x", "/large", b"1" * 100, masked)
    assert notes.file("x", entry_id("/large")), "the last one is kept, however large"
    notes.listed("x", (FILE,))
    assert notes.file("x", entry_id("/large")) is None
