"""Manifests made by accident: random bytes, token soup, and valid manifests damaged at random.

    python tests/fuzz_manifest.py [COUNT [SEED]]

Each case must end in a manifest or in located problems. Run as a program it also holds every case
to 2 seconds of processor time and the process to 300 MB, by the kernel's own limits, and prints
what the worst case took.
"""

from __future__ import annotations

import random
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from provision.errors import ManifestError
from provision.project.manifest_file import load

SECONDS = 2.0
MEGABYTES = 300

VALID = [
    """\
fleet: greenhouse
defaults: {board: wemos-d1-mini, firmware: esp8266-1.24}
firmware:
  esp8266-1.24: {file: own.bin, sha256: DIGEST}
  esp32-1.24:   {version: 1.24.1, board: ESP32_GENERIC, erase: auto, verify: flash}
groups:
  sensors:
    vars: {topic: garden, interval: 60, deep: [1, {x: 2.5}], wifi: none}
    files:
      - {src: app/, dest: /, exclude: ["*.md", "tests/"]}
      - {src: config.json.j2, dest: /config.json, template: true}
devices:
  kitchen:
    groups: [sensors]
    port: {mac: "5c:cf:7f:01:02:03"}
    mac: "5c:cf:7f:01:02:03"
    vars: {topic: kitchen, wifi: !secret wifi_password}
    files:
      - {src: boot.py, dest: /boot.py, create_only: yes}
      - {dest: /old.py, state: absent}
    prune: [/lib]
    check: {expression: app.ready, timeout: 2.5}
""".replace("DIGEST", "0f3c" * 16),
    """\
.scratch: &common {baud: 9600, files: [boot.py, lib/], check: {console: "^ready|up$"}}
boards:
  mine: {extends: esp32, flash_size: 8MB, usb: ["1a86:7523"], reset: usb-jtag}
defaults: {<<: *common, board: mine, firmware: 1.24.1}
devices:
  desk-[01:30:2]: {port: "sim://{{ name }}/{{ index }}", vars: {n: !env HOME}}
  row-[a:c]:
    port: {serial: "{{ name }}"}
    files: [{src: "{{ name[:3] }}/", dest: "/{{ number }}/"}]
""",
    """\
devices:
  kitchen: {port: /dev/ttyUSB0, board: wemos-d1-mini, firmware: 1.24.1, files: [boot.py, lib/]}
""",
    """\
include: [row/room.yaml]
defaults: {board: esp32, vars: {topic: class}}
devices:
  desk-{{ seat }}: {csv: class.csv, groups: [desks], mac: "{{ mac }}", port: "/dev/{{ seat }}"}
""",
]
FILES = {
    "boot.py": "boot = 1\n",
    "own.bin": "no image, which nobody looks into here\n",
    "app/main.py": "main = 1\n",
    "lib/a.py": "a = 1\n",
    "row/b.py": "b = 1\n",
    "row/room.yaml": "groups: {desks: {files: [b.py]}}\ndevices: {wall: {groups: [desks]}}\n",
    "class.csv": "seat;mac\n01;5c:cf:7f:00:00:01\n02;\n",
    "config.json.j2": '{"topic": "{{ topic }}", "wifi": "{{ wifi }}"}',
    "secrets.yaml": "wifi_password: hunter22\n",
}
TOKENS = [
    *"[]{}:,-?!&*#|>'\"%@`~=\\\t\n\r ", "\n  ", "\n    - ", ": ", "<<: ", "*a", "&a ",
    "!secret ", "!env ", "!!python/object/apply:os.system ", "!<tag:x> ", "--- ", "...",
    "\u2028", "\x85", "\ufeff", "é", "日本", "😀", "\x00", "\x1b[2J", "null", "on", "yes", "1.20",
    "0x1F", "1e999", "-1", "99999999999999999999", "{{ name }}", "{{", "{% for x in range(9) %}",
    "{{ 9**9 }}", "{{ x.y.z }}", "[1:999999]", "[01:3]", "[z:a]", "devices", "groups", "files",
    "firmware", "defaults", "boards", "vars", "port", "src", "dest", "state: absent", "extends: ",
    "template: true", "../..", "/", "//", "/dev/null", "lib/", "x" * 300, "(" * 50, "[" * 50,
    "a*" * 40,
]  # fmt: skip


def cases(count: int, seed: int) -> Iterator[bytes]:
    """The same bytes for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = chance.random()
        if kind < 0.1:
            yield chance.randbytes(chance.randrange(2_000))
        elif kind < 0.2:
            yield "".join(chance.choices(TOKENS, k=chance.randrange(120))).encode()
        elif kind < 0.7:
            yield _damaged_text(chance, chance.choice(VALID)).encode()
        else:
            yield _damaged_bytes(chance, chance.choice(VALID).encode())


def _damaged_bytes(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 8)):
        position = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[position:position] = chance.randbytes(chance.randrange(1, 6))
            case 1:
                del changed[position : position + chance.randrange(1, 30)]
            case 2:
                end = position + chance.randrange(1, 200)
                changed[position:position] = changed[position:end] * chance.randrange(1, 4)
            case _:
                changed[position : position + 1] = chance.choice(TOKENS).encode()
    return bytes(changed)


def _damaged_text(chance: random.Random, text: str) -> str:
    """Keeps the form, so that more gets past the parser."""
    if chance.random() < 0.3:
        lines = text.splitlines(keepends=True)
        line = chance.randrange(len(lines))
        lines[line : line + chance.randrange(2)] = [chance.choice(lines)]
        text = "".join(lines)
    words = re.findall(r"\s+|[\w./-]+|[^\w\s]", text)
    places = [place for place, word in enumerate(words) if re.match(r"\w", word)]
    for _ in range(chance.randrange(1, 4)):
        here, there = chance.choice(places), chance.choice(places)
        match chance.randrange(4):
            case 0:
                words[here], words[there] = words[there], words[here]
            case 1:
                words[here] = words[there]
            case 2:
                words[here] = chance.choice(TOKENS)
            case _:
                words[here] = words[here][::-1]
    return "".join(words)


def check(folder: Path, data: bytes) -> bool:
    """Whether the case is a valid manifest; AssertionError or anything else is a failure."""
    (folder / "fleet.yaml").write_bytes(data)
    return _ends_well(folder / "fleet.yaml")


def check_included(folder: Path, data: bytes) -> bool:
    """As `check`, of a file that a manifest includes."""
    (folder / "part.yaml").write_bytes(data)
    (folder / "whole.yaml").write_text("include: [part.yaml]\n")
    return _ends_well(folder / "whole.yaml")


def _ends_well(path: Path) -> bool:
    try:
        load(str(path), environment={"HOME": "/root"}).states()
    except ManifestError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.place.line >= 1
            assert problem.place.column >= 1
            assert problem.message
        return False
    return True


def prepare(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    limit = MEGABYTES * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    worst, valid = 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for number, data in enumerate(cases(count, seed)):
            (folder / "case").write_bytes(data)
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)  # the signal ends the process
            start = time.process_time()
            try:
                valid += check(folder, data)
            except BaseException:
                print(f"case {number} of seed {seed}: {data!r}", file=sys.stderr)
                raise
            worst = max(worst, time.process_time() - start)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{count} cases, {valid} valid; the worst took {worst:.2f} s; {peak:.0f} MB at most")


if __name__ == "__main__":
    main()
