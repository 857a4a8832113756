"""An apply whose check fails, disturbed at a random moment, and what comes after it, disturbed too.

After each of them the power is cut and the flash's bytes are read with littlefs-python: no path
may hold anything but its old or its new content, and what `plan` says of the board must be what is
there. Undisturbed, `rollback` and `apply` of the broken app end in the old state, and `apply` of
the mended one in the new. Nothing else that is on the board changes.

The same where the apply writes firmware: amid it a board may have none that starts, and while its
filesystem is written anew its files may be on this computer alone; it ends in one of both
firmwares, with all of its flash as it was before where it ends in the old state.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from provision.core.chips.esp.boot import Bootable, boot_of
from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.board_path import disabled_name
from provision.model.chip import Chip
from provision.sim import client
from tests.apply.station import FILESYSTEMS, Ended, Run, Station

ROUNDS = 50  # of each chip
UPDATES = 15
FAULTS = ("kill", "kill", "interrupt", "unplug", "unplug", "power", "power", "cut-write")
BOARDS = {ESP8266: "wemos-d1-mini", ESP32: "esp32"}
UP = "print('app: up')\n"
BROKEN = {
    "says something else": "print('app: down')\n",
    "raises": "import nothing_there\n",
    "hogs": "import time\nwhile True:\n    try:\n        time.sleep(1)\n"
            "    except KeyboardInterrupt:\n        pass\n",
    "deaf": "import micropython\nmicropython.kbd_intr(-1)\nwhile True:\n    pass\n",
}  # fmt: skip
_KINDS = ["says something else"] * 12 + ["raises"] * 5 + ["hogs"] * 2 + ["deaf"]
_NEVER = 1 << 30
OLD, NEW = "1.20.0", "1.24.1"  # the firmware, where it is updated
_LAST_APPLY = re.compile(r"last apply .*?: (.*?)\. `provision apply`")

Files = dict[str, bytes]


@dataclass
class Change:
    """What the manifest makes of the old files. `create_only` files are among the new ones."""

    new: Files
    mended: Files
    manifest: str
    app: str

    def changed(self, old: Files) -> list[str]:
        return [path for path in {**old, **self.new} if old.get(path) != self.new.get(path)]


@dataclass
class Bench:
    """A board with the old app, which has passed its check, and `snapshot`s of that."""

    station: Station
    chip: Chip
    old: Files = field(default_factory=dict)
    all_old: Files = field(default_factory=dict)
    flash: bytes = b""
    lines: int = 0  # that a whole run says
    told: Counter[str] = field(default_factory=Counter)
    came: Counter[str] = field(default_factory=Counter)

    @property
    def state(self) -> Path:
        return self.station.home.parent / "state"

    def prepare(self) -> None:
        station, dice = self.station, random.Random(str(self.chip))
        image = self.old_image()
        station.board("x", chip=self.chip, firmware=image, wire="on", latency="1ms", scale="8")
        self.old = {
            "/boot.py": b"# the old boot.py\n",
            "/main.py": UP.encode(),
            "/lib/a.py": b"a = 1\n" * 300,
            "/lib/deep/b.bin": dice.randbytes(6000),
            "/data/c.txt": b"c\n" * 800,
            "/d.json": b"{}\n",
        }
        self.write(self.old, self.manifest(self.old))
        self.station.apply()
        station.put("x", {"/mine.txt": "the user's own", "/data/log": "the app's own"})
        self.power(False)
        self.all_old = self.files()
        self.flash = station.flash("x")
        self.kept = self.state.with_name("state-kept")
        shutil.copytree(self.state, self.kept)
        self.power(True)
        new = {**self.old, "/main.py": BROKEN["raises"].encode(), "/n.py": b"n = 1\n" * 200}
        self.write(new, self.manifest(new, image=self.new_image()))
        self.lines = station.apply(code=4).out.count("\n")

    def old_image(self) -> str:
        return self.station.firmware(self.chip)

    def new_image(self) -> str | None:
        """None where the manifest names no firmware."""
        return None

    def manifest(self, files: Files, *more: str, image: str | None = None) -> str:
        entries = ", ".join(
            [*(f"{{src: app{path}, dest: {path}}}" for path in sorted(files)), *more]
        )
        firmware = f"firmware: {{file: {image}}}, " if image is not None else ""
        return (
            f"defaults: {{board: {BOARDS[self.chip]}, {firmware}files: [{entries}],\n"
            "  check: {console: '^app: up', timeout: 1, on_failure: rollback}}\n"
            "devices: {x: {port: sim://x}}\n"
        )

    def write(self, files: Files, manifest: str) -> None:
        shutil.rmtree(self.station.work / "app", ignore_errors=True)
        for path, data in files.items():
            self.station.write(f"app{path}", data)
        self.station.write("fleet.yaml", manifest)

    def draw(self, dice: random.Random) -> Change:
        """Some files edited, some gone, by `absent` or a prune, some new; the app broken."""
        new = dict(self.old)
        more = []
        for path in ("/lib/a.py", "/lib/deep/b.bin", "/data/c.txt", "/d.json", "/boot.py"):
            match dice.randrange(4):
                case 0:
                    new[path] = b"# new %d\n" % dice.randrange(99) * dice.choice((1, 20, 400))
                case 1 if path != "/boot.py":
                    del new[path]
                    more.append(f"{{dest: {path}, state: absent}}")
        if dice.random() < 0.3 and not any(path.startswith("/lib/deep") for path in new):
            more.append("{dest: /lib/deep, state: absent}")
        for number in range(dice.randrange(4)):
            new[f"/{dice.choice(('pkg', 'pkg/deep', 'lib'))}/n{number}.py"] = b"n = 1\n" * 200
        app = dice.choice(_KINDS)
        new["/main.py"] = BROKEN[app].encode()
        mended = {**new, "/main.py": UP.encode() + b"# mended\n"}
        return Change(
            new=new,
            mended=mended,
            manifest=self.manifest(new, *more, image=self.new_image()),
            app=app,
        )

    # -- the board ---------------------------------------------------------------------------

    def power(self, on: bool) -> None:
        client.request("x", "power", on=on)

    def files(self) -> Files:
        """What is in the flash, start-up files under their own names."""
        files = self.station.files("x", self.chip)
        for path in ("/boot.py", "/main.py"):
            other = files.pop(disabled_name(path), None)
            if other is not None:
                files.setdefault(path, other)
        return {path: data for path, data in files.items() if ".provision~" not in path}

    def restore(self) -> None:
        """Back to the old state, on the board and on this computer."""
        self.power(False)
        with self.station.flash_file("x").open("r+b") as flash:
            flash.write(self.flash)
        shutil.rmtree(self.state)
        shutil.copytree(self.kept, self.state)
        self.power(True)

    def mend(self) -> Files | None:
        """The cable is in, the power is on, and nothing lies in wait; what is there."""
        for fault, arguments in (("cut-write", {"after": _NEVER}), ("unplug", {"bytes": _NEVER})):
            self.station.fault("x", fault, **arguments)
        if not self.station.order("x", "status")["plugged"]:
            self.station.order("x", "replug")
        self.power(False)
        found = self.look()
        self.power(True)
        return found

    def look(self) -> Files | None:
        """The files of a board without power; None while they are on this computer alone."""
        return self.files()

    # -- a run that is disturbed -----------------------------------------------------------

    def disturbed(self, dice: random.Random, *words: str) -> Ended:
        fault = dice.choice(FAULTS)
        line, delay = dice.randrange(1, self.lines + 1), dice.uniform(0, 0.2)
        if fault == "unplug":
            self.station.fault("x", "unplug", bytes=int(2 ** dice.uniform(6, 15.5)))
        elif fault == "cut-write":
            self.station.fault("x", "cut-write", after=int(2 ** dice.uniform(0, 7)))
        run = self.station.start(*words, "--json")
        if fault in ("kill", "interrupt", "power"):
            run.until(lambda run: run.out.count("\n") >= line or '"run-finished"' in run.out)
            self._wait(run, delay)
        if fault == "kill":
            run.signal(signal.SIGKILL)
        elif fault == "interrupt":
            run.signal(signal.SIGINT)
        elif fault == "power":
            self.power(False)
        ended = run.end()
        outcome = [json.loads(line).get("outcome") for line in ended.out.splitlines()
                   if '"device-finished"' in line]  # fmt: skip
        self.came[f"{fault}: {outcome[0] if outcome else 'killed'}"] += 1
        return ended

    @staticmethod
    def _wait(run: Run, seconds: float) -> None:
        try:
            run.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    # -- what must be so ---------------------------------------------------------------------

    def whole(self, change: Change, files: Files | None) -> None:
        """Every path has its old or its new content, and what is nobody's is untouched."""
        if files is None:
            return
        for path in {*self.all_old, *change.new, *files}:
            allowed = {self.all_old.get(path), change.new.get(path, self.unnamed(path, change))}
            assert files.get(path) in allowed, path

    def unnamed(self, path: str, change: Change) -> bytes | None:
        return None if path in self.old else self.all_old.get(path)

    def says_which(self, change: Change, files: Files | None) -> str | None:
        """What `plan` says, held against what is there; None where it says nothing, which it may
        of a board that is in the old state alone."""
        plan = self.station.provision("plan", "--json")
        assert plan.code == 0, plan.said
        told = [
            one for event in plan.of("notice", "x") for one in _LAST_APPLY.findall(event["message"])
        ]
        expected = self.expected(change, files, told)
        assert told == ([expected] if expected is not None else [])
        self.told[re.sub(r"\d+", "N", expected or "nothing")] += 1
        return expected

    def expected(self, change: Change, files: Files | None, told: list[str]) -> str | None:
        """What it has to say; None where it may say nothing, and has `told` nothing."""
        assert files is not None
        changed = change.changed(self.old)
        new = sum(files.get(path) == change.new.get(path) for path in changed)
        if not told:
            assert new == 0, (new, len(changed))
            return None
        if new == 0:
            expected = "the board has the files from before it"
        elif new == len(changed):
            expected = "the board has the new files"
        else:
            old = len(changed) - new
            expected = (
                f"of {len(changed)} changed files the board has {new} new, {old} from before it"
            )
        return expected


