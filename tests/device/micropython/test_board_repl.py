"""The raw REPL on a virtual board: taken in whatever state the board is, and given back."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.raw_repl import BANNER
from provision.device.micropython.scan_protocol import ScanQuery, passes
from provision.device.micropython.transfer import stream_transfer as transfer_module
from provision.device.micropython.transfer.stream_format import compose
from provision.device.transport.buffered_serial import BufferedSerial
from provision.errors import BoardError, NoAnswer, OutOfSpace
from provision.interfaces import ScanRequest
from provision.model.board_path import STARTUP_FILES, disabled_name
from provision.model.chip import Chip
from provision.model.state import FileState, Filesystem
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench
from tests.device.micropython import unit
from tests.fakes.work import (
    Step,
    delete_file,
    make_directory,
    remove_directory,
    transfer_of,
    write_file,
)

pytest.importorskip("micropython_unix")

__all__ = ["bench"]

CHIPS = [ESP32, ESP8266]


class Unit(unit.Unit):
    """And what its hosts leave it as."""

    def leave_as(self, *sent: bytes, until: bytes = b"") -> None:
        """Send something and go away, as a host that dies."""
        with self.port() as port:
            for data in sent:
                port.write(data)
            if until:
                BufferedSerial(port).read_until(until, timeout=10)

    def run_app(self, main: bytes, until: bytes, *, ends: bool = False) -> None:
        """Make `main` the board's main.py and let it run, to its end where it `ends`."""
        with self.repl() as repl:
            repl.transfer(*transfer_of([write_file("/main.py", main)]), ignore)
        with self.port() as port:
            repl = BoardRepl(port)
            repl.enter()
            repl.soft_reset()
            repl.raw.serial.read_until(until, timeout=10)
            if ends:
                assert repl.await_prompt(10)


@pytest.fixture
def make(bench: Bench) -> Callable[..., Unit]:
    def made(chip: Chip = ESP32, version: str = "1.24.1", settings: str = "") -> Unit:
        return Unit(bench.work, chip, version, settings)

    return made


def ignore(_done: int, _total: int) -> None:
    """The progress of a test that does not look."""


def files_of(repl: BoardRepl, request: ScanRequest) -> Filesystem:
    seen = repl.observe(request).filesystem
    assert seen is not None
    return seen


PACKAGES = [f"/lib/p{number}" for number in range(5)]


def path_of(name: str) -> str:
    return f"/{name.replace('__', '/')}.py"


def request_for(**files: bytes) -> ScanRequest:
    expected = {
        path_of(name): FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    }
    return ScanRequest(paths=tuple(expected), expected=expected)


@pytest.mark.parametrize("chip", CHIPS)
def test_a_board_tells_who_it_is(make: Callable[..., Unit], chip: Chip) -> None:
    with make(chip).repl() as repl:
        facts = repl.identify()
        assert facts.firmware is not None
        assert (facts.firmware.version, facts.chip) == ("1.24.1", chip)
        assert facts.mac is not None
        assert facts.mac.startswith({"esp32": "24:6f:28", "esp8266": "5c:cf:7f"}[chip.name])
        assert facts.flash_size == 4 << 20
        assert not repl.raw.interrupted


def test_it_is_left_as_it_was_met(make: Callable[..., Unit]) -> None:
    unit = make()
    unit.leave_as(b"kept = 17\r", until=b"17\r\n>>> ")
    with unit.repl() as repl:
        repl.observe(request_for(main=b"x"))
        assert repl.evaluate("kept", 5) == "17"
    with unit.port() as port:
        port.write(b"kept + 1\r")
        assert b"18\r\n>>> " in BufferedSerial(port).read_until(b"18\r\n>>> ", timeout=5)
    with unit.repl() as repl:
        names = ast.literal_eval(repl.evaluate("list(globals())", 5))
    assert not {"_p", "_walk", "_scan", "os", "sys"} & set(names)


MIDDLES = {
    "half a line": [b"x = [1, 2,"],
    "paste mode": [b"\x05for i in range(3):\r  print(i)"],
    "the raw REPL": [b"\r\x03\x01"],
    "the raw REPL, half a program": [b"\r\x03\x01", b"while True:\n  pa"],
    "a raw program that runs": [b"\r\x03\x01", b"import time\nwhile True: time.sleep(1)\x04"],
    "raw paste": [b"\r\x03\x01\x05A\x01"],
    "raw paste, half a program": [b"\r\x03\x01\x05A\x01", b"x = '" + b"y" * 60],
    "a flood of output": [b"while True: print('all work and no play ' * 3)\r\r"],
    "an input that waits": [b"input('name? ')\r"],
}


