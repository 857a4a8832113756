"""One run: a board in some state, an apply that is disturbed, an apply that is not, one more.

Afterwards the flash's bytes, the lock, everything that was printed and every file that was left
are held against what must be so whatever happened (`judge`). A run that breaks one of these says
which.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.core.rehearsal.faults import CABLE
from tests.campaign import flash as flashes
from tests.campaign.bench import (
    BOUND,
    MOVED,
    ROOT,
    Bench,
    Ended,
    Happening,
    Limits,
    send,
    tool,
)
from tests.campaign.faults import SIGNALS, Fault
from tests.campaign.judge import READ, STRANGER, STRANGER_MAC, Judge
from tests.campaign.said import actions, failures, outcomes
from tests.campaign.scenario import Scenario

OTHER = "other"
FOREIGN_MAC = "02:00:00:00:00:05"  # of the board that comes in another's place


@dataclass
class Result:
    """How a run went; `broken` names the invariants that did not hold, none if it survived."""

    seed: int
    chip: str
    start: str
    faults: tuple[str, ...]
    wired: bool = False
    codes: list[int | None] = field(default_factory=list)
    hit: bool = False  # whether the first apply failed or ended early
    happened: list[str] = field(default_factory=list)  # the faults that are known to have come
    erased: bool = False
    rewritten: bool = False
    broken: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    slowest: float = 0.0


class Run:
    """`folder` is this run's own, empty; it holds project, state, cache and locks."""

    def __init__(self, scenario: Scenario, bench: Bench, folder: Path) -> None:
        self.scenario = scenario
        self.bench = bench
        self.folder = folder
        self.project = folder / "project"
        self.state = folder / "state"
        self.name = f"node-{scenario.chip}" + ("-wired" if scenario.wired else "")
        self.said: list[Ended] = []
        self.rival: subprocess.Popen[str] | None = None
        self.result = Result(
            seed=scenario.seed,
            chip=str(scenario.chip),
            start=scenario.start,
            faults=scenario.kinds,
            wired=scenario.wired,
        )
        self.wanted = (
            flashes.image(
                scenario.chip, scenario.new_version, scenario.image_size, scenario.moved_to
            )
            if scenario.new_version
            else None
        )

    # The way through

    def go(self) -> Result:
        began = time.monotonic()
        self._prepare()
        if self.scenario.start == "corrupt-filesystem":
            self._unasked()
        first = self._disturbed()
        self._notice(first)
        self.judge.error(first)
        if self.scenario.start == "other-board":
            self.judge.refused_untouched(first, self.bench.flash(self.name))
        if self.scenario.power_off:
            self._power_off()
            self.judge.between(self.bench.flash(self.name))
        self.bench.mend(self.name)
        self._converge(first)
        if self.scenario.seed % 25 == 0:
            self._ask_esptool()
            self._ask_board()
        self._power_off()
        self.judge.after(self.bench.flash(self.name))
        if self.scenario.way_back:
            self._go_back(self.scenario.way_back)
        if self.bench.flash(OTHER) != self.other:
            self.broken("the flash of another board was changed")
        self.judge.secrets(self.folder, self.project, self.said)
        self.judge.files(self.folder, self.project, self.macs)
        self.result.seconds = time.monotonic() - began
        self.result.slowest = max(ended.seconds for ended in self.said)
        self.result.codes = [ended.code for ended in self.said]
        self.result.erased = self.judge.told.erases
        self.result.rewritten = self.judge.told.rewrites
        return self.result

    def broken(self, what: str) -> None:
        self.result.broken.append(what)

    def _power_off(self) -> None:
        with contextlib.suppress(Exception):  # a port that has another name by now
            self.bench.power(self.name, False)
            return
        self.bench.power(self.name + MOVED, False)

    def _prepare(self) -> None:
        scenario = self.scenario
        for path, data in scenario.project.items():
            place = self.project / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        (self.project / "fleet.yaml").write_text(scenario.manifest, encoding="utf-8")
        if self.wanted is not None:
            (self.project / "wanted.bin").write_bytes(self.wanted)
        line = {"wire": "on", "latency": "1ms", "scale": "4"} if scenario.wired else {}
        self.bench.board(self.name, scenario.chip, **line)
        if OTHER not in self.bench.boards:
            self.bench.board(OTHER, ESP32)
            files = {"/other.py": b"# the other board\n", "/mine": b"its own"}
            self.bench.put(
                OTHER,
                flashes.start_flash(
                    ESP32,
                    "old",
                    base=flashes.image(ESP32, "1.22.2"),
                    wanted=None,
                    files=files,
                    cut=0,
                ),
            )
        self.before = flashes.start_flash(
            scenario.chip,
            scenario.start,
            base=flashes.image(
                scenario.chip,
                scenario.old_version,
                scenario.image_size if scenario.start == "current" else None,
            ),
            wanted=self.wanted,
            files=scenario.before,
            cut=random.Random(scenario.seed).random(),
        )
        self.bench.put(self.name, self.before)
        self.other = self.bench.flash(OTHER)
        self.macs = {"node": self.bench.macs[self.name], "other": self.bench.macs[OTHER]}
        known = dict(self.macs) if scenario.learned else {}
        if scenario.start == "other-board":
            known.setdefault("other", self.macs["other"])
            self.bench.fault(self.name, "exchange", mac=self.macs["other"])
        if known:
            text = "".join(f"  {name}: {{mac: '{mac}'}}\n" for name, mac in known.items())
            (self.project / "fleet.lock").write_text(f"version: 1\ndevices:\n{text}")
        self.judge = Judge(scenario, before=self.before, wanted=self.wanted, broken=self.broken)

    def _environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            "PROVISION_STATE_DIR": str(self.state),
            "PROVISION_RUNTIME_DIR": str(self.folder / "run"),
            "PROVISION_CACHE_DIR": str(self.folder / "cache"),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }

    def _apply(self, *options: str, yes: bool = True, **disturbance: Any) -> Ended:
        ended = tool(
            "apply",
            *(("--yes",) if yes else ()),
            *options,
            folder=self.project,
            environment=self._environment(),
            **disturbance,
        )
        self.said.append(ended)
        if ended.code is None:
            self.broken(f"a run did not end within its bound: {ended.said[-300:]!r}")
        records = (path.read_text("utf-8", "replace") for path in self.state.glob("runs/*.jsonl"))
        self.judge.told.add([ended.out, *records])
        return ended

    def _unasked(self) -> None:
        """A filesystem that cannot be read is not erased unless somebody says yes."""
        ended = self._apply("--json", yes=False)
        if ended.code != 4 or outcomes(ended).get("node") != "refused":
            self.broken(f"erased without a yes: {ended.code} {failures(ended)}")
        self.judge.refused_untouched(ended, self.bench.flash(self.name))

    # The first apply, with its faults

    def _disturbed(self) -> Ended:
        self.passed = self.bench.status(self.name)["bytes"]
        noise: dict[str, float] = {}
        happenings = []
        limits = None
        locked: list[Path] = []
        for fault in self.scenario.faults:
            match fault.kind:
                case "unplug" | "unplug-briefly":
                    self._order(fault)
                case "port-renamed":
                    moved = {"replug": CABLE, "name": self.name + MOVED}
                    self.bench.fault(self.name, "unplug", bytes=fault.bytes, **moved)
                case "cut-erase" | "cut-write":
                    self._order(replace(fault, stays=self.scenario.power_off))
                case "exchange":
                    arguments = {"mac": FOREIGN_MAC, "after": fault.after}
                    self.bench.fault(self.name, "exchange", **arguments)
                case "drop" | "flip":
                    noise = {fault.kind: fault.rate}
                case "disk-full":
                    limits = Limits(file_size=fault.limit)
                case "read-only":
                    limits, locked = Limits(mortal=True), self._locked()
                case _:
                    happenings.append(self._happening(fault))
        if noise:
            self.bench.fault(self.name, "noise", seed=self.scenario.seed, **noise)
        try:
            ended = self._apply(*self.scenario.options, disturb=happenings, limits=limits)
        finally:
            for place in locked:
                place.chmod(0o700)
        self._end_rival()
        return ended

    def _order(self, fault: Fault) -> None:
        name, arguments = fault.order
        self.bench.fault(self.name, name, **arguments)

    def _locked(self) -> list[Path]:
        places = {"state": self.state, "run": self.folder / "run", "project": self.project}
        dice = random.Random(self.scenario.seed)
        chosen = [places[name] for name in sorted(places) if dice.random() < 0.5]
        for place in chosen:
            place.mkdir(exist_ok=True)
            place.chmod(0o500)
        return chosen

    def _happening(self, fault: Fault) -> Happening:
        acts = {
            "state-gone": (lambda _: shutil.rmtree(self.state, ignore_errors=True),),
            "rival": (lambda _: self._start_rival(),),
            "lock-edited": (lambda _: self._edit_lock(),),
        }.get(fault.kind) or tuple(send(number) for number in SIGNALS[fault.kind])
        apart = fault.pause if fault.kind == "sigstop" else 0.3
        return Happening(fault.kind, acts, fault.event, fault.delay, apart)

    def _start_rival(self) -> None:
        """Somebody else runs the same manifest at the same time."""
        self.rival = subprocess.Popen(
            [sys.executable, "-m", "provision", "apply", "--yes", "--json"],
            cwd=self.project,
            env={**os.environ, **self._environment()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _end_rival(self) -> None:
        if self.rival is None:
            return
        began = time.monotonic()
        try:
            out, err = self.rival.communicate(timeout=BOUND)
        except subprocess.TimeoutExpired:
            self.rival.kill()
            out, err = self.rival.communicate()
            self.broken(f"a rival run did not end within its bound: {out[-300:]!r} {err[-300:]!r}")
        ended = Ended(self.rival.returncode, out, err, time.monotonic() - began)
        self.judge.told.add([out])
        self.judge.error(ended)
        self.result.errors.append(f"rival: {ended.code} {failures(ended)}")

    def _edit_lock(self) -> None:
        """Somebody adds a device to fleet.lock by hand, with an editor that replaces the file."""
        path = self.project / "fleet.lock"
        lock: dict[str, Any] = {"version": 1, "devices": {}}
        with contextlib.suppress(FileNotFoundError):
            lock = yaml.safe_load(path.read_text(encoding="utf-8"))
        lock.setdefault("devices", {})[STRANGER] = {"mac": STRANGER_MAC}
        edited = path.with_name("edited")
        edited.write_text(yaml.safe_dump(lock), encoding="utf-8")
        edited.replace(path)

    def _notice(self, first: Ended) -> None:
        """Which faults came about, as far as can be told."""
        status = self.bench.status(self.name)
        for fault in self.scenario.faults:
            match fault.kind:
                case "unplug" | "unplug-briefly" | "port-renamed":
                    came = status["bytes"] - self.passed >= fault.bytes
                case "cut-erase" | "cut-write":
                    came = status["mode"] == "off" or first.code != 0
                case "exchange":
                    came = status["mac"] == FOREIGN_MAC
                case "drop" | "flip" | "disk-full" | "read-only":
                    came = first.code != 0
                case _:
                    came = fault.kind in first.happened
            if came:
                self.judge.happened.add(fault.kind)
        self.result.happened = sorted(self.judge.happened)
        self.result.hit = first.code != 0
        if first.code != 0:
            self.result.errors.append(failures(first))

    # The applies after it

    def _converge(self, first: Ended) -> None:
        """An apply without faults must do all that is left, and the next one nothing."""
        options = ["--json"]
        met_another = "exchange" in self.judge.happened or self.scenario.start == "other-board"
        if met_another and not self.scenario.learned:
            # Whoever came first was taken for the device's own board.
            options += ["--accept-new-board", "node"]
        second = self._apply(*options)
        if second.code != 0:
            self.broken(f"does not converge: exit {second.code}: {failures(second)}")
            return
        disturbed = {"cut-erase", "cut-write", "rival"} & set(self.scenario.kinds)
        if first.code == 0 and not disturbed and outcomes(second).get("node") != "ok":
            self.broken(f"the first run said 0, the second still had {actions(second)} to do")
        self._idle("a further run")

    def _idle(self, what: str) -> None:
        between = self.bench.flash(self.name)
        third = self._apply("--json")
        if third.code != 0 or set(outcomes(third).values()) != {"ok"}:
            self.broken(f"{what} is not idle: {third.code} {actions(third)} {failures(third)}")
        if self.bench.flash(self.name) != between:
            self.broken(f"{what} changed the flash")

    def _go_back(self, version: str) -> None:
        """To the version from before, with everything still there."""
        wanted = flashes.image(self.scenario.chip, version)
        (self.project / "wanted.bin").write_bytes(wanted)
        self.bench.power(self.name, True)
        ended = self._apply("--json")
        if ended.code != 0:
            self.broken(f"the way back to {version} failed: {failures(ended)}")
            return
        self._idle("a run after the way back")
        self._power_off()
        self.judge.wanted = wanted
        self.judge.after(self.bench.flash(self.name))

    def _ask_esptool(self) -> None:
        """What a stranger reads from the flash is what the file holds."""
        out = self.folder / READ
        start, _ = self.scenario.place
        for offset, length in ((0, 0x12000), (start, 0x8000)):
            ended = tool(
                *("sim", "exec", "--", "esptool", "--port", f"sim://{self.name}"),
                *("read-flash", hex(offset), hex(length), str(out)),
                folder=self.folder,
                environment=self._environment(),
                anew=True,
            )
            if ended.code != 0 or out.read_bytes() != self.bench.flash(self.name)[
                offset : offset + length
            ]:  # fmt: skip
                self.broken(f"esptool reads something else at {offset:#x}: {ended.said[-300:]}")

    def _ask_board(self) -> None:
        """What the board itself finds in its NVS, asked by mpremote."""
        if self.scenario.chip is ESP8266 or self.scenario.start in ("blank", "foreign-firmware"):
            return
        asked = tool(
            *("sim", "exec", "--", "mpremote", "connect", f"sim://{self.name}", "exec"),
            "import esp32; print(esp32.NVS('a').get_i32('k'))",
            folder=self.folder,
            environment=self._environment(),
            anew=True,
        )
        if asked.out.strip() != str(flashes.IN_NVS) and not self.judge.told.names("NVS"):
            self.broken(f"the board does not find its NVS: {asked.said[-300:]}")

    def close(self) -> None:
        """Nothing of this run goes on."""
        if self.rival is not None and self.rival.poll() is None:
            os.killpg(self.rival.pid, signal.SIGKILL)
            self.rival.communicate()


def run(scenario: Scenario, bench: Bench, folder: Path, *, keep: bool = False) -> Result:
    """One run in a folder of its own, which is removed after it unless `keep`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    one = Run(scenario, bench, folder)
    try:
        result = one.go()
    except Exception as error:  # noqa: BLE001 - a run that cannot be judged is a finding, too
        import traceback

        result = one.result
        result.broken.append(f"the run broke off: {error!r} {traceback.format_exc()[-900:]}")
    finally:
        one.close()
    if keep or result.broken:
        for number, ended in enumerate(one.said):
            (folder / f"said-{number}.txt").write_text(f"{ended.code}\n{ended.out}\n{ended.err}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def boards_home(folder: Path) -> Path:
    """Where a worker's boards live; the path is short, for their sockets are named by it."""
    home = folder / "boards"
    os.environ["PROVISION_SIM_HOME"] = str(home)
    return home
