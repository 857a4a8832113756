"""One process of the campaign: its boards stay from run to run."""

from __future__ import annotations

import os
from pathlib import Path

from tests.campaign.bench import Bench
from tests.campaign.run import Result, boards_home, run
from tests.campaign.scenario import scenario

_bench: Bench | None = None
_folder = Path()


def begin(folder: str) -> None:
    """A worker's own boards and folder."""
    global _bench, _folder
    _folder = Path(folder) / f"w{os.getpid()}"
    _folder.mkdir()
    _bench = Bench(boards_home(_folder))
    # What the tool imports, so that processes forked from this one need not.
    import esptool.cmds  # noqa: F401
    import littlefs  # noqa: F401

    import provision.app
    import provision.cli.apply
    import provision.device.connection
    import provision.device.flashing.littlefs
    import provision.device.micropython.transfer.stream_transfer  # noqa: F401


def one(seed: int, fault: str | None, start: str | None, keep: bool) -> Result:
    assert _bench is not None
    drawn = scenario(seed, fault=fault, start=start)
    return run(drawn, _bench, _folder / f"run-{seed}", keep=keep)
