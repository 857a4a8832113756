"""`provision watch` on virtual boards: each save is on them, and none is lost, whatever comes amid.

The saves are those of editors: a file rewritten in place, another renamed over it, one moved away
and written anew.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provision import load
from provision.core.chips.esp.chips import ESP32
from provision.core.chips.rp2.chips import RP2040
from provision.model.chip import Chip
from tests.apply.station import CARRIERS, PATIENCE, Run, Station
from tests.apply.test_outputs import validate
from tests.project.watching.test_watching import backup_and_rename, rename_over, rewrite

APP = (
    "import time\nprint('edit', {}, 'wifi', 'correct-' 'horse')\nwhile True:\n    time.sleep(0.1)\n"
)
MANIFEST = """
defaults:
  board: esp32
  vars: {wifi: !secret wifi, topic: garden}
  files:
    - {src: app/, dest: /}
    - {src: config.json.j2, dest: /config.json, template: true}
  prune: [/lib]
"""


def project(
    station: Station, *names: str, carrier: str = "sim", chip: Chip = ESP32, **settings: str
) -> None:
    for name in names:
        station.board(name, chip, station.firmware(chip), **settings)
    ports = {name: station.port(name, carrier) for name in names}
    devices = "".join(f"  {name}: {{port: '{port}'}}\n" for name, port in ports.items())
    station.write("secrets.yaml", "wifi: correct-horse\n").chmod(0o600)
    station.write("config.json.j2", '{"topic": "{{ topic }}", "wifi": "{{ wifi }}"}\n')
    station.write("app/main.py", APP.format(0))
    station.write("app/lib/a.py", "a = 1\n")
    board = "esp32" if chip is ESP32 else "pico"
    station.write("fleet.yaml", f"{MANIFEST.replace('esp32', board)}devices:\n{devices}")


def printed(run: Run, device: str, text: str) -> bool:
    """Whether it was a line of the board's; one may come in pieces."""
    lines = [
        event["text"] + "\n" * event["ended"]
        for event in run.events
        if event["kind"] == "console-line" and event["device"] == device
    ]
    return text in "".join(lines).split("\n")


def wanted(station: Station) -> dict[str, dict[str, bytes]]:
    """What the files of each board must be, by the project as it is now."""
    fleet = load(station.work / "fleet.yaml")
    return {
        state.device: {file.dest: file.content.data for file in state.files}
        for state in fleet.states
    }


def differing(station: Station, chip: Chip = ESP32) -> dict[str, set[str]]:
    """What is not so on which board. A boot.py of the firmware's own is nobody's."""
    found = {}
    for name, files in wanted(station).items():
        on_board = station.files(name, chip)
        there = {path: data for path, data in on_board.items() if path != "/boot.py"}
        keys = {path for path in {*files, *there} if files.get(path) != there.get(path)}
        if keys:
            found[name] = keys
    return found


def until_in_step(
    station: Station, run: Run, *, but: frozenset[str] = frozenset(), chip: Chip = ESP32
) -> None:
    deadline = time.monotonic() + PATIENCE
    while left := differing(station, chip).keys() - but:
        assert time.monotonic() < deadline, f"{left}\n{run.err}"
        assert run.process.poll() is None, run.err
        time.sleep(0.05)  # files on a board are looked at from outside: no event


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_save_is_on_the_board_and_its_app_is_heard(station: Station, carrier: str) -> None:
    """A secret is masked in what it prints; another process is told who has the port; in the end
    the app goes on, and nothing is left to do."""
    project(station, "x", carrier=carrier)
    run = station.start("watch", "--json")
    run.until(lambda run: printed(run, "x", "edit 0 wifi ***"))
    for number, save in enumerate((rewrite, rename_over, backup_and_rename), 1):
        save(station.work / "app" / "main.py", APP.format(number))
        run.until(lambda run, number=number: printed(run, "x", f"edit {number} wifi ***"))  # type: ignore[misc]
    other = station.provision("apply")
    assert other.code == 5
    assert "watch --json" in other.err
    boots = station.order("x", "status")["boots"]
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert ended.outcomes == {"x": "ok"}
    validate(ended.events)
    updates = ended.of("device-updated", "x")
    assert [event["error"] for event in updates] == [None] * len(updates)
    assert [event["paths"] for event in updates[-3:]] == [["/main.py"]] * 3
    assert station.order("x", "status")["boots"] == boots
    assert "horse" not in ended.said
    assert station.provision("plan", "--detailed-exitcode").code == 0


