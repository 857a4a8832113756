"""Draw `docs/apply.svg` from what the demo really prints: `python docs/record.py` in a checkout."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 108


def main() -> None:
    """Apply the demo fleet twice and export both screens."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for prompt in ("provision apply", "provision apply   # again"):
        shown = subprocess.run(
            [sys.executable, "examples/demo"],
            cwd=ROOT,
            env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
        console.print(Text(f"$ {prompt}", style="bold"))
        console.print(Text.from_ansi(shown))
    drawing = console.export_svg(title="provision")
    # rich names a font on somebody's server; a reader's browser need not ask there.
    drawing = re.sub(r"@font-face \{.*?\}", "", drawing, flags=re.DOTALL)
    (ROOT / "docs" / "apply.svg").write_text(drawing)


if __name__ == "__main__":
    main()
