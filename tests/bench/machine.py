"""What the whole machine did: beside a tool's own CPU, the share of it that was the tool's."""

from __future__ import annotations

import os
from pathlib import Path

STAT = Path("/proc/stat")


def busy() -> float:
    """Seconds of processor that all processes together have used since the machine started;
    not a number where no /proc tells."""
    if not STAT.exists():
        return float("nan")
    user, nice, system, _idle, _waiting, irq, softirq = map(
        int, STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