def test_a_pico_follows_its_folder(station: Station) -> None:
    """Over its own USB, whose port stays; and when it was unplugged."""
    project(station, "x", chip=RP2040)
    run = station.start("watch", "--json")
    run.until(lambda run: printed(run, "x", "edit 0 wifi ***"))
    boots = station.order("x", "status")["boots"]
    rewrite(station.work / "app" / "main.py", APP.format(1))
    run.until(lambda run: printed(run, "x", "edit 1 wifi ***"))
    assert station.order("x", "status")["boots"] == boots, "by a soft reset alone"
    station.fault("x", "unplug")
    run.until(lambda run: "waiting for it to come back" in run.err)
    rewrite(station.work / "app" / "main.py", APP.format(2))
    station.fault("x", "replug")
    run.until(lambda run: printed(run, "x", "edit 2 wifi ***"))
    until_in_step(station, run, chip=RP2040)
    run.signal(signal.SIGINT)
    ended = run.end()
    assert (ended.code, ended.outcomes) == (130, {"x": "ok"}), ended.said
    assert station.provision("plan", "--detailed-exitcode").code == 0


def test_a_mistake_is_shown_where_it_stands_and_mended_by_the_next_save(station: Station) -> None:
    """Of the manifest and of a template; meanwhile boards keep what they have. So it is when the
    manifest asks for what only an apply does."""
    project(station, "x")
    run = station.start("watch")
    run.until(lambda run: "x | edit 0 wifi ***" in run.out)
    before = station.files("x")
    rewrite(station.work / "config.json.j2", "{{ topic\n")
    run.until(lambda run: "not valid: boards keep what they have" in run.err)
    assert "config.json.j2:" in run.err
    rewrite(station.work / "app" / "main.py", APP.format(1))
    rewrite(station.work / "config.json.j2", "{{ wifi }}\n")
    run.until(lambda run: "x | edit 1 wifi ***" in run.out)
    assert "the project is valid again" in run.err
    rewrite(station.work / "secrets.yaml", "wifi: battery-staple\n")
    rewrite(station.work / "app" / "main.py", APP.format("'of battery-' 'staple'"))
    run.until(lambda run: "x | edit of *** wifi ***" in run.out)  # the old one is masked as well
    until_in_step(station, run)
    manifest = (station.work / "fleet.yaml").read_text(encoding="utf-8")
    rename_over(station.work / "fleet.yaml", manifest + "    nonsense: 1\n")
    run.until(lambda run: run.err.count("not valid:") == 2)
    assert "fleet.yaml:10:5: " in run.err
    new = station.firmware(ESP32, "1.25.0")
    rename_over(
        station.work / "fleet.yaml",
        manifest.replace("board: esp32", f"board: esp32\n  firmware: {{file: {new}}}"),
    )
    run.until(lambda run: "1.24.1 is on the board, 1.25.0 is wanted" in run.err)
    assert "`provision apply --limit x` writes it; its files are kept up meanwhile" in run.err
    rewrite(station.work / "app" / "main.py", APP.format(2))
    run.until(lambda run: "x | edit 2 wifi ***" in run.out)
    run.signal(signal.SIGINT)
    assert run.end().code == 130
    assert before["/config.json"] != station.files("x")["/config.json"]
    plan = station.plan(code=0).planned("x")
    assert [action.split()[0] for action in plan] == ["write-firmware", "reset"]


def test_files_come_and_go_and_apps_may_be_left_stopped(station: Station) -> None:
    project(station, "x", "z")
    run = station.start("watch", "--no-reset", "--json", "x")
    run.until_event("device-updated", device="x")
    station.write("app/lib/deep/er/b.py", "b = 1\n")
    run.until(lambda _run: "/lib/deep/er/b.py" in station.files("x"))
    (station.work / "app" / "lib" / "a.py").unlink()
    run.until(lambda _run: "/lib/a.py" not in station.files("x"))
    station.write("app/lib/deep/er/b.py", "b = 22\n")  # in a folder that was not there before
    until_in_step(station, run, but=frozenset({"z"}))
    paths = [event["paths"] for event in run.events if event["kind"] == "device-updated"]
    assert ["/lib/deep/er/b.py"] in paths
    assert not any(event.get("restarted") for event in run.events)
    run.signal(signal.SIGTERM)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert differing(station).keys() == {"z"}
    with station.console("x") as port:  # the app runs again, and is heard
        port.timeout = 1.0
        port.write(b"\x03")
        assert b"KeyboardInterrupt" in port.read_until(b">>> ")


def test_what_cannot_be_watched_is_said_at_once(station: Station) -> None:
    station.write("fleet.yaml", "devices: {x: {port: 'sim://x', board: esp32}}\n")
    for words, why in (
        (("x", "-l", "x"), "devices are named twice"),
        (("y",), "no device"),
        (("-m", "-"), "a manifest on standard input cannot be watched"),
    ):
        run = station.start("watch", *words)
        ended = run.end()
        assert (ended.code, ended.out) == (2, "") or "-" in words, ended.said
        assert why in ended.err or "is empty" in ended.err


# -- many saves ---------------------------------------------------------------------------------


