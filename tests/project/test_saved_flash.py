"""What is saved of a board while its flash is rewritten: found again whole, or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.interfaces import SavedFlash, StoredContents
from provision.model.firmware import Region
from provision.project.flash_journal import FlashJournal
from provision.project.saved_flash import read_saved, saved_bytes

MAC = "24:6f:28:00:00:01"
NVS = Region(name="NVS", offset=0x9000, data=b"\x00\xff" * 2048)
# A name on a board is any bytes: those that are not UTF-8 are surrogates.
names = st.text(min_size=1, max_size=20).map(lambda name: f"/{name}")
names |= st.binary(min_size=1, max_size=20).map(
    lambda name: "/" + name.decode(errors="surrogateescape")
)
contents = st.builds(
    StoredContents,
    files=st.dictionaries(names, st.binary(max_size=200), max_size=5),
    directories=st.frozensets(names, max_size=5),
)


@given(st.none() | contents, st.sampled_from([(), (NVS,)]))
def test_it_is_found_as_it_was_saved(
    contents: StoredContents | None, regions: tuple[Region, ...]
) -> None:
    saved = SavedFlash(contents=contents, regions=regions)
    assert read_saved(saved_bytes(saved)) == saved


@given(st.data())
def test_what_is_damaged_is_not_taken_for_files(data: st.DataObject) -> None:
    whole = saved_bytes(SavedFlash(contents=StoredContents(files={"/a": b"1"}), regions=(NVS,)))
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert read_saved(whole[:cut]) is None


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"regions": [1]}',
        '{"regions": [], "files": []}',
        '{"regions": {}, "files": 3}',
        '{"regions": [], "files": {"/a": "%"}, "directories": []}',
        "[" * 100_000,
    ],
)
def test_what_somebody_made_up_is_nothing(text: str) -> None:
    assert read_saved(text.encode()) is None


def test_a_run_that_never_ended_leaves_what_it_had_saved(tmp_path: Path) -> None:
    saved = SavedFlash(contents=StoredContents(files={"/a": b"secret"}), regions=(NVS,))
    journal = FlashJournal(tmp_path, Path("/fleet.yaml"))
    journal.begin(MAC, "kitchen", "rewrite", saved)
    other = FlashJournal(tmp_path, Path("/other.yaml"))  # the board's, whoever asks
    assert other.interrupted_mode(MAC) == "rewrite"
    assert other.saved(MAC) == saved
    assert not other.may_erase(MAC, "kitchen")
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in tmp_path.glob("*.saved")} == {0}
    journal.end(MAC)
    assert list(tmp_path.iterdir()) == []


def test_what_was_saved_of_a_board_that_answers_is_set_aside(tmp_path: Path) -> None:
    saved = SavedFlash(contents=StoredContents(files={"/a": b"1"}))
    journal = FlashJournal(tmp_path, Path("/fleet.yaml"))
    assert journal.set_aside(MAC) is None
    journal.begin(MAC, "kitchen", "rewrite", saved)
    aside = journal.set_aside(MAC)
    assert aside is not None
    assert read_saved(Path(aside).read_bytes()) == saved
    assert journal.saved(MAC) is None
    assert journal.interrupted_mode(MAC) is None
    journal.end(MAC)
    assert Path(aside).exists()