@pytest.mark.parametrize("state", MIDDLES)
def test_whatever_the_last_host_left_the_repl_is_taken(
    make: Callable[..., Unit], state: str
) -> None:
    unit = make(settings="&wire=on&latency=1ms")
    unit.leave_as(*MIDDLES[state])
    with unit.repl() as repl:
        assert repl.evaluate("1+1", 5) == "2"
        assert repl.identify().chip is ESP32


APPS = {
    "a busy loop": b"print('up')\nwhile True: pass\n",
    "one that prints": b"import time\nprint('up')\nwhile True:\n print('tick'); time.sleep_ms(3)\n",
    "one that tidies up": (
        b"import time\nprint('up')\ntry:\n while True: time.sleep(1)\n"
        b"finally:\n time.sleep(1.2)\n print('tidy')\n"
    ),
    "one that swallows five": (
        b"import time\nprint('up')\nn = 0\nwhile n < 5:\n"
        b" try:\n  while True: time.sleep(1)\n except KeyboardInterrupt:\n  n += 1\n"
    ),
    "one that catches all but now and then": (
        b"import time\nprint('up')\nwhile True:\n"
        b" try:\n  time.sleep_ms(5)\n except: pass\n time.sleep_us(500)\n"
    ),
    "one that reads its input": b"import sys\nprint('up')\nwhile True: sys.stdin.read(1)\n",
}


@pytest.mark.parametrize("app", APPS)
def test_an_app_is_interrupted(make: Callable[..., Unit], app: str) -> None:
    unit = make()
    unit.run_app(APPS[app], until=b"up")
    with unit.repl() as repl:
        assert repl.evaluate("1+1", 5) == "2"
        assert repl.raw.interrupted


def test_a_deaf_board_is_given_up_with_what_was_heard(make: Callable[..., Unit]) -> None:
    unit = make()
    deaf = b"import micropython\nmicropython.kbd_intr(-1)\nprint('deaf')\nwhile True: pass\n"
    unit.run_app(deaf, until=b"deaf")
    with unit.port() as port, pytest.raises(NoAnswer):
        BoardRepl(port).enter(timeout=1.5)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_board_whose_host_died_mid_stream_comes_back(
    make: Callable[..., Unit], chip: Chip, share: float
) -> None:
    unit = make(chip)
    text = b"".join(b"def f%d(x):\n    return x * %d\n" % (i, i * i) for i in range(900))
    old, work = b"old = 1\n", [write_file("/main.py", text), write_file("/other.py", text[::-1])]
    with unit.repl() as repl:
        repl.transfer(*transfer_of([write_file("/main.py", old)]), ignore)
        repl.identify()
        choices = transfer_module.paces(chip, lossless=False)
        transfer_module.start_receiver(repl.raw, choices)
        pace = choices[transfer_module.receiver_choice(repl.raw, choices)]
        stream = compose(*transfer_of(work), pace)
        cut = int(len(stream.data) * share)
        sent = 0
        for stop in stream.stops:
            if stop > cut:
                break
            repl.raw.serial.write(stream.data[sent:stop])
            sent = stop
            repl.raw.serial.read_until(b"\x01", timeout=10)
        repl.raw.serial.write(stream.data[sent:cut])
        repl.leave = lambda: None  # type: ignore[method-assign]  # a dead host says no goodbye
    with unit.repl() as repl:
        request = request_for(main=text, other=text[::-1])
        seen = files_of(repl, request)
        found = seen.files.get("/main.py")
        assert found is not None
        assert found.sha256 in {hashlib.sha256(data).hexdigest() for data in (old, text)}
        repl.transfer(*transfer_of(work), ignore)
        assert files_of(repl, request).files == request.expected
        assert "provision" not in repl.evaluate("__import__('os').listdir('/')", 5)