class Update(Bench):
    """The same, where the new state has another firmware too."""

    def prepare(self) -> None:
        super().prepare()
        self.old_beside = beside(self.flash, self.chip)

    def old_image(self) -> str:
        return self.station.firmware(self.chip, OLD, size=200_000)

    def new_image(self) -> str | None:
        return self.station.firmware(self.chip, NEW, size=200_000)

    @property
    def rewriting(self) -> bool:
        return any((self.state / "flashing").glob("*.rewrite"))

    def look(self) -> Files | None:
        boots = boot_of(self.station.flash("x"), self.chip)
        self.boots = boots.identity if isinstance(boots, Bootable) else None
        return None if self.rewriting else self.files()

    def expected(self, change: Change, files: Files | None, told: list[str]) -> str | None:
        version = self.boots.version if self.boots is not None else None
        if not told:
            assert version == OLD, version
        firmware = {
            OLD: f"the board has the firmware from before it ({OLD})",
            NEW: f"the board has the new firmware ({NEW})",
            None: "no firmware answers on the board",
        }[version]
        if files is None:
            found = [one for one in told if one.startswith(firmware)]
            return found[0] if found else firmware
        which = super().expected(change, files, told)
        if which is None:
            return None
        if version is not None:
            which = which.removeprefix("the board has ")
        return f"{firmware} and {which}"

    def is_as_before(self) -> bool:
        return beside(self.station.flash("x"), self.chip) == self.old_beside


