"""Draw `docs/apply.svg` and `docs/station.svg` from what the examples really show: `python
docs/record.py` in a checkout, or `python docs/record.py station` for one of them."""

from __future__ import annotations

import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 108


def apply() -> None:
    """Apply the demo fleet twice and export both screens."""
    keep("apply", screens(demo(), demo()))


def demo() -> str:
    """What the demo shows, in colour."""
    return subprocess.run(
        [sys.executable, "examples/demo"],
        cwd=ROOT,
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


def screens(first: str, again: str) -> str:
    """The drawing of two applies, one after the other."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for prompt, shown in (("provision apply", first), ("provision apply   # again", again)):
        console.print(Text(f"$ {prompt}", style="bold"))
        console.print(Text.from_ansi(shown))
    return console.export_svg(title="provision")


class Photograph:
    """The screen of a station, and a picture of it once there is something of everything on it."""

    def __init__(self, station: Any) -> None:
        self.console = Console(width=144, height=33, file=io.StringIO(), force_terminal=True)
        self.screen = station.Screen(
            io.StringIO(),
            "pv-meter, station demo",
            sockets=[f"bay-{number}" for number in range(1, 9)],
            console=self.console,
        )
        self.phases: dict[str, str] = {}
        self.taken: str | None = None

    def changed(self, socket: str, state: Any, counts: Any) -> None:
        self.screen.changed(socket, state, counts)
        self.phases[socket] = state.phase

    def progress(self, socket: str, stage: str, fraction: float | None) -> None:
        self.screen.progress(socket, stage, fraction)
        seen = [*self.phases.values()]
        if self.taken is None and {"passed", "failed", "working"} <= {*seen} and fraction:
            shown = Console(record=True, width=144, height=33, file=io.StringIO())
            shown.print(self.screen.render())
            self.taken = shown.export_svg(title="provision station")

    def said(self, text: str) -> None:
        self.screen.said(text)

    def close(self) -> None:
        self.screen.close()


def station() -> None:
    """Run the shift of examples/station, and photograph its screen in the middle."""
    sys.path.insert(0, str(ROOT))
    sys.argv = [str(ROOT / "examples" / "station")]
    shift = importlib.import_module("examples.station.__main__")
    photograph = Photograph(importlib.import_module("provision.station.screen"))
    shift.main(photograph)
    assert photograph.taken is not None
    keep("station", photograph.taken)


def keep(name: str, drawing: str) -> None:
    # rich names a font on somebody's server; a reader's browser need not ask there.
    drawing = re.sub(r"@font-face \{.*?\}", "", drawing, flags=re.DOTALL)
    (ROOT / "docs" / f"{name}.svg").write_text(drawing)


if __name__ == "__main__":
    drawn = {"apply": apply, "station": station}
    for wanted in sys.argv[1:] or drawn:
        drawn[wanted]()
