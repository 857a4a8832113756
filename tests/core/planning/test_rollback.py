"""From wherever an apply was cut, also a second one after it, the state before comes back whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from provision.core.chips.esp.chips import ESP8266
from provision.core.planning.diff import diff
from provision.core.planning.rollback import (
    FilesFound,
    changed_files,
    expected_files,
    find_files,
    kept_for,
    sparing,
    state_before,
    told,
)
from provision.engine.execute import contents, file_actions
from provision.engine.observe import scan_request
from provision.interfaces import ScanRequest
from provision.model.board_path import ancestors, at_or_below
from provision.model.kept import ApplyPhase, KeptState
from provision.model.plan import FileAction, Plan, WriteFile
from provision.model.state import (
    ActualState,
    Check,
    Content,
    DesiredFile,
    DesiredState,
    FileState,
    Filesystem,
    FirmwareIdentity,
)
from provision.model.unit_data import DesiredCertificate
from tests.fakes.world import FakeBoard, FakeRepl
from tests.images import profile
from tests.strategies import desired_states, files_apart, paths

FIRMWARE = FirmwareIdentity(version="1.24.1", machine="Generic module", chip=ESP8266)


@st.composite
def boards(draw: st.DrawFn) -> FakeBoard:
    files = {path: path.encode() * draw(st.integers(0, 2)) for path in draw(files_apart)}
    spare = draw(st.lists(paths, max_size=3))
    directories = {one for path in (*files, *spare) for one in ancestors(path)}
    directories |= {path for path in spare if not any(at_or_below(path, file) for file in files)}
    assume(not directories & files.keys())
    return FakeBoard(chip=ESP8266, firmware=FIRMWARE, files=files, directories=directories)


def of_files_alone(desired: DesiredState) -> DesiredState:
    return replace(desired, firmware=None, mac=None, owners={}, check=None)


def carry_out(board: FakeBoard, desired: DesiredState, actions: Sequence[FileAction]) -> None:
    FakeRepl(board).transfer(actions, contents(desired), lambda done, total: None)


def look(board: FakeBoard, request: ScanRequest) -> ActualState:
    return FakeRepl(board).observe(request)


def test_a_certificate_and_its_key_are_no_files_that_come_back() -> None:
    certificate = DesiredCertificate(
        ca="ca.pem", ca_cert=b"c", ca_key=b"k", cn="x", dest_cert="/cert.der", dest_key="/key.der"
    )
    paths = ("/cert.der", "/key.der", "/main.py")
    desired = DesiredState(
        device="x",
        board=profile(ESP8266),
        port=None,
        certificate=certificate,
        files=tuple(
            DesiredFile(dest=path, content=Content(data=path.encode()), source=path)
            for path in paths
        ),
    )
    writes = tuple(
        WriteFile(path=path, size=1, sensitive=False, reason="it differs") for path in paths
    )
    assert changed_files(desired, Plan(device="x", actions=writes)).keys() == {"/main.py"}


@settings(max_examples=300)
@given(
    board=boards(),
    wanted=st.lists(desired_states().map(of_files_alone), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 12), min_size=3, max_size=3),
)
def test_the_state_before_comes_back_from_wherever_an_apply_was_cut(
    board: FakeBoard, wanted: list[DesiredState], cuts: list[int]
) -> None:
    before = dict(board.files), set(board.directories)
    kept: KeptState | None = None
    for desired, cut in zip(wanted, cuts, strict=False):
        actual = look(board, scan_request(desired))
        plan = diff(desired, actual)
        assume(not plan.refusals)
        known = kept.files if kept is not None else {}
        held: Mapping[str, bytes | None] = {
            path: board.files.get(path)
            for path in changed_files(desired, plan)
            if path not in known
        }
        kept = kept_for(desired, plan, actual, held, kept)
        carry_out(board, desired, file_actions(plan)[:cut])
    assert kept is not None
    event("between" if board.files != before[0] else "as before")
    back = state_before(wanted[-1], kept, others=False)
    actual = look(board, scan_request(back))
    seen = look(board, ScanRequest(paths=tuple(kept.files), expected=expected_files(kept)))
    assert actual.filesystem is not None
    assert seen.filesystem is not None
    found = find_files(kept, seen.filesystem)
    assert not found.lost
    back = sparing(back, kept, actual.filesystem, found.own)
    plan = diff(back, actual)
    assert not plan.refusals
    carry_out(board, back, file_actions(plan))
    assert (board.files, board.directories) == before
    after = look(board, scan_request(back))
    assert not diff(back, after).change_count


def kept_of(phase: ApplyPhase = "writing", **changes: object) -> KeptState:
    kept = KeptState(
        phase=phase,
        files={"/a": b"old", "/made/b": None, "/gone": b"old"},
        written={"/a": (sha(b"new"),), "/made/b": (sha(b"new"),), "/gone": (None,)},
        made=frozenset({"/made"}),
    )
    return replace(kept, **changes)  # type: ignore[arg-type]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def on_board(files: Mapping[str, bytes | None]) -> Filesystem:
    return Filesystem(
        files={
            path: FileState(size=None, sha256=sha(data) if data is not None else None)
            for path, data in files.items()
        }
    )


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {"/a": b"old", "/gone": b"old"},
            FilesFound(
                old=(
                    "/a",
                    "/gone",
                    "/made/b",
                )
            ),
        ),
        (
            {"/a": b"new", "/made/b": b"new"},
            FilesFound(
                new=(
                    "/a",
                    "/gone",
                    "/made/b",
                )
            ),
        ),
        (
            {"/a": b"old", "/gone": b"old", "/made/b": b"new"},
            FilesFound(
                old=(
                    "/a",
                    "/gone",
                ),
                new=("/made/b",),
            ),
        ),
        (
            {"/a": b"edited", "/gone": b"old"},
            FilesFound(
                old=(
                    "/gone",
                    "/made/b",
                ),
                other=("/a",),
                lost=("/a",),
            ),
        ),
        (
            {"/gone": b"old"},
            FilesFound(
                old=(
                    "/gone",
                    "/made/b",
                ),
                other=("/a",),
            ),
        ),
        (
            {"/a": None, "/gone": b"old"},
            FilesFound(
                old=(
                    "/gone",
                    "/made/b",
                ),
                other=("/a",),
                lost=("/a",),
            ),
        ),
    ],
)
def test_which_state_a_board_is_in(files: dict[str, bytes | None], found: FilesFound) -> None:
    assert find_files(kept_of(), on_board(files)) == found


def test_what_an_interrupted_apply_had_written_is_nobodys_loss() -> None:
    kept = kept_of(written={**kept_of().written, "/a": (sha(b"first"), sha(b"second"))})
    files = {"/a": b"first", "/gone": b"old"}
    found = find_files(kept, on_board(files))
    assert found == FilesFound(
        old=(
            "/gone",
            "/made/b",
        ),
        other=("/a",),
    )


def test_what_the_app_has_made_its_own_stays() -> None:
    kept = kept_of(spared=frozenset({"/made/b"}))
    changed = on_board({"/a": b"new", "/made/b": b"the app's"})
    assert find_files(kept, changed) == FilesFound(
        new=(
            "/a",
            "/gone",
        ),
        own=("/made/b",),
    )
    before = DesiredState(device="x", board=None, port=None, absent=("/made", "/made/b"))  # type: ignore[arg-type]
    assert sparing(before, kept, changed, ["/made/b"]).absent == ()
    grown = on_board({"/made/b": b"new", "/made/log": b"the app's"})
    assert sparing(before, kept, grown, []).absent == ("/made/b",)


def test_the_check_of_the_state_before_is_the_one_that_it_passed() -> None:
    first, second = Check(console="first"), Check(console="second")
    desired = DesiredState(device="x", board=None, port=None, check=second)  # type: ignore[arg-type]

    def check_before(last: KeptState | None) -> Check | None:
        plan = diff(replace(desired, check=None), ActualState())
        return kept_for(desired, plan, ActualState(), {}, last).check_before

    assert check_before(None) is None
    assert check_before(KeptState(phase="applied", check_after=first)) == first
    for phase in ("writing", "rolling-back", "rolled-back"):
        last = KeptState(phase=phase, check_before=first, check_after=second)
        assert check_before(last) == first


@pytest.mark.parametrize(
    ("phase", "found", "words"),
    [
        ("writing", FilesFound(old=("/a",)), "end: the board has the files from before it. `prov"),
        (
            "writing",
            FilesFound(new=("/a",)),
            "not come to its end: the board has the new files",
        ),
        (
            "writing",
            FilesFound(
                old=("/a",),
                new=(
                    "/b",
                    "/c",
                ),
            ),
            "of 3 changed files the board has 2 new, 1 from before it. `provision apply` goes on "
            "with the new files, `provision rollback -l x` puts back those from before",
        ),
        ("rolling-back", FilesFound(old=("/a",), other=("/b",)), "1 from before it, 1 of neither"),
        ("rolling-back", None, "nobody could look"),
        ("rolled-back", FilesFound(old=("/a",)), "`provision apply` tries the new ones again"),
    ],
)
def test_the_next_run_says_which(phase: ApplyPhase, found: FilesFound | None, words: str) -> None:
    message = told("x", kept_of(phase), found, FIRMWARE)
    assert message is not None
    assert words in message


def test_of_an_apply_that_is_through_nothing_is_told() -> None:
    assert told("x", kept_of("applied"), FilesFound(old=("/a",)), FIRMWARE) is None