def beside(flash: bytes, chip: Chip) -> bytes:
    """All of a flash but its filesystem."""
    start, size = FILESYSTEMS[chip]
    return flash[:start] + flash[start + size :]


@pytest.mark.slow
@pytest.mark.parametrize("chip", [ESP8266, ESP32])
def test_each_board_ends_in_one_state_and_the_next_run_says_which(
    station: Station, chip: Chip, capsys: pytest.CaptureFixture[str]
) -> None:
    go(Bench(station, chip), ROUNDS, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("chip", [ESP8266, ESP32])
def test_each_board_ends_in_one_firmware_and_state_and_the_next_run_says_which(
    station: Station, chip: Chip, capsys: pytest.CaptureFixture[str]
) -> None:
    go(Update(station, chip), UPDATES, capsys)


def go(bench: Bench, rounds: int, capsys: pytest.CaptureFixture[str]) -> None:
    station, chip = bench.station, bench.chip
    bench.prepare()
    ends: Counter[str] = Counter()
    began = time.monotonic()
    for number in range(rounds):
        dice = random.Random(f"{chip} {number}")
        change = bench.draw(dice)
        bench.restore()
        bench.write(change.new, change.manifest)
        bench.disturbed(dice, "apply")
        files = bench.mend()
        bench.whole(change, files)
        told = bench.says_which(change, files)
        if told is not None and dice.random() < 0.5:
            bench.disturbed(dice, *dice.choice((("apply",), ("rollback", "--yes"))))
            files = bench.mend()
            bench.whole(change, files)
            told = bench.says_which(change, files)
        way = dice.choice(
            ("rollback", "broken", "mended") if told is not None else ("broken", "mended")
        )
        if way == "rollback":
            ended = station.provision("rollback", "--json")
            assert ended.code == 0, (number, ended.said)
            wanted = bench.all_old
        elif way == "broken":
            ended = station.provision("apply", "--json")
            assert ended.outcomes == {"x": "rolled-back"}, (number, ended.said)
            wanted = bench.all_old
        else:
            bench.write(change.mended, change.manifest)
            ended = station.provision("apply", "--json")
            assert ended.code == 0, (number, ended.said)
            unmanaged = {p: data for p, data in bench.all_old.items() if p not in bench.old}
            wanted = {**unmanaged, **change.mended}
        assert bench.mend() == wanted, number
        if isinstance(bench, Update):
            assert bench.boots is not None
            assert bench.boots.version == (NEW if way == "mended" else OLD), number
            assert way == "mended" or bench.is_as_before(), number
        again = station.provision("plan", "--json")
        assert again.outcomes == {"x": "ok" if way == "mended" else "pending"}, (number, again.said)
        ends[f"{way}, {change.app}"] += 1
        with capsys.disabled():
            print(f"{chip} {number}: {way}, {change.app}, {told}", flush=True)
    with capsys.disabled():
        print(f"\n{chip}: {rounds} runs in {time.monotonic() - began:.0f} s")
        for table in (bench.came, bench.told, ends):
            print("\n".join(f"  {count:3} {what}" for what, count in sorted(table.items())))
