"""`python3 examples/greenhouse`: its manifest, on virtual twins of two of its boards, a
sensor and a pump, with a placeholder for the secret that a checkout lacks.

On the real ones: `provision apply examples/greenhouse`.
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
    rehearse(HERE, "--limit", "north,well")
