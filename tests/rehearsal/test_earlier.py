"""Which earlier states a rehearsal begins with, and why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.rehearsal.schedule import Start
from provision.errors import UsageError
from provision.rehearsal.earlier import EarlierStates
from provision.rehearsal.twin_fleet import Options, open_for_twins
from tests.rehearsal.test_history import commit, repository

__all__ = ["repository"]

TODAY = "devices: {kitchen: {board: esp32, files: [main.py]}}\n"


def test_of_an_earlier_manifest_that_is_invalid_the_problem_is_told(
    repository: Path, tmp_path: Path
) -> None:
    folder = repository / "fleet"
    sound = commit(repository, **{"fleet.yaml": TODAY, "main.py": "x = 1\n"})
    broken = commit(repository, **{"fleet.yaml": "fleets: x\n" + TODAY})
    commit(repository, **{"fleet.yaml": TODAY, "main.py": "x = 2\n"})
    fleet = open_for_twins(folder / "fleet.yaml", Options())

    def find(start: Start | None, notes: list[str], at: str) -> list[str]:
        states = EarlierStates(
            manifest=folder / "fleet.yaml", fleet=fleet, options=Options(), folder=tmp_path / at
        )
        return [*states.find(1, start, notes)]

    notes: list[str] = []
    assert find(None, notes, "any") == [sound]
    assert notes == []
    with pytest.raises(UsageError, match=rf"{broken[:10]} \(fleet.yaml:1:1: fleets: unknown key"):
        find(Start(kind="older", commit=broken), notes, "named")


def test_what_a_manifest_includes_from_beside_its_folder_makes_another_state(
    repository: Path, tmp_path: Path
) -> None:
    folder = repository / "fleet"
    (repository / "shared.yaml").write_text("groups: {g: {files: [fleet/one.py]}}\n")
    manifest = "include: [../shared.yaml]\ndevices: {d: {board: esp32, groups: [g]}}\n"
    older = commit(repository, **{"fleet.yaml": manifest, "one.py": "", "two.py": "x = 2\n"})
    (repository / "shared.yaml").write_text("groups: {g: {files: [fleet/two.py]}}\n")
    commit(repository)
    fleet = open_for_twins(folder / "fleet.yaml", Options())
    states = EarlierStates(
        manifest=folder / "fleet.yaml", fleet=fleet, options=Options(), folder=tmp_path / "at"
    )
    notes: list[str] = []
    (found,) = states.find(1, None, notes).items()
    assert found[0] == older
    then = open_for_twins(found[1], Options())
    assert [file.dest for file in then.states[0].files] == ["/one.py"]
    assert notes == []
