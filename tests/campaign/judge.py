"""What must be so after a run, whatever happened in it; told past our own code.

The flash is read as bytes and with littlefs-python, the lock as YAML, everything else as text.
"""

from __future__ import annotations

import hashlib
import re
import signal
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from provision.core.chips.esp.boot import Bootable, boot_of
from provision.core.chips.esp.chips import ESP8266
from provision.model.chip import Chip
from tests.campaign import flash as flashes
from tests.campaign.bench import Ended
from tests.campaign.faults import EVERY_DEVICE
from tests.campaign.said import Told, all_well, failed, failures, outcomes, shown
from tests.campaign.scenario import Scenario

OUR_TRACEBACK = r'Traceback \(most recent call last\):\s+File "/'  # a board's names no such path
READ = "read.bin"  # what esptool read, which may hold the secret
STRANGER = "stranger"  # the device that somebody writes into fleet.lock by hand
STRANGER_MAC = "02:00:00:00:00:07"


class Judge:
    """`broken` is told what does not hold; `before` is the flash at the start."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        before: bytes,
        wanted: bytes | None,
        broken: Callable[[str], None],
    ) -> None:
        self.scenario = scenario
        self.before = before
        self.wanted = wanted
        self.broken = broken
        self.told = Told()
        self.happened: set[str] = set()  # the faults that are known to have come about

    # What a plan may do

    @property
    def sound(self) -> bool:
        """Whether the board starts with a filesystem that can be read, and nobody asks for it to
        be erased."""
        scenario = self.scenario
        return scenario.start not in flashes.UNREADABLE and scenario.erase == "auto"

    @property
    def forsaken(self) -> bool:
        """Whether what was saved for the time of a rewrite is beyond the tool's reach: somebody
        removed it, or it is that of another board. Then even a sound filesystem may be lost."""
        kinds = self.happened & {"state-gone", "exchange"}
        return bool(kinds) and (self.told.rewrites or self.told.erases)

    def erasing(self) -> None:
        """No filesystem is erased that could have been kept."""
        if self.told.erases and self.sound and not self.forsaken:
            self.broken("a plan erases though the filesystem is sound")

    # What it says

    def error(self, ended: Ended, mended_by: Sequence[str] = ()) -> None:
        """A run that failed says once, and clearly, what happened to which device."""
        kinds = set(self.scenario.kinds)
        if re.search(
            r'Traceback \(most recent call last\):\s+File "/', ended.said
        ):  # not a board's
            self.broken(f"a traceback: {ended.err[-900:]}")
        if ended.code == 0 or (ended.code == -signal.SIGKILL and "sigkill" in kinds):
            return
        if ended.code not in (2, 3, 4, 5, 130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP):
            self.broken(f"exit code {ended.code}: {ended.err[-500:]}")
        hints = len(re.findall(r"\bhint: \S", ended.err))
        told = failures(ended)
        if ended.code < 0 or ended.code == 130:  # type: ignore[operator]
            early = ended.code != 130 and not ended.out
            if early or "\ninterrupted\n" in f"\n{ended.err}" or all_well(ended):
                return  # before it began, by a second signal, or when every device was done
        if ended.code == 2 and all_well(ended) and "\ncannot write the " in f"\n{ended.err}":
            return  # a log file or report that was asked for
        if not told or not hints:
            self.broken(f"a failure without reason or hint: {ended.said[-500:]!r}")
        if ended.code not in (4, 5):
            return
        spoilt = failed(ended)
        if not spoilt:
            self.broken(f"a failure that names no device: {ended.said[-500:]!r}")
        if hints != len(spoilt):
            self.broken(f"{hints} hints for {len(spoilt)} failures: {ended.err[-700:]!r}")
        if "other" in spoilt and not kinds & set(EVERY_DEVICE):
            self.broken(f"another device was spoilt: {outcomes(ended) or told}")
        if kinds == {"none"} and self.scenario.start != "other-board":
            self.broken(f"failed without any fault: {told}")

    def refused_untouched(self, ended: Ended, now: bytes) -> None:
        """Of a board that is another device's, or whose loss needs a yes: nothing was done."""
        if _but_own(now, self.scenario.chip) != _but_own(self.before, self.scenario.chip):
            self.broken(f"a board that must be refused was changed: {failures(ended)}")

    # What is on the board

    def between(self, data: bytes) -> None:
        """After the disturbance, with the power gone: nothing under its own name is mixed."""
        scenario = self.scenario
        if scenario.start in flashes.UNREADABLE and not self.told.erases:
            return
        found = boot_of(data, scenario.chip)
        if not isinstance(found, Bootable) or found.identity is None:
            return  # nothing starts: no app can meet what is half written
        place = flashes.files_at(scenario.chip)
        if scenario.moved_to and flashes.has_table(data, flashes.table(*scenario.moved_to)):
            place = scenario.moved_to
        files = flashes.read_files(data, place)
        renewed = self.told.erases or self.told.rewrites
        if files is None:
            if not renewed:
                self.broken("the filesystem was destroyed without an erase in the plan")
            return
        self._nothing_mixed(files)
        if not renewed:
            self._unmanaged_untouched(files, data, "between")

    def _nothing_mixed(self, files: Mapping[str, bytes]) -> None:
        scenario = self.scenario
        for path, new in scenario.managed.items():
            held = files.get(path)
            if held not in (None, new, scenario.before.get(path)):
                own = path == "/boot.py" and self.told.erases  # the firmware's, at first boot
                if not own:
                    self.broken(
                        f"{path} is neither old nor new: {len(held or b'')} of {len(new)} bytes"
                    )

    def _unmanaged_untouched(self, files: Mapping[str, bytes], data: bytes, when: str) -> None:
        scenario = self.scenario
        for path, content in scenario.before.items():
            ours = path in scenario.managed or path in scenario.gone
            disabled = files.get("/.provision~" + path.removeprefix("/")) == content
            if not ours and files.get(path) != content and not disabled:
                self.broken(f"{when}: unmanaged {path} was touched")
        self._own_area(data, when)

    def _own_area(self, data: bytes, when: str) -> None:
        start, end = flashes.own_area(self.scenario.chip)
        if data[start:end] != self.before[start:end]:
            self.broken(f"{when}: the board's own settings (NVS) were touched")

    def after(self, data: bytes) -> None:
        """The converged board, by its flash's bytes."""
        scenario, told = self.scenario, self.told
        files = flashes.read_files(data, scenario.place)
        if files is None:
            self.broken("there is no filesystem in the end")
            return
        self.erasing()
        expected = scenario.expected(erased=False)
        lost = {path for path in scenario.before if path in expected and path not in files}
        lost -= set(scenario.managed)
        if told.erases:
            for path in lost:
                if not told.names_file(path) and not self.forsaken:
                    self.broken(f"{path} is lost, and no plan said so")
                del expected[path]
            for path in scenario.create_only & set(scenario.before):
                if files.get(path) == scenario.managed[path]:
                    expected[path] = scenario.managed[path]
        elif told.rewrites and self.forsaken:
            for path in lost:
                del expected[path]
        if (told.erases or scenario.start in flashes.UNREADABLE) and (
            "/boot.py" not in scenario.managed
        ):
            files.pop("/boot.py", None)  # the firmware's own
            expected.pop("/boot.py", None)
        for path in sorted({*files, *expected}):
            if files.get(path) != expected.get(path):
                self.broken(
                    f"{path}: {shown(files.get(path))}, expected {shown(expected.get(path))}"
                )
        self._firmware(data)
        self._settings(data)
        if scenario.start == "card" and not told.erases:
            place = flashes.card_at(scenario.chip), flashes.CARD_SIZE
            if flashes.read_files(data, place) != flashes.CARD_FILES:
                self.broken(f"the card's files: {flashes.read_files(data, place)}")

    def _firmware(self, data: bytes) -> None:
        if self.wanted is not None:
            if not flashes.holds_image(data, self.scenario.chip, self.wanted):
                self.broken("the firmware in the flash is not the image of the manifest")
            return
        start, _ = flashes.files_at(self.scenario.chip)
        if any(data[:start][part] != self.before[:start][part] for part in flashes.FIRMWARE):
            self.broken("the manifest names no firmware, and yet it was touched")

    def _settings(self, data: bytes) -> None:
        """NVS stays, unless a plan says that it goes."""
        blank = self.scenario.start in ("blank", "foreign-firmware")
        if not self.told.erases:
            self._own_area(data, "in the end")
        elif self.scenario.chip is not ESP8266 and not blank and not self.forsaken:
            start, end = flashes.own_area(self.scenario.chip)
            if data[start:end] != self.before[start:end] and not self.told.names("NVS"):
                self.broken("NVS is lost, and no plan said so")

    # What is left on the computer

    def secrets(self, folder: Path, project: Path, said: Sequence[Ended]) -> None:
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
        texts = {f"output {n}": ended.said.encode() for n, ended in enumerate(said)}
        sources = {project / path for path in scenario.project}
        sources.add(folder / READ)
        for path in folder.rglob("*"):
            if path.is_file() and path not in sources:
                texts[str(path.relative_to(folder))] = path.read_bytes()
        for where, text in texts.items():
            for what, form in forms.items():
                if form in text:
                    self.broken(f"{what} is in {where}")

    def files(self, folder: Path, project: Path, macs: Mapping[str, str]) -> None:
        """Lock and cache are valid, records private, nothing half written lies about."""
        path = project / "fleet.lock"
        wanted = dict(macs)
        if "lock-edited" in self.happened:
            wanted[STRANGER] = STRANGER_MAC
        try:
            lock = yaml.safe_load(path.read_text(encoding="utf-8"))
            known = {name: entry["mac"] for name, entry in lock["devices"].items()}
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            self.broken(f"fleet.lock is not valid: {error}")
        else:
            if known != wanted:
                self.broken(f"fleet.lock knows {known}, not {wanted}")
        for stale in project.glob(".fleet.lock.*"):
            self.broken(f"{stale.name} was left behind")
        for path in (folder / "cache").rglob("*"):
            if not path.is_file() or not re.fullmatch(r"[0-9a-f]{64}", path.name):
                continue
            if hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
                self.broken(f"the cache holds a damaged {path.name}")
        for path in (folder / "state").rglob("*.jsonl"):
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                self.broken("a record can be read by others")


def _but_own(data: bytes, chip: Chip) -> tuple[bytes, ...]:
    """All of a flash but the sector of NVS that the virtual board itself writes to."""
    if chip is ESP8266:
        return (data,)
    start = flashes.NVS[0]
    return data[:start], data[start + flashes.BLOCK :]
