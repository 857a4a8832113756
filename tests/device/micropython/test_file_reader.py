"""Files read off virtual boards: whole, whatever happens on the way."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import serial

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.file_reader import MOST_ENTRIES
from provision.device.micropython.frames import MAGIC
from provision.engine.files.memory import Memory
from provision.errors import BoardError, Interrupted, NoAnswer
from provision.model.board_path import ancestors
from provision.model.chip import Chip
from provision.model.state import BoardEntry
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench
from tests.fakes.frames import frame
from tests.fakes.work import make_directory, transfer_of, write_file

pytest.importorskip("micropython_unix")

__all__ = ["bench"]

NAME = "unit"


class Received(Memory):
    """`doubts` is how often a file that has come is called wrong."""

    def __init__(self, doubts: int = 0) -> None:
        super().__init__()
        self.doubts = doubts
        self.finished: list[str] = []

    def finish(self, path: str, size: int, sha256: str) -> bool:
        right = super().finish(path, size, sha256)
        if self.doubts:
            self.doubts -= 1
            return False
        if right:
            self.finished.append(path)
        return right


class DisturbedPort:
    """A port on whose way to the host something prints, or bytes are damaged."""

    def __init__(self, port: Any) -> None:
        self.port = port
        self.disturb: Callable[[bytes], bytes] = lambda data: data

    @property
    def in_waiting(self) -> int:
        return int(self.port.in_waiting)

    @property
    def timeout(self) -> float | None:
        return float(self.port.timeout)

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self.port.timeout = seconds

    @property
    def baudrate(self) -> int:
        return int(self.port.baudrate)

    @baudrate.setter
    def baudrate(self, rate: int) -> None:
        self.port.baudrate = rate

    def read(self, size: int) -> bytes:
        return self.disturb(self.port.read(size))

    def write(self, data: bytes) -> int | None:
        written: int | None = self.port.write(data)
        return written


@contextmanager
def taken(
    bench: Bench, chip: Chip = ESP32, version: str = "1.24.1", settings: str = ""
) -> Iterator[tuple[BoardRepl, DisturbedPort]]:
    image = bench.work / f"{chip}-{version}.bin"
    small = {"flash_size": 512 << 10} if "flash=512KB" in settings else {}
    image.write_bytes(build(chip, version, **small))
    address = f"sim://{NAME}?chip={chip}&firmware={image}{settings}"
    opened = serial.serial_for_url(address, baudrate=115200, timeout=1)
    port = DisturbedPort(opened)
    try:
        opened.dtr = False
        opened.rts = True
        opened.reset_input_buffer()
        opened.rts = False
        assert BoardRepl(port).await_prompt(20)
        repl = BoardRepl(port)
        repl.enter()
        yield repl, port
        repl.leave()
    finally:
        opened.close()


def put(repl: BoardRepl, files: Mapping[str, bytes]) -> None:
    folders = sorted({parent for path in files for parent in ancestors(path)})
    steps = [*map(make_directory, folders), *(write_file(*each) for each in files.items())]
    repl.transfer(*transfer_of(steps), ignore)


def ignore(_done: int, _total: int) -> None:
    """The progress of a test that does not look."""


def only_files(entries: Iterable[BoardEntry]) -> list[BoardEntry]:
    return [each for each in entries if each.kind == "file"]


def fetched(repl: BoardRepl, path: str = "/") -> dict[str, bytes]:
    received = Received()
    assert repl.fetch(only_files(repl.tree(path, deep=True, hashed=False)), received, ignore) == ()
    assert sorted(received.finished) == sorted(received.files)
    return {name: bytes(data) for name, data in received.files.items()}


def tree_of(seed: int, count: int = 60) -> dict[str, bytes]:
    rng = random.Random(seed)
    files = {f"/lib/p{n % 7}/f{n}.bin": rng.randbytes(n * 31) for n in range(count)}
    return files | {
        "/every byte.bin": bytes(range(256)) * 9,
        "/control.bin": b"\x04\x04>\x02\xa5\x02B\x02T\x03" * 200,
        "/empty": b"",
        "/données/é.txt": b"e\n",
        "/raw\udcff\udc80.bin": b"no UTF-8",
        '/it\'s "quoted" \\.txt': b"x",
    }


@pytest.mark.parametrize(
    ("chip", "version", "settings"),
    [
        (ESP32, "1.24.1", ""),
        (ESP8266, "1.24.1", "&wire=on"),
        (ESP32, "1.18", ""),
        (ESP8266, "1.13", ""),
    ],
    ids=str,
)
def test_a_tree_is_read_as_it_is(bench: Bench, chip: Chip, version: str, settings: str) -> None:
    files = tree_of(1)
    with taken(bench, chip, version, settings) as (repl, _):
        put(repl, files)
        assert fetched(repl) == {"/boot.py": fetched(repl, "/boot.py")["/boot.py"], **files}
        listed = {each.path: each for each in repl.tree("/", deep=True, hashed=True)}
        for path, data in files.items():
            expected = hashlib.sha256(data).hexdigest()
            assert (listed[path].size, listed[path].sha256) == (len(data), expected)
        top = [(each.path, each.kind) for each in repl.tree("/", deep=False, hashed=False)]
        assert top[0] == ("/", "directory")
        assert ("/lib", "directory") in top
        assert not [path for path, _ in top if path.startswith("/lib/")]


def test_nothing_at_a_path_is_said_so(bench: Bench) -> None:
    with taken(bench) as (repl, _):
        for path in ("/none", "/boot.py/x", "/none/x"):
            with pytest.raises(BoardError, match=f"there is no {path} on the board"):
                repl.tree(path, deep=True, hashed=False)
        assert repl.evaluate("1+1", 5) == "2"


def test_names_that_are_no_text_and_nothing_else(bench: Bench) -> None:
    with taken(bench) as (repl, _):
        put(repl, {"/\udcff": b"1", "/\udc80\udcff/\udcfe": b"2"})
        repl.raw.execute(b"import os; os.remove('/boot.py')", timeout=10)
        assert fetched(repl) == {"/\udcff": b"1", "/\udc80\udcff/\udcfe": b"2"}


MOUNT = """
import os
class Disk:
    memory = bytearray(b"\\xff" * 16384)
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
os.VfsLfs2.mkfs(Disk())
os.mount(os.VfsLfs2(Disk()), "/sd")
f = open("/sd/on card.txt", "w")
f.write("card")
f.close()
"""


def test_a_walk_stays_on_its_filesystem(bench: Bench) -> None:
    with taken(bench) as (repl, _):
        put(repl, {"/sd/hidden.txt": b"below the mount", "/main.py": b"pass"})
        repl.raw.execute(MOUNT.encode(), timeout=10)
        seen = {each.path: each.kind for each in repl.tree("/", deep=True, hashed=True)}
        assert seen == {"/": "directory", "/boot.py": "file", "/main.py": "file", "/sd": "mount"}
        assert fetched(repl, "/sd") == {"/sd/on card.txt": b"card"}


def test_a_firmware_without_binary_output_sends_text(bench: Bench) -> None:
    with taken(bench, ESP8266, settings="&flash=512KB") as (repl, _):
        repl.raw.execute(MOUNT.encode(), timeout=10)
        repl.raw.execute(
            b"f = open('/sd/every byte.bin', 'wb'); f.write(bytes(range(256)) * 9); f.close()",
            timeout=10,
        )
        assert fetched(repl, "/sd") == {
            "/sd/on card.txt": b"card",
            "/sd/every byte.bin": bytes(range(256)) * 9,
        }


def test_what_an_app_prints_in_between_is_survived(bench: Bench) -> None:
    files = tree_of(2, 20)
    rng = random.Random(3)

    def printing(data: bytes) -> bytes:
        if len(data) > 40 and rng.random() < 0.3:  # no answer to a program on its way
            at = rng.randrange(len(data) + 1)
            return data[:at] + b"tick \xa5 24.5\r\n" + data[at:]
        return data

    with taken(bench) as (repl, port):
        put(repl, files)
        listed = only_files(repl.tree("/", deep=True, hashed=False))
        port.disturb = printing
        received = Received()
        assert repl.fetch(listed, received, ignore) == ()
        port.disturb = lambda data: data
        assert {path: bytes(received.files[path]) for path in files} == files


def test_a_line_that_damages_bytes_is_asked_again(bench: Bench) -> None:
    files = {"/a.bin": random.Random(5).randbytes(30_000), "/b.bin": b"x" * 5000}
    rng = random.Random(4)

    def damaging(data: bytes) -> bytes:
        if len(data) > 40 and rng.random() < 0.2:
            at = rng.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        if len(data) > 50 and rng.random() < 0.05:
            return data[:10] + data[30:]
        return data

    with taken(bench) as (repl, port):
        put(repl, files)
        listed = only_files(repl.tree("/", deep=True, hashed=False))
        port.disturb = damaging
        received = Received()
        repl.fetch(listed, received, ignore)
        port.disturb = lambda data: data
        assert {path: bytes(received.files[path]) for path in files} == files


def at_the_next_frame(port: DisturbedPort, change: Callable[[bytes], bytes]) -> None:
    """Have the board say something else in place of what is here from the next frame on."""
    held = b""

    def changing(data: bytes) -> bytes:
        nonlocal held
        data = held + data
        at = data.find(MAGIC)
        if at >= 0:
            port.disturb = lambda data: data
            return data[:at] + change(data[at:])
        held = data[-1:] if data.endswith(MAGIC[:1]) else b""
        return data[: len(data) - len(held)]

    port.disturb = changing


def test_a_piece_that_lies_beyond_a_file_fills_no_memory(bench: Bench) -> None:
    with taken(bench) as (repl, port):
        put(repl, {"/a.bin": b"a" * 100})
        files = only_files(repl.tree("/a.bin", deep=False, hashed=False))
        lie = frame(b"\x02\0\0" + (0xF0000000).to_bytes(4, "little") + b"x")
        at_the_next_frame(port, lambda _data: lie)
        received = Received()
        with pytest.raises(BoardError, match="a piece of it lies beyond its end"):
            repl.fetch(files, received, ignore)
        assert received.files == {}


def test_a_listing_without_end_is_refused(bench: Bench) -> None:
    with taken(bench) as (repl, port):
        put(repl, {"/a.bin": b"a"})
        lie = frame(b"\x01\0\0" + bytes(4) + b"/a") * (MOST_ENTRIES + 1)
        at_the_next_frame(port, lambda _data: lie)
        with pytest.raises(BoardError, match="lists more than"):
            repl.tree("/", deep=True, hashed=False)


def test_a_board_that_restarts_amid_a_frame_is_told_at_once(bench: Bench) -> None:
    with taken(bench) as (repl, port):
        put(repl, {"/a.bin": bytes(20_000)})
        files = only_files(repl.tree("/a.bin", deep=False, hashed=False))
        restarted = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x8 (TG1WDT_SYS_RESET),boot:0x13\r\n"

        def cut(data: bytes) -> bytes:
            port.disturb = lambda _data: b""
            return data[:40] + restarted

        at_the_next_frame(port, cut)
        try:
            with pytest.raises(NoAnswer, match="restarted"):
                repl.fetch(files, Received(), ignore)
        finally:
            port.disturb = lambda data: data


def test_a_file_that_holds_what_a_boot_rom_prints_is_no_restart(bench: Bench) -> None:
    """As a log of resets does. On a slow line most of a frame is here before its end."""
    log = b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x12\r\n" * 150
    with taken(bench, settings="&wire=115200") as (repl, _):
        put(repl, {"/resets.log": log})
        assert fetched(repl, "/resets.log") == {"/resets.log": log}


def test_files_that_vanish_meanwhile_are_named_and_the_others_come(bench: Bench) -> None:
    with taken(bench) as (repl, _):
        put(repl, {"/a": b"1", "/log/b": b"2"})
        listed = [BoardEntry(path="/gone", kind="file", size=3), *repl.tree("/a", deep=False,
                  hashed=False), BoardEntry(path="/log/gone", kind="file")]  # fmt: skip
        received = Received()
        assert repl.fetch(listed, received, ignore) == ("/gone", "/log/gone")
        assert received.files == {"/a": b"1"}


def test_a_file_that_never_is_the_same_is_said_so(bench: Bench) -> None:
    with taken(bench) as (repl, _):
        put(repl, {"/log.txt": b"changing"})
        listed = repl.tree("/log.txt", deep=False, hashed=False)
        again = Received(doubts=2)
        repl.fetch(listed, again, ignore)
        assert again.files == {"/log.txt": b"changing"}
        with pytest.raises(BoardError, match=r"/log\.txt changes while it is read"):
            repl.fetch(listed, Received(doubts=99), ignore)
        assert repl.evaluate("1+1", 5) == "2"


def test_stopping_leaves_a_board_that_answers(bench: Bench) -> None:
    with taken(bench, settings="&wire=on") as (repl, _):
        put(repl, {"/big.bin": bytes(60_000)})
        received = Received()
        with pytest.raises(Interrupted):
            repl.fetch(
                repl.tree("/big.bin", deep=False, hashed=False),
                received,
                ignore,
                lambda: bool(received.files),
            )
        assert not received.finished
        assert repl.evaluate("1+1", 5) == "2"
