"""One run: a board in some state, an apply that is disturbed, an apply that is not, one more.

Afterwards the flash's bytes, the lock, everything that was printed and every file that was left
are held against what must be so whatever happened. A run that breaks one of these says which.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from provision.core.chips.esp.boot import Bootable, boot_of
from provision.core.chips.esp.chips import ESP32
from tests.campaign import flash as flashes
from tests.campaign.bench import ROOT, Bench, Ended, Limits, Signal, tool
from tests.campaign.scenario import Scenario

OTHER = "other"
READ = "read.bin"  # what esptool read, which may hold the secret
HARMLESS = ("none", "disk-full", "read-only")
"""Faults that leave the board and its line alone."""
HOST = ("disk-full", "read-only")
"""Faults of the computer, which every device may meet."""
SIGNALS = {
    "sigkill": (signal.SIGKILL,),
    "sigint": (signal.SIGINT,),
    "sigint-twice": (signal.SIGINT, signal.SIGINT),
}


@dataclass
class Result:
    """How a run went; `broken` names the invariants that did not hold, none if it survived."""

    seed: int
    chip: str
    start: str
    fault: str
    wired: bool = False
    codes: list[int | None] = field(default_factory=list)
    hit: bool = False  # whether the fault made a difference that can be told
    erased: bool = False
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
        self.name = f"node-{scenario.chip}" + ("-wired" if scenario.wired else "")
        self.said: list[Ended] = []
        self.result = Result(
            seed=scenario.seed,
            chip=str(scenario.chip),
            start=scenario.start,
            fault=scenario.fault.kind,
            wired=scenario.wired,
        )
        self.wanted = (
            flashes.image(scenario.chip, scenario.new_version, scenario.image_size)
            if scenario.new_version
            else None
        )

    # The way through

    def go(self) -> Result:
        began = time.monotonic()
        self._prepare()
        first = self._disturbed()
        self._judge_error(first)
        self._look_between()
        self.bench.mend(self.name)
        self._converge(first)
        if self.scenario.seed % 25 == 0:
            self._ask_esptool()
        self.bench.power(self.name, False)
        self._look_after()
        self._look_for_secrets()
        self._look_at_files()
        self.result.seconds = time.monotonic() - began
        self.result.slowest = max(ended.seconds for ended in self.said)
        self.result.codes = [ended.code for ended in self.said]
        return self.result

    def broken(self, what: str) -> None:
        self.result.broken.append(what)

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
        self.macs = {
            "node": self.bench.order(self.name, "status")["mac"],
            "other": self.bench.order(OTHER, "status")["mac"],
        }
        if scenario.learned:
            known = "".join(f"  {name}: {{mac: '{mac}'}}\n" for name, mac in self.macs.items())
            (self.project / "fleet.lock").write_text(f"version: 1\ndevices:\n{known}")

    def _environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            "PROVISION_STATE_DIR": str(self.folder / "state"),
            "PROVISION_RUNTIME_DIR": str(self.folder / "run"),
            "PROVISION_CACHE_DIR": str(self.folder / "cache"),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }

    def _apply(self, *options: str, **disturbance: Any) -> Ended:
        ended = tool(
            "apply",
            "--yes",
            *options,
            folder=self.project,
            environment=self._environment(),
            **disturbance,
        )
        self.said.append(ended)
        if ended.code is None:
            self.broken(f"a run did not end within its bound: {ended.said[-300:]!r}")
        return ended

    def _disturbed(self) -> Ended:
        """The first apply, with the fault."""
        fault = self.scenario.fault
        options = self.scenario.options
        match fault.kind:
            case "unplug":
                self.bench.fault(self.name, "unplug", bytes=fault.bytes)
            case "unplug-briefly":
                self.bench.fault(self.name, "unplug", bytes=fault.bytes, replug=0.3)
            case "cut-erase" | "cut-write":
                again = {} if fault.power_off else {"again": 0.2}
                self.bench.fault(self.name, fault.kind, after=fault.after, **again)
            case "drop" | "flip":
                arguments = {fault.kind: fault.rate, "seed": self.scenario.seed}
                self.bench.fault(self.name, "noise", **arguments)
            case "sigkill" | "sigint" | "sigint-twice":
                signals = Signal(SIGNALS[fault.kind], fault.event, fault.delay)
                return self._apply(*options, disturb=signals)
            case "disk-full":
                return self._apply(*options, limits=Limits(file_size=fault.limit))
            case "read-only":
                return self._read_only(options)
        return self._apply(*options)

    def _read_only(self, options: tuple[str, ...]) -> Ended:
        places = {"state": self.folder / "state", "run": self.folder / "run"}
        places["project"] = self.project
        dice = random.Random(self.scenario.seed)
        chosen = [places[name] for name in sorted(places) if dice.random() < 0.5]
        for place in chosen:
            place.mkdir(exist_ok=True)
            place.chmod(0o500)
        try:
            return self._apply(*options, limits=Limits(mortal=True))
        finally:
            for place in chosen:
                place.chmod(0o700)

    def _converge(self, first: Ended) -> None:
        """An apply without faults must do all that is left, and the next one nothing."""
        second = self._apply("--json")
        self._note_erasing(second)
        if second.code != 0:
            self.broken(f"does not converge: exit {second.code}: {_failures(second)}")
            return
        trusted = first.code == 0 and not self.scenario.fault.power_off
        if trusted and _outcomes(second).get("node") != "ok":
            self.broken(f"the first run said 0, the second still had {_actions(second)} to do")
        between = self.bench.flash(self.name)
        third = self._apply("--json")
        if third.code != 0 or set(_outcomes(third).values()) != {"ok"}:
            self.broken(f"a further run is not idle: {third.code} {_actions(third)}")
        if self.bench.flash(self.name) != between:
            self.broken("a further run changed the flash")

    # What must be so

    def _note_erasing(self, ended: Ended) -> None:
        """Whether a plan of this run said that it erases."""
        told = ended.out + "".join(
            path.read_text("utf-8", "replace") for path in self.folder.glob("state/runs/*.jsonl")
        )
        if re.search(r'"erase-flash"|^.*\berase\b.*flash', told, re.MULTILINE):
            self.result.erased = True

    def _judge_error(self, ended: Ended) -> None:
        """A run that failed says once, and clearly, what happened to which device."""
        fault = self.scenario.fault.kind
        self._note_erasing(ended)
        killed = ended.code == -signal.SIGKILL and fault == "sigkill"
        self.result.hit = ended.hit or ended.code != 0 or fault == "none"
        if "Traceback (most recent" in ended.said:
            self.broken(f"a traceback: {ended.err[-900:]}")
        if ended.code == 0 or killed:
            return
        if ended.code not in (2, 3, 4, 5, 130, -signal.SIGINT):  # a shell calls the last one 130
            self.broken(f"exit code {ended.code}: {ended.err[-500:]}")
        hints = len(re.findall(r"\bhint: \S", ended.err))
        told = _failures(ended)
        self.result.errors.append(told)
        if ended.code in (130, -signal.SIGINT) and (
            "\ninterrupted\n" in f"\n{ended.err}" or _all_well(ended)
        ):
            return  # cut short by the second Ctrl-C, or when every device was done
        if not told or not hints:
            self.broken(f"a failure without reason or hint: {ended.said[-500:]!r}")
        if ended.code in (4, 5) and "node" not in ended.said:
            self.broken(f"a failure that names no device: {ended.said[-500:]!r}")
        failed = (
            2
            if fault in HOST and re.search(r"^other: (unreachable|failed) after", ended.err, re.M)
            else 1
        )
        if ended.code in (4, 5) and hints != failed:
            self.broken(f"{hints} hints for {failed} failures: {ended.err[-500:]!r}")
        if "--json" in self.scenario.options:
            outcomes = _outcomes(ended)
            if ended.code in (4, 5) and failed == 1 and outcomes.get("other") != "ok":
                self.broken(f"another device was spoilt: {outcomes}")
        if fault == "none" and self.scenario.start != "corrupt-filesystem":
            self.broken(f"failed without any fault: {told}")

    def _look_between(self) -> None:
        """After the disturbance, with the power gone: nothing under its own name is mixed."""
        if not self.scenario.fault.power_off:
            return
        self.bench.power(self.name, False)
        data = self.bench.flash(self.name)
        scenario = self.scenario
        if scenario.start in flashes.UNREADABLE and not self.result.erased:
            return
        found = boot_of(data, scenario.chip)
        if not isinstance(found, Bootable) or found.identity is None:
            return  # nothing starts: no app can meet what is half written
        files = flashes.read_files(data, scenario.chip)
        if files is None:
            if not self.result.erased:
                self.broken("the filesystem was destroyed without an erase in the plan")
            return
        self._nothing_mixed(files)
        if not self.result.erased:
            self._unmanaged_untouched(files, data, "between")

    def _nothing_mixed(self, files: dict[str, bytes]) -> None:
        scenario = self.scenario
        for path, new in scenario.managed.items():
            held = files.get(path)
            if held not in (None, new, scenario.before.get(path)):
                own = path == "/boot.py" and self.result.erased  # the firmware's, at first boot
                if not own:
                    self.broken(
                        f"{path} is neither old nor new: {len(held or b'')} of {len(new)} bytes"
                    )

    def _unmanaged_untouched(self, files: dict[str, bytes], data: bytes, when: str) -> None:
        scenario = self.scenario
        for path, content in scenario.before.items():
            ours = path in scenario.managed or path in scenario.gone
            if not ours and files.get(path) != content:
                self.broken(f"{when}: unmanaged {path} was touched")
        start, end = flashes.own_area(scenario.chip)
        if data[start:end] != self.before[start:end]:
            self.broken(f"{when}: the board's own settings (NVS) were touched")

    def _look_after(self) -> None:
        """The converged board, by its flash's bytes."""
        scenario = self.scenario
        data = self.bench.flash(self.name)
        erased = self.result.erased
        files = flashes.read_files(data, scenario.chip)
        if files is None:
            self.broken("there is no filesystem in the end")
            return
        expected = scenario.expected(erased=erased)
        kept = scenario.expected(erased=False)
        if all(files.get(path) == data for path, data in kept.items()):
            expected = kept  # a plan that erases was cut before it did, and the next kept the files
        if (erased or scenario.start in flashes.UNREADABLE) and "/boot.py" not in scenario.managed:
            files.pop("/boot.py", None)  # the firmware's own
            expected.pop("/boot.py", None)
        for path in sorted({*files, *expected}):
            if files.get(path) != expected.get(path):
                self.broken(
                    f"{path}: {_shown(files.get(path))}, expected {_shown(expected.get(path))}"
                )
        if self.wanted is not None and not flashes.holds_image(data, scenario.chip, self.wanted):
            self.broken("the firmware in the flash is not the image of the manifest")
        if self.wanted is None:
            start, _ = flashes.files_at(scenario.chip)
            if any(data[:start][part] != self.before[:start][part] for part in flashes.FIRMWARE):
                self.broken("the manifest names no firmware, and yet it was touched")
        if not erased:
            start, end = flashes.own_area(scenario.chip)
            if data[start:end] != self.before[start:end]:
                self.broken("the board's own settings (NVS) were touched")
        elif (
            scenario.erase == "auto"
            and scenario.start in flashes.ANSWERS
            and scenario.fault.kind in HARMLESS
        ):
            self.broken("a board that answers was erased")
        if self.bench.flash(OTHER) != self.other:
            self.broken("the flash of another board was changed")

    def _ask_esptool(self) -> None:
        """What a stranger reads from the flash is what the file holds."""
        out = self.folder / READ
        start, _ = flashes.files_at(self.scenario.chip)
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

    def _look_for_secrets(self) -> None:
        """The secret, digests and encodings of it, in whatever the tool has said or left."""
        scenario = self.scenario
        if scenario.secret_file is None:
            return
        content = scenario.managed[scenario.secret_file]
        secret = scenario.secret.encode()
        forms = {
            "the secret": secret,
            "its sha256": hashlib.sha256(secret).hexdigest().encode(),
            "its hex": secret.hex().encode(),
            "the sha256 of its file": hashlib.sha256(content).hexdigest().encode(),
        }
        texts = {f"output {n}": ended.said.encode() for n, ended in enumerate(self.said)}
        sources = {self.project / path for path in scenario.project}
        sources.add(self.folder / READ)
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in sources:
                texts[str(path.relative_to(self.folder))] = path.read_bytes()
        for where, text in texts.items():
            for what, form in forms.items():
                if form in text:
                    self.broken(f"{what} is in {where}")

    def _look_at_files(self) -> None:
        """Lock and cache are valid, records private, nothing half written lies about."""
        path = self.project / "fleet.lock"
        try:
            lock = yaml.safe_load(path.read_text(encoding="utf-8"))
            known = {name: entry["mac"] for name, entry in lock["devices"].items()}
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            self.broken(f"fleet.lock is not valid: {error}")
        else:
            if known != self.macs:
                self.broken(f"fleet.lock knows {known}, not {self.macs}")
        for stale in self.project.glob(".fleet.lock.*"):
            self.broken(f"{stale.name} was left behind")
        for path in (self.folder / "cache").rglob("*"):
            if not path.is_file() or not re.fullmatch(r"[0-9a-f]{64}", path.name):
                continue
            if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
                self.broken(f"the cache holds a damaged {path.name}")
        for path in (self.folder / "state").rglob("*.jsonl"):
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                self.broken("a record can be read by others")


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
    if keep or result.broken:
        for number, ended in enumerate(one.said):
            (folder / f"said-{number}.txt").write_text(f"{ended.code}\n{ended.out}\n{ended.err}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _events(ended: Ended) -> list[dict[str, Any]]:
    events = []
    for line in ended.out.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "kind" in event:
            events.append(event)
    return events


def _all_well(ended: Ended) -> bool:
    """Whether every device that was begun was brought to its end, as far as can be told."""
    outcomes = _outcomes(ended)
    recap = re.search(r"failed=0 unreachable=0(?! .*interrupted=[1-9])", ended.out)
    return bool(recap) if not outcomes else set(outcomes.values()) <= {"ok", "changed", "skipped"}


def _failures(ended: Ended) -> str:
    """What the devices that failed say, whichever way it was told."""
    told = [
        f"{event['device']}: {event['outcome']}: {event['error']} ({event['hint']})"
        for event in _events(ended)
        if event["kind"] == "device-finished" and event.get("error")
    ]
    if told:
        return "; ".join(told)
    return " | ".join(line for line in ended.err.splitlines() if line.strip())[-400:]


def _outcomes(ended: Ended) -> dict[str, str]:
    finished = [event for event in _events(ended) if event["kind"] == "device-finished"]
    return {event["device"]: event["outcome"] for event in finished}


def _actions(ended: Ended) -> list[str]:
    return [
        f"{event['action']['kind']} {event['action'].get('path', '')}".strip()
        for event in _events(ended)
        if event["kind"] == "action-done"
    ]


def _shown(content: bytes | None) -> str:
    return "nothing" if content is None else f"{len(content)} bytes {content[:24]!r}"


def boards_home(folder: Path) -> Path:
    """Where a worker's boards live; the path is short, for their sockets are named by it."""
    home = folder / "boards"
    os.environ["PROVISION_SIM_HOME"] = str(home)
    return home
