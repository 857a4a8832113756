"""`python3 tests [pytest arguments]`: set up what the tests need, then run them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from examples.environment import enter  # noqa: E402 - found through the line above

enter("dev")

import os  # noqa: E402

import pytest  # noqa: E402

os.chdir(ROOT)
# Whole commands are started by the hundred, each of which would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.exit(pytest.main(sys.argv[1:] or ["-q", "-n", "2", "--dist", "worksteal"]))
