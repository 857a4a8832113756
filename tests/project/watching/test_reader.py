"""What reads a project again amid a run: its faults are the run's, and what is new is told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from provision import api
from provision.app_watch import ProjectReader
from provision.engine.watch.edits import Edits
from provision.errors import SourceError
from provision.model.event import EditFailed, Event, Notice
from tests.fakes.world import FakeWorld

MANIFEST = """
devices:
  kitchen: {port: /dev/nowhere, board: esp32, vars: {wifi: !secret wifi}}
  shed: {port: /dev/nowhere-else, board: esp32}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> api.Fleet:
    (tmp_path / "fleet.yaml").write_text(MANIFEST, encoding="utf-8")
    (tmp_path / "secrets.yaml").write_text("wifi: hunter2-hunter2\n", encoding="utf-8")
    return api.load(tmp_path / "fleet.yaml")


def test_a_fault_of_its_own_ends_the_run_and_is_told(fleet: api.Fleet) -> None:
    """Boards would go on as if each save was followed."""

    def reload() -> api.Fleet:
        raise RuntimeError("of hunter2-hunter2")

    with pytest.raises(RuntimeError, match=r"of \*\*\*$"):
        api.watch(fleet, reload)


def test_a_device_that_the_run_leaves_out_is_none_that_is_new(
    fleet: api.Fleet, tmp_path: Path
) -> None:
    events: list[Event] = []
    manifest = (tmp_path / "fleet.yaml").read_text("utf-8")
    (tmp_path / "fleet.yaml").write_text(
        f"{manifest}  well: {{port: /dev/third, board: esp32}}\n", encoding="utf-8"
    )
    api.watch(
        fleet,
        lambda: api.load(tmp_path / "fleet.yaml"),
        limit=["kitchen"],
        on_event=events.append,
    )
    said = [event.message for event in events if isinstance(event, Notice)]
    assert [text for text in said if "new in the manifest" in text] == [
        "new in the manifest: well; start `provision watch` again for it"
    ]


def test_of_a_file_that_is_half_saved_the_error_is_not_told(fleet: api.Fleet) -> None:
    """But the one that is there when the save has ended."""
    saves = iter(["half of it", "more of it"])
    told = threading.Event()
    events: list[Event] = []

    def reload() -> api.Fleet:
        raise SourceError(next(saves, "all of it"), hint="mend it")

    def listen(event: Event) -> None:
        events.append(event)
        told.set()

    edits = Edits()
    reader = ProjectReader(fleet, reload, edits, listen, end_run=told.set)
    edits.begin([], FakeWorld({}).context())
    thread = threading.Thread(target=reader.run)
    thread.start()
    assert told.wait(60)
    reader.stop()
    thread.join()
    assert reader.fault is None
    assert [event.error for event in events if isinstance(event, EditFailed)] == ["all of it"]
