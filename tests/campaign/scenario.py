"""What one run of the campaign is: drawn from its seed, before anything happens.

A scenario says what is on the board, what the project folder holds, what goes wrong, and which
files must be on the board when all is well again. It knows nothing of the tool's own planner: what
is expected is put together here, beside the manifest that asks for it.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

from provision.core.chips.esp.chips import CHIPS, ESP8266
from provision.model.chip import Chip
from provision.sim.process.flash_faults import MAIN_PY
from tests.campaign.faults import Fault, draw_faults
from tests.campaign.flash import MOVED, Place, card_at, files_at
from tests.spoilers import FULL_HEAP, HOSTILE, LEFT_MOUNT, REBOUND, SHADOWS, STAYS

STARTS = (
    "blank",
    "old",
    "current",
    "half-flashed",
    "foreign-firmware",
    "broken-firmware",
    "corrupt-filesystem",
    "full-filesystem",
    "main-hog",
    "main-stubborn",
    "main-deaf",
    "main-deepsleep",
    "main-reset-loop",
    "main-watchdog",
    "main-chatter",
    "main-crash",
    "main-soft-reset-loop",
    "unmounted",
    "mounted-elsewhere",
    "mounted-read-only",
    "ram-disk",
    "table-moved",
    "newer-littlefs",
    "card",
    "other-board",
)
SPOILT = ("shadowed", "foreign-names", "rebound", "full-heap", "left-mount", "fat")
"""Starts on which a program that trusts the board goes wrong. They are asked for, and not drawn, so
that a seed stays the run that it was."""
POWER_CUTS = {"cut-erase", "cut-write"}  # which FAT does not bear, whoever writes
MOUNTS = ("unmounted", "mounted-elsewhere", "mounted-read-only", "ram-disk")
"""Starts whose app has something else at the root than the flash as the firmware mounts it."""
RUNS_MICROPYTHON = (
    *("old", "current", "full-filesystem", "main-crash", "main-hog", "card", "other-board"),
    *MOUNTS,
    *SPOILT,
)
"""Starts in which the REPL can be had without erasing, so that no firmware need be asked for."""

NO_FILES = ("blank", "foreign-firmware", "corrupt-filesystem")

BALLAST = "/ballast.bin"  # what fills a full filesystem

UMOUNT = "import os\nfrom flashbdev import bdev\nos.umount('/')\n"
RAM_DISK = """class Disk:
    def __init__(self):
        self.data = bytearray(8192)
    def readblocks(self, n, buf, off=0):
        at = n * 512 + off
        buf[:] = self.data[at:at + len(buf)]
    def writeblocks(self, n, buf, off=0):
        at = n * 512 + off
        self.data[at:at + len(buf)] = buf
    def ioctl(self, op, arg):
        return {4: 16, 5: 512}.get(op, 0)
