"""Three hosts with the real sshd, driven by the real Ansible: applied, checked, one failing, one
killed in mid-run, run again: converged, with one lock."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provision.core.chips.esp.chips import ESP32
from tests.collection.rooms import PATIENCE, Rooms, missing
from tests.sim.bench import release

BOARDS = {"room-1": ["a-1"], "room-2": ["b-1", "b-2"], "room-3": ["c-1"]}
NAMES = tuple(BOARDS)
SECRET = "hunter2-of-the-vault"
MANIFEST = """
    fleet: school
    firmware: {fw: {file: fw.bin, version: 1.24.1}}
    defaults:
      board: esp32
      firmware: fw
      port: "sim://{{ name }}"
      vars: {wifi: !secret wifi}
      files: [main.py, {src: config.json.j2, dest: /config.json, template: true}]
      check: {console: "ready", timeout: 30}
    groups:
      one: {host: room-1}
      two: {host: room-2}
      three: {host: room-3}
    devices:
      a-1: {groups: [one]}
      b-[1:2]: {groups: [two]}
      c-1: {groups: [three]}
    """
PLAYBOOK = """
    - hosts: provision
      gather_facts: false
      tasks:
        - provision.boards.apply:
            project: "{{ provision_manifest }}"
            project_dest: "~/project"
            secrets: {wifi: "{{ wifi }}"}
            erase_new_boards: true
          register: applied
    """
ASK = """
    - hosts: provision
      gather_facts: false
      module_defaults:
        group/provision.boards.fleet:
          project: "{{ provision_manifest }}"
          project_dest: "~/project"
          secrets: {wifi: "{{ wifi }}"}
      tasks:
        - provision.boards.check: {}
          register: checked
        - ansible.builtin.assert:
            that: checked.devices.values() | map(attribute='outcome') | unique == ['pending']
        - provision.boards.facts: {}
        - ansible.builtin.assert:
            that:
              - provision_boards | length == provision_devices | length
              - provision_boards.values() | map(attribute='host') | unique == [inventory_hostname]
        - provision.boards.backup:
            fetch_to: "{{ playbook_dir }}/../fetched"
          register: saved
        - ansible.builtin.assert:
            that: saved.backups | length == provision_devices | length
    """


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Rooms]:
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    rooms = Rooms(tmp_path / "rooms")
    try:
        rooms.open(NAMES)
        yield rooms
    finally:
        rooms.close()


def changed_bytes(flash: bytes) -> bool:
    return any(byte != 0xFF for byte in flash[0x1000:0x200000:64])


def test_a_school_of_three_rooms(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write("fw.bin", release(ESP32, "1.24.1"))
    rooms.write("main.py", "print('ready')\n")
    rooms.write("config.json.j2", '{"wifi": "{{ wifi }}"}\n')
    rooms.write("fleet.yaml", MANIFEST)
    inventory = {
        "plugin": "provision.boards.fleet",
        "manifest": "project/fleet.yaml",
        "compose": {
            "ansible_host": repr({name: host.address for name, host in rooms.hosts.items()})
            + "[provision_host]"
        },
    }
    source = rooms.folder / "rooms.provision.yml"
    source.write_text(yaml.safe_dump(inventory))
    (rooms.folder / "play").mkdir()
    for name, text in (("site.yml", PLAYBOOK), ("ask.yml", ASK)):
        shutil.move(rooms.write(name, text), rooms.folder / "play" / name)
    secrets = rooms.folder / "vault.json"
    secrets.write_text(json.dumps({"wifi": SECRET}))
    secrets.chmod(0o600)
    common = ("-i", str(source), "-e", f"@{secrets}", "-v")
    site = (str(rooms.folder / "play/site.yml"), *common)
    ask = (str(rooms.folder / "play/ask.yml"), *common)
    said = []
    for name, boards in BOARDS.items():
        words = ["sim", "up", *boards, "--chip", "esp32", "--set", "flash=4MB"]
        if name == "room-3":  # which is killed while it flashes, at the rate of a real line
            words += ["--set", "wire=on"]
        rooms.hosts[name].provision(*words)
    blank = {name: rooms.hosts[name].flash(boards[0]) for name, boards in BOARDS.items()}

    # In check mode boards stay as they are.
    said.append(rooms.play(*site, "--check", "--diff"))
    assert said[-1].of("changed") == dict.fromkeys(NAMES, 1)
    for name, boards in BOARDS.items():
        assert rooms.hosts[name].flash(boards[0]) == blank[name]
    assert rooms.lock == {}

    # A board that is not there fails its host, and nothing else: the other board there is done.
    room_2 = rooms.hosts["room-2"]
    room_2.provision("sim", "fault", "b-2", "unplug")
    said.append(rooms.play(*site, "--limit", "room-1,room-2", code=2))
    assert said[-1].of("failed") == {"room-1": 0, "room-2": 1}
    assert "b-2: unreachable: " in said[-1].out
    assert set(rooms.lock) == {"a-1", "b-1"}
    room_2.provision("sim", "fault", "b-2", "replug")

    # A host that dies while it flashes.
    room_3 = rooms.hosts["room-3"]
    running = rooms.begin(*site, "--limit", "room-2,room-3")
    deadline = time.monotonic() + PATIENCE
    while not changed_bytes(room_3.flash("c-1")):
        assert time.monotonic() < deadline
        assert running.poll() is None, running.communicate()[0]
        time.sleep(0.02)  # no event tells another process of a write
    room_3.kill()
    killed = rooms.end(running, code=4)
    said.append(killed)
    assert killed.of("unreachable") == {"room-2": 0, "room-3": 1}
    assert killed.of("changed") == {"room-2": 1, "room-3": 0}

    # It is back, and all is as it must be, with one lock; what was done is not done again, neither
    # now on the others nor on the host itself in what follows.
    room_3.start()
    said.append(rooms.play(*site))
    assert said[-1].of("changed") == {"room-1": 0, "room-2": 0, "room-3": 1}
    assert set(rooms.lock) == {"a-1", "b-1", "b-2", "c-1"}
    assert len(set(rooms.lock.values())) == 4
    said.append(rooms.play(*site, "--limit", "room-3"))
    assert said[-1].of("changed") == {"room-3": 0}

    # A change is shown.
    rooms.write("main.py", "print('ready again')\n")
    said.append(rooms.play(*site, "--check", "--diff", "--limit", "room-3"))
    assert "+print('ready again')" in said[-1].out
    assert "--- c-1:/main.py" in said[-1].out

    # The other modules, on a host with two boards.
    said.append(rooms.play(*ask, "--limit", "room-2"))
    assert said[-1].of("changed") == {"room-2": 1}  # the backups
    fetched = rooms.folder / "fetched/room-2"
    assert {each.name for each in fetched.iterdir()} == set(BOARDS["room-2"])
    assert all(any(each.iterdir()) for each in fetched.iterdir()), "the backup of each board"
    dest = room_2.folder / "provision-backups"
    assert not list(dest.glob(".*")), "nothing is left of what was brought"

    # The vault's secret is on boards, and nowhere else.
    for ended in said:
        assert SECRET not in ended.out
    kept = [path for path in rooms.folder.rglob("*") if path.is_file() and path != secrets]
    boards = {"boards", "fetched", "provision-backups"}
    leaked = [
        path for path in kept if SECRET.encode() in path.read_bytes() and not boards & {*path.parts}
    ]
    assert leaked == []
    pull(rooms, tmp_path / "origin.git", secrets)


def pull(rooms: Rooms, origin: Path, secrets: Path) -> None:
    """Pull mode: a host does its own by a git checkout, with the network and without."""
    room = rooms.hosts["room-1"]
    role = Path(__file__).parents[2] / "ansible/roles/station/files/provision-pull"
    checkout = room.folder / "checkout"

    def git(*words: str, cwd: Path = rooms.project) -> None:
        settings = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *settings, *words], cwd=cwd, check=True, capture_output=True)

    def round_trip(host: str = "room-1") -> str:
        words = ["fleet.yaml", host, "--secrets", str(secrets), "--yes"]
        ended = subprocess.run(
            [str(role), *words],
            cwd=checkout,
            env={**rooms.environment, **room.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    others = {name: {"mac": mac} for name, mac in rooms.lock.items() if name != "a-1"}
    (rooms.project / "fleet.lock").write_text("version: 1\n")
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "a school")
    git("clone", "-q", "--bare", ".", str(origin))
    git("clone", "-q", str(origin), str(checkout), cwd=room.folder)
    round_trip()
    assert "a-1:" in (checkout / "fleet.lock").read_text()
    # The lock is others' to write too, and what was learned here is no obstacle for a pull.
    lock = yaml.safe_dump({"version": 1, "devices": others})
    (rooms.project / "fleet.lock").write_text(lock)
    (rooms.project / "main.py").write_text("print('ready, pulled')\n")
    git("commit", "-qam", "another")
    git("push", "-q", str(origin), "main")
    assert "write /main.py" in round_trip()
    kept = yaml.safe_load((checkout / "fleet.lock").read_text())["devices"]
    assert {"a-1", "b-1"} <= set(kept)
    # Without its remote, and after a round that was cut off when it had put aside what it knew.
    shutil.move(origin, origin.with_suffix(".away"))
    aside = checkout / ".git/provision-learned.lock"
    (checkout / "fleet.lock").replace(aside)
    git("checkout", "-q", "--", "fleet.lock", cwd=checkout)
    assert "nothing was pulled; going on with what is here" in round_trip()
    kept = yaml.safe_load((checkout / "fleet.lock").read_text())["devices"]
    assert {"a-1", "b-1"} <= set(kept)
    assert not aside.exists()
