"""Which earlier states of a project a rehearsal begins with: those of its git history that wanted
something else of the devices than the manifest does now.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from provision.core.rehearsal.schedule import Start
from provision.core.wording import listed, printable
from provision.errors import ManifestError, ProvisionError, UsageError
from provision.model.language import record
from provision.model.state import DesiredState
from provision.project.fleet import Fleet
from provision.rehearsal.history import History, NoHistory
from provision.rehearsal.twin_fleet import Options, for_earlier, open_for_twins

_MOST_TOLD = 3
_LONGEST = 700  # characters of why there is none: that many commits, each with its first problem


@record(slots=False)
class EarlierStates:
    """Looks for them. `manifest` is today's, `fleet` what it says, `folder` where the files of
    commits are put."""

    manifest: Path
    fleet: Fleet
    options: Options
    folder: Path

    def find(self, wanted: int, start: Start | None, notes: list[str]) -> Mapping[str, Path]:
        """At most so many, the newest first: their manifests by commit. Why there is none is told
        in `notes`; UsageError where the `start` asks for one."""
        if start is not None and start.kind != "older":
            return {}
        try:
            return self._find(wanted, start.commit if start is not None else None)
        except NoHistory as error:
            if start is not None:
                raise UsageError(
                    f"there is no earlier state to begin with: {printable(str(error), _LONGEST)}",
                    hint="choose another --start: blank, locked or older:COMMIT",
                ) from error
            notes.append(f"no run from an earlier state: {printable(str(error), _LONGEST)}")
            return {}

    def _find(self, wanted: int, named: str | None) -> Mapping[str, Path]:
        beside = any(path.startswith("../") for path in self.fleet.loaded.sources)
        history = History(self.manifest.parent, whole=beside)
        found: dict[str, Path] = {}
        unusable: list[str] = []
        for commit in [history.commit(named)] if named is not None else history.commits():
            older = history.export(commit, self.folder / commit) / self.manifest.name
            if named is not None and not older.is_file():
                raise NoHistory(f"{commit[:10]} has no {self.manifest.name} in this folder")
            try:
                usable = self._wants_something_else(older) or named is not None
            except ProvisionError as error:
                unusable.append(f"{commit[:10]} ({_why(error, older.parent)})")
                usable = False
            if usable:
                found[commit] = older
            else:
                shutil.rmtree(self.folder / commit, ignore_errors=True)
            if len(found) >= wanted:
                break
        if found:
            return found
        if unusable:
            raise NoHistory(f"what cannot be used is {listed(unusable, _MOST_TOLD)}")
        if history.shallow:
            raise NoHistory("this is a shallow clone; in CI fetch all of it (`fetch-depth: 0`)")
        raise NoHistory("no earlier commit wants anything else of these devices")

    def _wants_something_else(self, older: Path) -> bool:
        """Whether an earlier manifest does, and knows one of the devices; the errors of one that
        cannot be used. Images that no commit has are those of today."""
        if not older.is_file():
            return False
        here = self.manifest.parent
        for image in self.fleet.loaded.manifest.image_files:
            place = older.parent / image
            if (here / image).is_file() and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(here / image, place)
        then = open_for_twins(older, for_earlier(self.manifest, self.options))
        today = {state.device: state for state in self.fleet.states}
        common = [state for state in then.states if state.device in today]
        if not self.options.stand_in_firmware:
            for source in {each.firmware.source for each in common if each.firmware}:
                then.images.firmware(source)
        return any(_wanted(state) != _wanted(today[state.device]) for state in common)


def _why(error: ProvisionError, folder: Path) -> str:
    """Of a manifest that is invalid, its first problem, in the file as the project has it."""
    if not isinstance(error, ManifestError) or not error.problems:
        return printable(error.message)
    first, *more = error.problems
    told = str(first).removeprefix(f"{folder}{os.sep}")
    return printable(told) + (f", and {len(more)} more" if more else "")


def _wanted(state: DesiredState) -> object:
    """What a board is to hold."""
    firmware = state.firmware.source if state.firmware is not None else None
    return state.files, state.absent, state.prune, firmware, state.nvs, state.board