class Editor:
    """Somebody who edits a project, not too carefully."""

    def __init__(self, station: Station, names: list[str], seed: int) -> None:
        self.random = random.Random(seed)
        self.station = station
        self.names = names
        self.number = 0
        self.unplugged = 0
        self.broken: Path | None = None
        self.away: str | None = None

    def save(self) -> str:
        """One save; what it was."""
        self.number += 1
        if self.broken is not None and self.random.random() < 0.5:
            self._write(self.broken, self._template())
            self.broken = None
            return "mended"
        edit: Callable[[], str] = self.random.choices(
            [self._main, self._module, self._large, self._config, self._break, self._variable,
             self._remove, self._plug],
            weights=[8, 4, 3, 3, 2, 2, 2, 1],
        )[0]  # fmt: skip
        return edit()

    def mend(self) -> None:
        """Leave nothing broken and nobody unplugged."""
        if self.broken is not None:
            self._write(self.broken, self._template())
            self.broken = None
        if self.away is not None:
            self.station.fault(self.away, "replug")
            self.away = None

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self.random.choice([rewrite, rename_over, backup_and_rename])(path, text)
        else:
            path.write_text(text, encoding="utf-8")

    @property
    def _app(self) -> Path:
        return self.station.work / "app"

    def _main(self) -> str:
        self._write(self._app / "main.py", APP.format(self.number))
        return "main.py"

    def _module(self) -> str:
        name = f"lib/m{self.random.randrange(6)}.py"
        self._write(self._app / name, f"number = {self.number}\n" * self.random.randrange(1, 80))
        return name

    def _large(self) -> str:
        """Its transfer goes on when the next save comes."""
        data = self.random.randbytes(8_000).hex()
        self._write(self._app / "lib" / "large.py", f"data = '{data}'\n# {self.number}\n")
        return "large.py"

    def _template(self) -> str:
        return f'{{"topic": "{{{{ topic }}}}", "number": {self.number}}}\n'

    def _config(self) -> str:
        if self.broken is None:
            self._write(self.station.work / "config.json.j2", self._template())
        return "config"

    def _break(self) -> str:
        self.broken = self.station.work / "config.json.j2"
        self._write(self.broken, "{{ topic ")
        return "broken"

    def _variable(self) -> str:
        path = self.station.work / "fleet.yaml"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        text = "".join(
            f"  vars: {{wifi: !secret wifi, topic: t{self.number}}}\n" if "vars:" in line else line
            for line in lines
        )
        self._write(path, text)
        return "manifest"

    def _remove(self) -> str:
        name = self._app / "lib" / f"m{self.random.randrange(6)}.py"
        name.unlink(missing_ok=True)
        return f"- {name.name}"

    def _plug(self) -> str:
        if self.away is not None:
            self.station.fault(self.away, "replug")
            self.away = None
            return "replug"
        self.away = self.random.choice(self.names)
        self.station.fault(self.away, "unplug")
        self.unplugged += 1
        return f"unplug {self.away}"


def many_saves(
    station: Station, record: Callable[[str], None], boards: int, saves: int, seed: int, every: int
) -> None:
    """`record` is told what came of it; the boards are compared with the project after `every`."""
    names = [f"b{number}" for number in range(boards)]
    project(station, *names, wire="on", latency="1ms")
    run = station.start("watch", "--json")
    run.until(lambda run: all(printed(run, name, "edit 0 wifi ***") for name in names))
    editor = Editor(station, names, seed)
    for number in range(1, saves + 1):
        editor.save()
        # Now and then at once, amid whatever the save before has begun.
        time.sleep(editor.random.choice([0.0, 0.02, 0.1, 0.3]))
        if number % every == 0:
            editor.mend()
            until_in_step(station, run)
    editor.mend()
    until_in_step(station, run)
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert set(ended.outcomes.values()) == {"ok"}
    assert station.provision("plan", "--detailed-exitcode").code == 0
    updates = ended.of("device-updated")
    failed = [event for event in updates if event["error"] is not None]
    record(
        f"{saves} saves, seed {seed}: {len(updates)} updates of {boards} boards, "
        f"{len(failed)} failed, {len(ended.of('edit-failed'))} times invalid, "
        f"{editor.unplugged} times unplugged"
    )


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """To the report of the run (`--junit-xml`), and with `-s` to the terminal."""

    def tell(text: str) -> None:
        print(f"\n{text}")
        record_property("saves", text)

    return tell


def test_no_save_is_lost(station: Station, record: Callable[[str], None]) -> None:
    many_saves(station, record, boards=2, saves=16, seed=4, every=8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_save_of_200_is_lost_on_8_boards(
    station: Station, record: Callable[[str], None], seed: int
) -> None:
    many_saves(station, record, boards=8, saves=200, seed=seed, every=25)