@pytest.mark.parametrize("chip", CHIPS)
def test_files_are_made_to_match(make: Callable[..., Unit], chip: Chip) -> None:
    with make(chip).repl() as repl:
        done: list[tuple[int, int]] = []
        noise = hashlib.shake_256(b"noise").digest(30_000)
        work: list[Step] = [
            make_directory("/lib"),
            make_directory("/lib/deep"),
            write_file("/lib/deep/noise.py", noise),
            write_file("/lib/empty.py", b""),
            write_file("/main.py", b"print('x')\n" * 2000),
        ]
        repl.identify()
        repl.transfer(*transfer_of(work), lambda *step: done.append(step))
        request = request_for(main=b"print('x')\n" * 2000, lib__empty=b"", lib__deep__noise=noise)
        seen = files_of(repl, request)
        assert seen.files == request.expected
        assert seen.free is None
        totals = {total for _, total in done}
        assert len(totals) == 1
        assert done[-1][0] == done[-1][1]
        assert done == sorted(done)
        repl.transfer(
            *transfer_of([delete_file("/lib/empty.py"), remove_directory("/lib")]), ignore
        )
        seen = files_of(repl, request)
        assert seen.files.keys() == {"/main.py", "/lib/deep/noise.py"}
        assert repl.read("/lib/deep/noise.py", 10_000) == noise[:10_000]


