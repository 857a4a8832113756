"""`python3 examples/minimal`: its manifest, on virtual twins of its one board.

On the real ones: `provision apply examples/minimal`.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent.parent)

from examples.environment import enter  # noqa: E402 - found through the line above

enter("sim")

from examples.virtual import rehearse  # noqa: E402

if __name__ == "__main__":
    rehearse(HERE)
