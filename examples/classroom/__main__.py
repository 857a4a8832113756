"""`python3 examples/classroom`: its manifest, on virtual twins of three of its thirty boards
and the teacher's own, which differ in their lesson alone.

On the real ones: `provision apply examples/classroom`.
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
    rehearse(HERE, "--limit", "desk-[01:03],teacher")
