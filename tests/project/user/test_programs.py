"""What a program of the user's has started ends with it, on systems without sessions as well."""

from __future__ import annotations

import subprocess
import sys

import psutil

from provision.project.user.programs import kill_tree

STARTS_ANOTHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
"""


def test_what_it_has_started_ends_with_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_ANOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        below = psutil.Process(int(running.stdout.readline()))
        assert kill_tree(running)
        below.wait(60)
        running.wait()
        assert not kill_tree(running)
