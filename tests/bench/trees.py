"""The trees of files that are synced in the benches, the same bytes every time."""

from __future__ import annotations

import random

SEED = 20240607
WORDS = (
    "sensor", "value", "read", "write", "config", "topic", "client", "publish", "interval",
    "state", "update", "loop", "error", "message", "buffer", "pin", "network", "connect",
    "timeout", "retry", "device", "offset", "length", "result", "handler",
)  # fmt: skip


def python_like(dice: random.Random, size: int) -> bytes:
    """About `size` bytes of text that compresses as application code does (to about a third)."""
    lines: list[str] = []
    length = 0
    while length < size:
        name, other, third = dice.choice(WORDS), dice.choice(WORDS), dice.choice(WORDS)
        line = dice.choice(
            [
                f"def {name}_{other}({third}, {name}=None):",
                f"    {name} = self.{other}_{third}({dice.randrange(1000)})",
                f"    if {name} is not None and {other} > {dice.randrange(100)}:",
                f'        raise ValueError("{name} {other}: %r" % {third})',
                f"    return {{'{name}': {other}, '{third}': {dice.random():.6f}}}",
                f"        self._{name}[{other}] = {third}.{name}({dice.randrange(256):#04x})",
                f"# {name} {other} {third}, {dice.choice(WORDS)} {dice.choice(WORDS)}",
                "",
            ]
        )
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines).encode()[:size]


def app_tree() -> dict[str, bytes]:
    """144 kB in 25 files: 24 of Python-like text, one of 30 kB that does not compress."""
    dice = random.Random(SEED)
    sizes = [1900, 4200, 6100, 3800, 5200, 4700] * 4
    total = 144_000 - 30_000
    scale = total / sum(sizes)
    tree = {
        f"lib/pkg{number // 8}/module{number}.py": python_like(dice, int(size * scale))
        for number, size in enumerate(sizes)
    }
    tree["main.py"] = tree.pop("lib/pkg0/module0.py")
    tree["assets/image.bin"] = dice.randbytes(30_000)
    return tree


def small_files() -> dict[str, bytes]:
    """200 files of 500 bytes."""
    dice = random.Random(SEED)
    return {f"data/d{n % 10}/f{n}.txt": python_like(dice, 500) for n in range(200)}


def big_file() -> dict[str, bytes]:
    """One file of 500 kB, of text."""
    return {"big.txt": python_like(random.Random(SEED), 500_000)}