def test_a_full_board_says_which_file_did_not_fit(make: Callable[..., Unit]) -> None:
    with make(ESP8266, settings="&flash=1MB").repl() as repl:
        repl.identify()
        free = int(repl.evaluate("__import__('os').statvfs('/')[3]", 5)) * 4096
        noise = hashlib.shake_256(b"noise").digest(free // 2)
        work = [
            write_file("/first.bin", noise),
            write_file("/second.bin", noise + b"and this too" * 900),
        ]
        with pytest.raises(OutOfSpace, match=r"/second\.bin"):
            repl.transfer(*transfer_of(work), ignore)
        assert repl.evaluate("__import__('os').stat('/first.bin')[6]", 5) == str(len(noise))
        assert "provision" not in repl.evaluate("__import__('os').listdir('/')", 5)


def test_stopping_in_the_middle_leaves_a_board_that_answers(make: Callable[..., Unit]) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Stop

    with make().repl() as repl:
        repl.identify()
        noise = hashlib.shake_256(b"noise").digest(60_000)
        with pytest.raises(Stop):
            repl.transfer(
                *transfer_of([write_file("/a.bin", noise), write_file("/b.bin", noise)]), stop
            )
        assert repl.evaluate("1+1", 5) == "2"
        assert "/a.bin" in files_of(repl, ScanRequest(paths=(), trees=("/",), expected={})).files


def test_an_error_on_the_board_names_the_path(make: Callable[..., Unit]) -> None:
    with make().repl() as repl:
        repl.identify()
        with pytest.raises(BoardError, match=r"/no/such/file\.py"):
            repl.transfer(*transfer_of([write_file("/no/such/file.py", b"x")]), ignore)
        assert repl.evaluate("1+1", 5) == "2"


@pytest.mark.parametrize("chip", CHIPS)
def test_firmware_without_deflate_gets_the_same_result(
    make: Callable[..., Unit], chip: Chip
) -> None:
    with make(chip).repl() as repl:
        repl.raw.execute(
            b"import builtins\nreal = __import__\n"
            b"def without(name, *rest):\n"
            b" if name == 'deflate': raise ImportError('no module named deflate')\n"
            b" return real(name, *rest)\n"
            b"builtins.__import__ = without\n",
            timeout=5,
        )
        repl.identify()
        assert not repl.agent.deflates
        work: list[Step] = [
            make_directory("/lib"),
            write_file("/lib/a.py", b"a = '\\x04'\n" * 200),
            write_file("/main.py", b""),
            delete_file("/never.py"),
            remove_directory("/none"),
        ]
        done: list[tuple[int, int]] = []
        repl.transfer(*transfer_of(work), lambda *step: done.append(step))
        request = request_for(lib__a=b"a = '\\x04'\n" * 200, main=b"")
        assert files_of(repl, request).files == request.expected
        assert done[-1][0] == done[-1][1]
        with pytest.raises(BoardError, match=r"/no/x\.py"):
            repl.transfer(*transfer_of([write_file("/no/x.py", b"x")]), ignore)
        assert repl.evaluate("1+1", 5) == "2"


def test_what_an_expression_raises_is_told(make: Callable[..., Unit]) -> None:
    with make().repl() as repl:
        with pytest.raises(BoardError, match="ZeroDivisionError"):
            repl.evaluate("1/0", 5)
        with pytest.raises(BoardError, match="SyntaxError"):
            repl.evaluate("1 +", 5)
        assert repl.evaluate("'a\\x1b[31m\\x04\\n'", 5) == repr("a\x1b[31m\x04\n")
        with pytest.raises(NoAnswer):
            repl.evaluate("__import__('time').sleep(30)", 0.3)
        assert repl.evaluate("2+2", 5) == "4"


def test_a_reset_is_caught_before_the_app_shuts_the_door(make: Callable[..., Unit]) -> None:
    unit = make()
    shut = (
        b"import time, micropython\nprint('up')\ntime.sleep_ms(400)\n"
        b"micropython.kbd_intr(-1)\nprint('shut')\nwhile True: pass\n"
    )
    unit.run_app(shut, until=b"shut")
    with unit.port() as port:
        port.dtr = False
        port.rts = True
        port.reset_input_buffer()
        port.rts = False
        repl = BoardRepl(port)
        repl.interrupt_boot()
        assert repl.evaluate("1+1", 5) == "2"


RAM_DISK = """
import os
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
def mount(place):
    os.VfsLfs2.mkfs(disk)
    os.mount(os.VfsLfs2(disk), place)
disk = Disk()
"""
FLASH = "import os\nfrom flashbdev import bdev\nos.umount('/')\n"
AWAY = {
    "unmounted": FLASH,
    "moved": FLASH + "os.mount(bdev, '/flash')\n",
    "read-only": FLASH + "os.mount(os.VfsLfs2(bdev), '/', readonly=True)\n",
    "RAM disk": FLASH + RAM_DISK + "mount('/')\n",
}
"""What an app makes of its mounts."""


@pytest.mark.parametrize(("chip", "version"), [(ESP32, "1.24.1"), (ESP8266, "1.19.1")])
@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("startup", ["boot", "main"])
def test_the_flash_is_looked_at_and_written_wherever_the_app_has_it(
    make: Callable[..., Unit], chip: Chip, version: str, away: str, startup: str
) -> None:
    """And the app has its own view again, though it had ended at a prompt."""
    unit = make(chip, version)
    app = AWAY[away].encode() + b"print('gone', [os.statvfs('/')[2], 'a.py' in os.listdir('/')])\n"
    with unit.repl() as repl:
        files = [write_file(f"/{startup}.py", app), write_file("/a.py", b"a = 1\n")]
        repl.transfer(*transfer_of(files), ignore)
    with unit.port() as port:
        repl = BoardRepl(port)
        repl.enter()
        repl.soft_reset()
        repl.raw.serial.read_until(b"gone", timeout=10)
        first = repl.raw.serial.read_until(b"]", timeout=10)
        assert repl.await_prompt(10)
    wanted = {path_of(startup): app, "/a.py": b"a = 1\n"}
    expected = {
        path: FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in wanted.items()
    }
    request = ScanRequest(paths=tuple(expected), expected=expected)
    with unit.port() as port:
        repl = BoardRepl(port)
        repl.enter()
        assert repl.identify().chip == chip
        assert not repl.raw.interrupted, "who it is can be asked without a reset"
        seen = files_of(repl, request)
        assert seen.mounted
        assert expected.items() <= seen.files.items()
        assert repl.read("/a.py", 100) == b"a = 1\n"
        repl.transfer(*transfer_of([write_file("/b.py", b"b = 2\n")]), ignore)
        assert repl.disable_startup() >= {path_of(startup)}
        repl.restore_startup()
        assert repl.raw.interrupted, "its state is lost: it must be started again"
        repl.soft_reset()
        repl.raw.serial.read_until(b"gone", timeout=10)
        assert repl.raw.serial.read_until(b"]", timeout=10) == first
    with unit.repl() as repl:
        assert repl.read("/b.py", 100) == b"b = 2\n"


@pytest.mark.parametrize("chip", CHIPS)
def test_a_ctrl_c_that_hits_the_firmwares_own_first_script_costs_nothing(
    make: Callable[..., Unit], chip: Chip
) -> None:
    """As it does before 1.21: the flash is mounted, and nothing of the app has run."""
    unit = make(chip, "1.20.0")
    unit.run_app(b"print('up')\nwhile True: pass\n", until=b"up")
    told: list[str] = []
    for _ in range(20):
        with unit.port() as port:
            port.dtr = False
            port.rts = True
            port.reset_input_buffer()
            port.rts = False
            repl = BoardRepl(port, trace=lambda _level, text: told.append(text))
            repl.interrupt_boot()
            seen = files_of(repl, ScanRequest(paths=(), trees=("/",), expected={}))
            assert seen.mounted
            assert seen.files.keys() == {"/boot.py", "/main.py"}
            assert repl.raw.interrupted
            repl.soft_reset()
            repl.raw.serial.read_until(b"up", timeout=10)
        if any("is not the flash" in text for text in told):
            return
    pytest.fail("no Ctrl-C hit it")


@pytest.mark.parametrize("chip", CHIPS)
def test_a_first_look_by_reading_is_at_the_flash(make: Callable[..., Unit], chip: Chip) -> None:
    unit = make(chip)
    gone = AWAY["RAM disk"].encode() + b"open('/main.py', 'w').close()\nprint('gone')\n"
    unit.run_app(gone, until=b"gone")
    with unit.repl() as repl:
        assert repl.read("/main.py", 1000) == gone


CARD = (
    RAM_DISK
    + """
try:
    os.mkdir('/sd')
    open('/sd/hidden.txt', 'w').close()
except OSError:
    pass
mount('/sd')
open('/sd/log.csv', 'w').close()
print('up')
"""
)


@pytest.mark.parametrize(("chip", "version"), [(ESP32, "1.24.1"), (ESP8266, "1.19.1")])
def test_a_card_is_another_filesystem(make: Callable[..., Unit], chip: Chip, version: str) -> None:
    unit = make(chip, version)
    unit.run_app(CARD.encode(), until=b"up", ends=True)
    with unit.repl() as repl:
        for trees, found in (
            (("/",), {"/main.py", "/boot.py"}),
            (("/sd",), {"/sd/log.csv"}),
            (("/sd/log.csv",), {"/sd/log.csv"}),
        ):
            seen = files_of(repl, ScanRequest(paths=(), trees=trees, expected={}))
            assert seen.files.keys() == found
            assert seen.mounts == {"/sd"}
        repl.transfer(*transfer_of([write_file("/sd/new.csv", b"1")]), ignore)
        below = ScanRequest(paths=("/sd/new.csv",), trees=("/",), expected={})
        assert "/sd/new.csv" in files_of(repl, below).files
        assert repl.evaluate("__import__('os').listdir('/sd')", 5) == "['log.csv', 'new.csv']"
        assert not repl.raw.interrupted


def test_a_view_of_the_flash_that_fails_gives_way_to_the_boards_own(
    make: Callable[..., Unit],
) -> None:
    """As one does under which a thread of the app writes."""
    told: list[str] = []
    torn = b"""
import flashbdev
class Torn:
    def __init__(self, flash):
        self.ioctl = flash.ioctl
        self._read = flash.readblocks
    def readblocks(self, block, *where):
        if block > 1:  # a folder below the root
            raise OSError(84)
        self._read(block, *where)
flashbdev.bdev = Torn(flashbdev.bdev)
"""
    with make().port() as port:
        repl = BoardRepl(port, trace=lambda _level, text: told.append(text))
        repl.enter()
        repl.transfer(*transfer_of([make_directory("/lib"), write_file("/lib/a.py", b"a")]), ignore)
        repl.raw.execute(torn, timeout=5)
        request = request_for(lib__a=b"a")
        assert files_of(repl, request).files == request.expected
        repl.leave()
    assert any("once more by the board's own view" in text for text in told)


def test_a_spoilt_interpreter_is_restarted_to_say_who_the_board_is(
    make: Callable[..., Unit],
) -> None:
    with make().repl() as repl:
        repl.raw.execute(b"import builtins\nbuiltins.print = lambda *a, **b: None", timeout=5)
        assert repl.identify().chip == ESP32
        assert repl.raw.fresh


SPOILS_IN_THE_END = b"""
import builtins, time
for _ in range(1000): time.sleep_us(100)
builtins.print = lambda *a, **b: None
"""


def test_a_boot_py_that_spoils_every_interpreter_is_interrupted(
    make: Callable[..., Unit],
) -> None:
    with make().repl() as repl:
        repl.identify()
        repl.transfer(*transfer_of([write_file("/boot.py", SPOILS_IN_THE_END)]), ignore)
        repl.raw.restart_interpreter()
        assert repl.identify().chip == ESP32
        assert repl.raw.boot_cut


def test_a_name_like_what_a_boot_rom_prints_is_no_restart(make: Callable[..., Unit]) -> None:
    with make().repl() as repl:
        repl.identify()
        repl.transfer(*transfer_of([write_file("/rst:0x1", b"a")]), ignore)
        seen = repl.observe(ScanRequest(paths=(), trees=("/",), expected={})).filesystem
        assert seen is not None
        assert "/rst:0x1" in seen.files


def test_the_trace_tells_no_content(make: Callable[..., Unit]) -> None:
    told: list[str] = []
    unit = make()
    secret = b"wifi-password-of-the-house"
    with unit.port() as port:
        repl = BoardRepl(port, trace=lambda _level, text: told.append(text))
        repl.enter()
        repl.identify()
        repl.transfer(*transfer_of([write_file("/secret.py", secret)]), ignore)
        repl.observe(request_for(secret=b"other"))
        repl.leave()
    text = "\n".join(told)
    assert "with the file in it" in text
    assert BANNER.decode() not in text
    for hidden in (secret, hashlib.sha256(secret).hexdigest().encode()):
        assert hidden.decode() not in text


@pytest.mark.slow
def test_three_hundred_files_are_synced_on_the_heap_of_an_esp8266(
    make: Callable[..., Unit],
) -> None:
    names = [f"lib__p{number % 5}__module_{number}" for number in range(300)]
    files = {name: b"value_%d = 1\n" % number * 15 for number, name in enumerate(names)}
    request = request_for(**files)
    work: list[Step] = [make_directory(path) for path in ("/lib", *PACKAGES)]
    work += [write_file(path_of(name), data) for name, data in files.items()]
    with make(ESP8266).repl() as repl:
        assert files_of(repl, request).files == {}
        repl.transfer(*transfer_of(work), ignore)
        assert files_of(repl, request).files == request.expected
        repl.transfer(*transfer_of([write_file(path_of(names[7]), b"changed")]), ignore)
        seen = files_of(repl, request)
        differing = {
            path for path in request.expected if seen.files[path] != request.expected[path]
        }
        assert differing == {path_of(names[7])}


@pytest.mark.parametrize(
    ("chip", "version"), [(ESP32, "1.24.1"), (ESP8266, "1.24.1"), (ESP8266, "1.19.1")]
)
def test_the_firmware_reads_the_flash(make: Callable[..., Unit], chip: Chip, version: str) -> None:
    unit = make(chip, version)
    image = build(chip, version)
    at = 0x1000 if chip is ESP32 else 0
    with unit.repl() as repl:
        # Odd ends, and more than one piece.
        assert repl.read_flash(at + 3, 2500) == image[3:2503]
        blank = (2 << 20) - 8192  # before the filesystem, or in its middle
        assert repl.read_flash(blank, 4096) == b"\xff" * 4096
        assert repl.read_flash(0, 0) == b""
        with pytest.raises(BoardError, match="OSError"):
            repl.read_flash((4 << 20) - 4, 8)


def test_a_firmware_that_reads_no_flash_says_so(make: Callable[..., Unit]) -> None:
    with make().repl() as repl:
        repl.evaluate("__import__('esp').__dict__.pop('flash_read')", 5.0)
        assert repl.read_flash(0, 16) is None


@pytest.mark.parametrize("path", STARTUP_FILES)
def test_a_disabled_file_whose_name_the_filter_lets_through_by_chance_is_seen(
    make: Callable[..., Unit], path: str
) -> None:
    requests = (request_for(**{f"f{number}": b"x"}) for number in range(100_000))
    by_chance = disabled_name(path)
    request = next(one for one in requests if passes(ScanQuery(request=one).bloom, by_chance))
    with make(ESP8266).repl() as repl:
        repl.transfer(*transfer_of([write_file(path, b"x")]), ignore)
        assert repl.disable_startup() >= {path}
        assert path in files_of(repl, request).disabled
        repl.restore_startup()
        assert not files_of(repl, request).disabled


@pytest.mark.parametrize("version", ["1.20.0", "1.24.1"])
def test_a_folder_whose_name_is_no_text_takes_files(
    make: Callable[..., Unit], version: str
) -> None:
    folder = "/d\udcff'é"
    files = {f"{folder}/f\udc80{name}": name.encode() * 300 for name in ("a", "b")}
    with make(ESP8266, version).repl() as repl:
        steps = [make_directory(folder), *(write_file(*each) for each in files.items())]
        repl.transfer(*transfer_of(steps), ignore)
        seen = files_of(repl, ScanRequest(trees=("/",)))
        assert {path: seen.files[path].size for path in files} == dict.fromkeys(files, 300)
        assert {path for path in seen.files if path.startswith(folder)} == set(files)
