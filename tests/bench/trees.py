"""The trees that are synced: made with fixed seeds, so that every run moves the same bytes."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

AGAIN = 0.08  # of the lines have been there before


def app() -> dict[str, bytes]:
    """144 kB in 25 files: Python-like text, and 30 kB that no compression makes smaller."""
    made = random.Random("app")
    files = {
        # These two run.
        "boot.py": b"# " + python(made, 400).replace(b"\n", b"\n# "),
        "main.py": b"# " + python(made, 2_500).replace(b"\n", b"\n# "),
        "config.json": b'{"name": "bench", "interval": 60}\n',
        "lib/noise.bin": made.randbytes(20_000),
        "app/font.bin": made.randbytes(10_000),
    }
    folders = ("lib/", "lib/drivers/", "app/", "app/pages/")
    rest = 144_000 - sum(map(len, files.values()))
    for number in range(20):
        size = rest // (20 - number) + made.randint(-1_500, 1_500) * (number < 19)
        files[f"{folders[number % 4]}module_{number:02}.py"] = python(made, size)
        rest -= size
    return files


def small() -> dict[str, bytes]:
    """200 files of about 500 bytes."""
    made = random.Random("small")
    return {
        f"items/{number % 8}/item_{number:03}.py": python(made, made.randint(300, 700))
        for number in range(200)
    }


def big() -> dict[str, bytes]:
    """One file of 500 kB, half of it text."""
    made = random.Random("big")
    return {"big.bin": python(made, 250_000) + made.randbytes(250_000)}


TREES = {"app": app, "small": small, "big": big}


def python(made: random.Random, size: int) -> bytes:
    """Text that deflate makes as small as a real program (mpremote's and click's own sources: to
    29 % with a window of 4 kB, to 26 % with 32 kB): names that come often, lines said again."""
    names = made.sample(SHARED, 100) + words(made, 100)
    made.shuffle(names)
    weights = [1 / (rank + 8) for rank in range(len(names))]
    lines: list[str] = []
    length = 0
    while length < size:
        said = made.choices(names, weights, k=made.randint(1, 4))
        lead = "    " * made.choice((1, 1, 2, 2, 2, 3))
        line = made.choice(
            (
                f"{lead}{said[0]} = self.{said[-1]}({', '.join(said)})\n",
                f"{lead}self.{said[0]} = {made.randint(0, 64)}\n",
                f"{lead}if {said[0]}.{said[-1]} is not None:\n",
                f"{lead}return {said[0]}[{said[-1]}]\n",
                f"{lead}# {' '.join(said)}\n",
                f"\n    def {said[0]}(self, {said[-1]}):\n",
            )
        )
        if lines and made.random() < AGAIN:
            line = made.choice(lines[-60:])
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()[:size]


def words(made: random.Random, count: int) -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz_"
    return ["".join(made.choices(letters, k=made.randint(3, 11))) for _ in range(count)]


SHARED = words(random.Random("shared"), 150)  # names that the modules of a program have in common


def write(files: dict[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def compressed(files: dict[str, bytes]) -> int:
    """Bytes of the tree's content as one raw deflate stream, the best a general tool can send."""
    content = b"".join(files[name] for name in sorted(files))
    squeezers = [zlib.compressobj(9, zlib.DEFLATED, -15, memory) for memory in range(5, 10)]
    return min(len(one.compress(content)) + len(one.flush()) for one in squeezers)
