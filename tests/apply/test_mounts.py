"""Boards whose app has mounted things its own way: the flash is found wherever the app has it,
nothing is erased, the app has its own mounts again, and a card is another filesystem."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from tests.apply.station import PATIENCE, Station

DISK = """
class Disk:
    def __init__(self):
        self.memory = bytearray(b"\\xff" * 16384)
    def readblocks(self, n, buffer, offset=0):
        at = n * 1024 + offset
        buffer[:] = self.memory[at : at + len(buffer)]
    def writeblocks(self, n, buffer, offset=0):
        at = n * 1024 + offset
        self.memory[at : at + len(buffer)] = buffer
    def ioctl(self, op, arg):
        if op == 6:
            self.memory[arg * 1024 : (arg + 1) * 1024] = b"\\xff" * 1024
        return {4: 16, 5: 1024}.get(op, 0)
disk = Disk()
os.VfsLfs2.mkfs(disk)
"""
IMPORT = "import os, time\nfrom flashbdev import bdev\n"
# Every app tells for ever what it sees at `/`.
TELL = """
while True:
    print("sees", os.statvfs("/")[2], sorted(os.listdir("/")), ".")
    time.sleep_ms(50)
"""
READ_ONLY = """
while True:
    try:
        os.mkdir("/new")
    except OSError as error:
        print("sees", error.args[0], "[] .")
    time.sleep_ms(50)
"""
UMOUNT = "os.umount('/')\n"
APPS: dict[str, tuple[str, str]] = {  # boot.py and main.py
    "plain": (IMPORT, IMPORT + TELL),
    "umounted": (IMPORT, IMPORT + UMOUNT + TELL),
    "moved": (
        IMPORT + UMOUNT + "os.mount(bdev, '/flash')\nos.chdir('/flash')\n",
        IMPORT + TELL,
    ),
    "readonly": (
        IMPORT + UMOUNT + "os.mount(os.VfsLfs2(bdev), '/', readonly=True)\n",
        IMPORT + READ_ONLY,
    ),
    "ramdisk": (IMPORT, IMPORT + DISK + UMOUNT + "os.mount(os.VfsLfs2(disk), '/')\n" + TELL),
}
SEEN = {
    "plain": b"'data.txt'",
    "umounted": b" 0 [] .",
    "moved": b" 0 ['flash'] .",
    "readonly": b" 30 [] .",
    "ramdisk": b" 16 [] .",
}


def sees(station: Station, name: str) -> bytes:
    """What the board's app sees at `/`, after whatever else was printed; the port may be opened in
    the middle of a line."""
    with station.console(name) as port:
        port.timeout = PATIENCE
        port.read_until(b"sees")
        return port.read_until(b"] .").rpartition(b"sees")[2]


@pytest.mark.parametrize(
    ("chip", "version"),
    [(ESP32, "1.24.1"), (ESP8266, "1.19.1")]
    + [
        pytest.param(chip, version, marks=pytest.mark.slow)
        for chip, version in ((ESP32, "1.20.0"), (ESP8266, "1.24.1"))
    ],
)
def test_the_flash_is_the_flash_wherever_the_app_has_it(
    station: Station, chip: Chip, version: str
) -> None:
    image = station.firmware(chip, version)
    board = {ESP32: "esp32", ESP8266: "wemos-d1-mini"}[chip]
    station.write("app.py", "version = 2\n")
    devices = ""
    for name, (boot, main) in APPS.items():
        station.board(name, chip, image)
        station.put(
            name, {"/data.txt": "measured", "/app.py": "old", "/boot.py": boot, "/main.py": main}
        )
        devices += f"  {name}: {{port: sim://{name}}}\n"
    for name in APPS:
        station.press(name, "reset")
        assert SEEN[name] in sees(station, name)
    station.write(
        "fleet.yaml",
        f"defaults:\n  board: {board}\n  firmware: {{file: {image}}}\n  files: [app.py]\n"
        f"devices:\n{devices}",
    )
    before = {name: station.flash(name) for name in APPS}
    wanted = ["write-file /app.py", "reset"]

    plan = station.plan()
    assert {name: plan.planned(name) for name in APPS} == dict.fromkeys(APPS, wanted)
    for name in APPS:
        if name != "readonly":  # LittleFS erases a block before it hears that it may not write it
            assert station.flash(name) == before[name], f"the plan wrote to {name}"
        assert SEEN[name] in sees(station, name), f"{name} after the plan"

    first = station.apply()
    assert first.all_done == dict.fromkeys(APPS, wanted)
    for name, (boot, main) in APPS.items():
        assert station.files(name, chip) == {
            "/app.py": b"version = 2\n",
            "/data.txt": b"measured",
            "/boot.py": boot.encode(),
            "/main.py": main.encode(),
        }
        assert station.flash(name)[:0x100000] == before[name][:0x100000], "NVS and firmware stay"
    assert set(station.apply().outcomes.values()) == {"ok"}
    for name in APPS:
        assert SEEN[name] in sees(station, name), f"{name} at the end"


CARD = """
try:
    os.mkdir("/sd")
    open("/sd/hidden.txt", "w").close()