disk = Disk()
os.VfsLfs2.mkfs(disk)
os.mount(os.VfsLfs2(disk), '/')
"""
APPS = {
    "unmounted": ("/main.py", "import os\nos.umount('/')\nprint('ready')\n"),
    "mounted-elsewhere": ("/boot.py", UMOUNT + "os.mount(bdev, '/flash')\n"),
    "mounted-read-only": (
        "/boot.py",
        UMOUNT + "os.mount(os.VfsLfs2(bdev), '/', readonly=True)\n",
    ),
    "ram-disk": ("/boot.py", UMOUNT + RAM_DISK),
}
"""What puts something else at the root."""
SHADOWED = tuple(name for name in SHADOWS if name != "time")  # which the managed apps need
MOUNTS_CARD = """import esp
import os
class Card:
    def readblocks(self, n, buf, off=0):
        esp.flash_read(FIRST + n * 4096 + off, buf)
    def writeblocks(self, n, buf, off=None):
        if off is None:
            for i in range(len(buf) // 4096):
                esp.flash_erase(FIRST // 4096 + n + i)
            off = 0
        esp.flash_write(FIRST + n * 4096 + off, buf)
    def ioctl(self, op, arg):
        if op == 6:
            esp.flash_erase(FIRST // 4096 + arg)
        return {4: 16, 5: 4096}.get(op, 0)
os.mount(os.VfsLfs2(Card()), '/sd')
"""
"""A boot.py with a filesystem at /sd that outlives a restart, as a card's does: its blocks lie in
flash that no partition has."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`before`: files on the board, `managed`: what the manifest wants there, `create_only` those
    of them that are left alone when they exist, `gone`: what it wants away. All else that is on
    the board before is unmanaged."""

    seed: int
    chip: Chip
    start: str
    faults: tuple[Fault, ...]
    power_off: bool  # the board loses its power before anybody looks between the first two applies
    moved_to: Place | None  # where the wanted firmware's own table has the filesystem
    way_back: str | None  # a version to return to when all is done
    old_version: str
    new_version: str | None  # of the firmware that the manifest asks for
    image_size: int | None
    erase: str
    before: dict[str, bytes]
    managed: dict[str, bytes]
    create_only: frozenset[str]
    gone: frozenset[str]
    project: dict[str, bytes] = field(repr=False)
    manifest: str = field(repr=False)
    secret: str
    secret_file: str | None  # the managed path whose content has the secret
    learned: bool  # whether fleet.lock knows the board
    options: tuple[str, ...]
    wired: bool  # a line at its rate, with a bridge's latency and the chip's receive ring

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(fault.kind for fault in self.faults) or ("none",)

    @property
    def place(self) -> Place:
        """Where the files are in the end."""
        return self.moved_to or files_at(self.chip)

    def expected(self, *, erased: bool) -> dict[str, bytes]:
        """The files of the converged board that anybody asked for or had there before."""
        before = {} if erased else self.before
        kept = {
            path: data
            for path, data in before.items()
            if path not in self.gone and path not in self.managed
        }
        made = {path: before[path] for path in self.create_only if path in before}
        return {**kept, **self.managed, **made}


def _bytes_of(dice: random.Random, size: int) -> bytes:
    return dice.randbytes(size)


def _text_of(dice: random.Random, size: int) -> bytes:
    words = ("x = 1", "def f():", "value = {'a': 1} #", "")
    text = "# "
    while len(text) < size:
        text += f"{dice.choice(words)}{dice.randrange(1000)}\n# "
    return text.encode()[: max(size, 1)] + b"\n"


def _size(dice: random.Random) -> int:
    return dice.choice((0, 1, 31, 120, 127, 128, 129, 500, 1024, 4088, 4096, 4097, 9000, 20000))


MAINS = (
    b"print('ready')\n",
    b"import time\nprint('ready')\nwhile True:\n    time.sleep(0.1)\n",
    b"print('ready')\nn = 0\nwhile True:\n    n += 1\n",
    b"print('ready')\nraise ValueError('an app that fails')\n",
)


class _Draw:
    """The dice of one scenario, and what was put together so far."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.start = ""
        self.project: dict[str, bytes] = {}
        self.managed: dict[str, bytes] = {}
        self.before: dict[str, bytes] = {}
        self.entries: list[str] = []
        self.gone: set[str] = set()
        self.create_only: set[str] = set()
        self.extra: list[str] = []

    def chance(self, probability: float) -> bool:
        return self.dice.random() < probability

    def was_there(self, path: str, new: bytes) -> None:
        """Something, or nothing, was under a managed path before."""
        drawn = self.dice.random()
        if drawn < 0.3:
            return
        if drawn < 0.5:
            self.before[path] = new
        elif drawn < 0.8 and new:  # the same length, other bytes
            self.before[path] = bytes([new[0] ^ 1]) + new[1:-1] + bytes([new[-1] ^ 2])
        else:
            self.before[path] = b"# old\n" + new[: len(new) // 2]

    def app(self) -> None:
        """A folder that goes to the root, with deep directories now and then."""
        files: dict[str, bytes] = {}
        if self.chance(0.8):
            files["boot.py"] = b"# boot\n" if self.chance(0.5) else b""
        files["main.py"] = self.dice.choice(MAINS)
        for number in range(self.dice.choice((0, 1, 3, 8))):
            files[f"lib/m{number}.py"] = _text_of(self.dice, _size(self.dice))
        if self.chance(0.4):
            files["lib/" + "/".join("abcdefghij"[: self.dice.randrange(1, 8)]) + "/deep.py"] = (
                _text_of(self.dice, 300)
            )
        if self.chance(0.3):
            files["data/empty.txt"] = b""
        if self.chance(0.5):
            files["data/blob.bin"] = _bytes_of(self.dice, _size(self.dice))
        if self.chance(0.1):
            files["data/big.bin"] = _bytes_of(self.dice, self.dice.randrange(60_000, 200_000))
        if self.chance(0.2):
            files["data/ünïcode name.txt"] = "grüße\n".encode()
        for name, data in files.items():
            self.project[f"app/{name}"] = data
            self.managed[f"/{name}"] = data
            self.was_there(f"/{name}", data)
        self.entries.append("{src: app/, dest: /}")

    def template(self, secret: str) -> str | None:
        if not self.chance(0.6):
            return None
        self.project["config.json.j2"] = b'{"wifi": "{{ wifi }}", "name": "{{ name }}"}\n'
        content = f'{{"wifi": "{secret}", "name": "node"}}\n'.encode()
        self.managed["/config.json"] = content
        self.entries.append("{src: config.json.j2, dest: /config.json, template: true}")
        self.project["secrets.yaml"] = f"wifi: {secret}\n".encode()
        self.extra.append("vars: {wifi: !secret wifi}")
        drawn = self.dice.random()
        if drawn < 0.3:
            self.before["/config.json"] = b'{"wifi": "old"}\n'
        elif drawn < 0.5:
            self.before["/config.json"] = content
        return "/config.json"

    def once(self) -> None:
        if not self.chance(0.4):
            return
        self.project["settings.json"] = b'{"made": "by the manifest"}\n'
        self.managed["/settings.json"] = self.project["settings.json"]
        self.create_only.add("/settings.json")
        self.entries.append("{src: settings.json, dest: /settings.json, create_only: true}")
        if self.chance(0.6):
            self.before["/settings.json"] = b'{"changed": "by the app"}\n'

    def removals(self) -> None:
        if self.chance(0.4):
            self.entries.append("{dest: /old.py, state: absent}")
            self.gone.add("/old.py")
            if self.chance(0.7):
                self.before["/old.py"] = b"# to be removed\n"
        if self.chance(0.3):
            self.entries.append("{dest: /olddir, state: absent}")
            for name in ("/olddir/x.py", "/olddir/sub/y.py"):
                self.gone.add(name)
                if self.chance(0.7):
                    self.before[name] = b"# also\n"
        if self.start == "card":
            self.extra.append("prune: [/]")
        elif self.chance(0.5):
            self.extra.append("prune: [/lib]")
            for name in ("/lib/stale.py", "/lib/pkg/stale.py"):
                if name not in self.managed:
                    self.gone.add(name)
                    if self.chance(0.7):
                        self.before[name] = _text_of(self.dice, _size(self.dice))

    def unmanaged(self) -> None:
        for name in ("/log/today.txt", "/notes", "/data/mine.bin", "/www/a/b/index.html"):
            if self.chance(0.5):
                self.before[name] = _bytes_of(self.dice, _size(self.dice))

    def check(self) -> None:
        drawn = self.dice.random()
        if drawn < 0.12:
            self.extra.append('check: {expression: "1 + 1 == 2", timeout: 20}')
        elif drawn < 0.24:
            self.extra.append("check: {console: ready, timeout: 20}")

    def spoils(self) -> None:
        """What is on a board of `SPOILT`."""
        if self.start == "shadowed":
            pruned = "prune: [/lib]" in self.extra
            for at, name in enumerate(SHADOWED):
                for folder in ("", "/lib"):
                    path = f"{folder}/{name}.py"
                    self.before[path] = HOSTILE[(at + len(folder)) % len(HOSTILE)].encode()
                    if folder and pruned and path not in self.managed:
                        self.gone.add(path)
        elif self.start == "foreign-names":
            for name in (b"/caf\xe9.txt", b"/log/\xff\xfe", b"/www/\x80\x81.py"):
                path = name.decode("utf-8", "surrogateescape")
                self.before[path] = _bytes_of(self.dice, _size(self.dice))
        elif self.start == "rebound":
            self.before["/main.py"] = (self.dice.choice([*REBOUND.values()]) + STAYS).encode()
        elif self.start in ("full-heap", "left-mount"):
            spoiler = FULL_HEAP if self.start == "full-heap" else LEFT_MOUNT
            self.before["/main.py"] = (spoiler + STAYS).encode()

    def mounts(self, chip: Chip) -> None:
        """The program that mounts, as it is on the board; a card's is the manifest's own as well,
        so that it goes on."""
        if self.start == "card":
            program = MOUNTS_CARD.replace("FIRST", str(card_at(chip))).encode()
            self.project["app/boot.py"] = self.managed["/boot.py"] = program
            self.before["/boot.py"] = program
            self.gone.update(path for path in self.before if path not in self.managed)
        if self.start not in APPS:
            return
        path, text = APPS[self.start]
        self.before[path] = text.encode()
        if path not in self.managed:  # then it stays, and no main.py is where it looks
            self.extra = [line for line in self.extra if not line.startswith("check:")]


def scenario(seed: int, *, fault: str | None = None, start: str | None = None) -> Scenario:
    """The run of a seed; `fault` and `start` are for trying one kind of each."""
    draw = _Draw(seed)
    dice = draw.dice
    drawn_start = dice.choice(STARTS) if draw.chance(0.85) else dice.choice(("old", "current"))
    start = draw.start = start or drawn_start
    chip = dice.choice([each for each in CHIPS if start != "table-moved" or each is not ESP8266])
    if start == "full-heap":
        chip = ESP8266
    secret = "pw" + hashlib.sha256(f"secret {seed}".encode()).hexdigest()[:14]
    new = dice.choice(("1.24.1", "1.26.1"))
    old = new if start == "current" else dice.choice(("1.19.1", "1.22.2", "1.25.0"))
    if start == "newer-littlefs":
        old, new = "1.26.1", dice.choice(("1.18", "1.21.0"))
    moved_to = dice.choice(MOVED) if start == "table-moved" else None
    wired = draw.chance(0.2)
    node = f"node-{chip}" + ("-wired" if wired else "")
    firmware: str | None = new
    if start in RUNS_MICROPYTHON and draw.chance(0.25):
        firmware = None
    size = dice.choice((None, None, None, 300_000)) if firmware else None
    erase = dice.choice(("auto", "auto", "auto", "always")) if firmware else "auto"
    if start == "card":
        erase = "auto"  # a real card would outlive it
    verify = ", verify: flash" if draw.chance(0.1) else ""
    draw.app()
    secret_file = draw.template(secret)
    draw.once()
    draw.removals()
    draw.unmanaged()
    draw.check()
    if start == "full-filesystem":
        draw.gone.add(BALLAST)
        draw.entries.append(f"{{dest: {BALLAST}, state: absent}}")
    if start.startswith("main-"):
        main = MAIN_PY[start.removeprefix("main-")].encode()
        # The boards' time is scaled; a watchdog bites after one second of ours all the same.
        draw.before["/main.py"] = main.replace(b"timeout=1000", b"timeout=20000")
    draw.spoils()
    draw.mounts(chip)
    entry = [
        f"board: {chip}",
        f"port: sim://{node}",
        f"files: [{', '.join(draw.entries)}]",
        *draw.extra,
    ]
    if firmware:
        entry.append(f"firmware: {{file: wanted.bin, erase: {erase}{verify}}}")
    manifest = "fleet: campaign\ndevices:\n  node:\n" + "".join(f"    {line}\n" for line in entry)
    manifest += "  other:\n    {board: esp32, port: 'sim://other', files: [other.py]}\n"
    draw.project["other.py"] = b"# the other board\n"
    options = {
        "json": ("--json",),
        "verbose": ("-vv", "--log-file", "log.txt", "--junit", "junit.xml"),
        "json-log": ("--json", "-vv", "--log-file", "log.txt", "--diff"),
        "plain": ("--diff",),
    }[dice.choice(("json", "verbose", "json-log", "plain"))]
    faults = draw_faults(dice, only=fault)
    while start == "fat" and fault is None and POWER_CUTS & {each.kind for each in faults}:
        faults = draw_faults(dice, only=None)
    return Scenario(
        seed=seed,
        chip=chip,
        start=start,
        faults=faults,
        power_off=draw.chance(0.6) and start != "fat",
        moved_to=moved_to,
        way_back=old if start == "newer-littlefs" else None,
        old_version=old,
        new_version=firmware,
        image_size=size,
        erase=erase,
        before={} if start in NO_FILES else draw.before,
        managed=draw.managed,
        create_only=frozenset(draw.create_only),
        gone=frozenset(draw.gone),
        project=draw.project,
        manifest=manifest,
        secret=secret,
        secret_file=secret_file,
        learned=draw.chance(0.6),
        options=options,
        wired=wired,
    )
