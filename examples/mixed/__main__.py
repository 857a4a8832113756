"""`python3 examples/mixed`: four chip families in one manifest, with nothing but Python.

Builds a firmware for each kind of board, shows the plan, applies it to five virtual boards, and says
what is on each. Run it again and nothing changes.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent.parent)

from examples.environment import enter  # noqa: E402 - found through the line above

enter("sim")

import os  # noqa: E402
import subprocess  # noqa: E402

from examples.virtual import firmware_image, run  # noqa: E402

FIRMWARE = HERE / "firmware"
IMAGES = (
    ("esp8266", "1.22.2", "bin"),
    ("esp32", "1.24.1", "bin"),
    ("esp32c3", "1.25.0", "bin"),
    ("rp2040", "1.24.1", "uf2"),
)


def shown(*words: str) -> int:
    """A command as a user types it, and its exit code."""
    print(f"\n$ provision {' '.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "provision", *words], check=False).returncode


def main() -> int:
    """Build, plan, apply, look; the exit code is that of `provision apply`."""
    for chip, version, suffix in IMAGES:
        firmware_image(FIRMWARE / f"{chip}-{version}.{suffix}", chip, version)
    manifest = os.path.relpath(HERE / "fleet.yaml")
    code = shown("plan", manifest) or shown("apply", "--yes", manifest)
    return code or shown("facts", manifest)


if __name__ == "__main__":
    run(main)