except OSError:
    pass
os.mount(os.VfsLfs2(disk), "/sd")
for name in ("log.csv", "old.txt"):
    open("/sd/" + name, "w").close()
while True:
    print("sees", os.listdir("/sd"), ".")
    time.sleep_ms(50)
"""
CARDS = {
    "all": ("prune: [/]", ["delete-file /old.py", "delete-file /boot.py"]),
    "itself": ("prune: [/sd]", ["delete-file /sd/log.csv", "delete-file /sd/old.txt"]),
    "below": (
        "files: [{src: main.py, dest: /sd/log.cfg}], prune: [/]",
        ["delete-file /old.py", "write-file /sd/log.cfg", "delete-file /boot.py"],
    ),
    "one": (
        "files: [{dest: /sd/old.txt, state: absent}], prune: [/]",
        ["delete-file /old.py", "delete-file /sd/old.txt", "delete-file /boot.py"],
    ),
    "mount": (
        "files: [{dest: /sd, state: absent}]",
        ["delete-file /sd/log.csv", "delete-file /sd/old.txt"],
    ),
    "none": ("files: [{dest: /data, state: absent}]", []),
}


@pytest.mark.parametrize(
    ("chip", "version"),
    [(ESP32, "1.24.1"), pytest.param(ESP8266, "1.19.1", marks=pytest.mark.slow)],
)
def test_a_card_is_another_filesystem(station: Station, chip: Chip, version: str) -> None:
    image = station.firmware(chip, version)
    board = {ESP32: "esp32", ESP8266: "wemos-d1-mini"}[chip]
    main = IMPORT + DISK + CARD
    station.write("main.py", main)
    devices = ""
    for name, (settings, _) in CARDS.items():
        station.board(name, chip, image)
        station.put(name, {"/old.py": "old", "/main.py": main})
        station.press(name, "reset")
        with station.console(name) as port:
            assert port.read_until(b"] .").endswith(b"] .")
        devices += f"  {name}: {{port: sim://{name}, {settings}}}\n"
    station.write(
        "fleet.yaml",
        f"defaults:\n  board: {board}\n  files: [main.py]\ndevices:\n{devices}",
    )
    plan = station.plan()
    for name, (_, wanted) in CARDS.items():
        assert plan.planned(name) == ([*wanted, "reset"] if wanted else []), name
    first = station.apply()
    for name, (_, wanted) in CARDS.items():
        assert first.done(name) == ([*wanted, "reset"] if wanted else []), name
        files = station.files(name, chip)
        assert files["/sd/hidden.txt"] == b"", "what the flash has under the card is out of reach"
        assert ("/old.py" in files) == ("prune: [/]" not in CARDS[name][0])
