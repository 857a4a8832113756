"""The agent's files under a real MicroPython: what they answer is what the host reads."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate

import pytest

from provision.core.chips.esp.chips import ESP8266
from provision.device.micropython import agent_source
from provision.device.micropython.replies import decode_base64, read_identity, read_mount_reply
from provision.device.micropython.scan_protocol import (
    ScanQuery,
    bucket_mask,
    filesystem,
    leftovers,
    read_listing,
    read_scan_reply,
)
from provision.device.micropython.transfer import small_file
from provision.device.micropython.transfer.stream_format import (
    HEADER_SIZE,
    Pace,
    Stream,
    compose,
    encode,
    frames,
)
from provision.interfaces import ScanRequest
from provision.model.state import FileState, Filesystem
from tests.fakes.work import (
    Lie,
    Step,
    delete_file,
    make_directory,
    remove_directory,
    transfer_of,
    write_content,
    write_file,
)
from tests.sim import interpreter

pytest.importorskip("micropython_unix")

FILES = {
    "/boot.py": b"",
    "/main.py": b"print('hello')\n" * 300,
    "/lib/a.py": b"a = 1\n",
    "/lib/deep/er/b.py": b"b = 2\n",
    "/données.txt": "é\n".encode(),
    '/it\'s "quoted" \\.txt': b"x",
    "/data.bin": bytes(range(256)) * 20,
}


def state(data: bytes) -> FileState:
    return FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())


def request_for(
    files: Mapping[str, bytes],
    *,
    extra: Sequence[str] = (),
    trees: Sequence[str] = (),
) -> ScanRequest:
    return ScanRequest(
        paths=tuple(sorted({*files, *extra})),
        trees=tuple(trees),
        expected={path: state(data) for path, data in files.items()},
    )


def look(
    on_board: Mapping[str, bytes],
    request: ScanRequest,
    *,
    deflate: bool = True,
    heap: str = "1M",
    before: bytes = b"",
    mounts: tuple[str, ...] | None = None,
) -> tuple[Filesystem, int, list[str]]:
    """The filesystem as seen, how many programs it took, and the temporary files noticed."""
    query = ScanQuery(request=request, mounts=mounts)
    names = ("facts", "scan") if mounts is None else ("facts", "scan", "across")
    program = agent_source.program(
        *names, call=query.call, arguments=query.arguments, deflate=deflate
    )
    script = interpreter.board(on_board, blocks=512) + before
    # Kept in a variable, so that its bytes meet MicroPython's lexer as they are on the wire.
    first = interpreter.run(script + program, heap=heap)
    facts, _, rest = first.partition("\n")
    assert read_identity(facts).mac == "24:6f:28:01:02:03"
    reply = read_scan_reply(rest)
    asked = reply.buckets_to_list(query)
    listing, rounds = "", 1
    if asked is not None:
        follow = agent_source.program(
            "list",
            call="_list",
            arguments=bucket_mask(asked),
            deflate=deflate,
            follow=True,
        )
        listing = interpreter.run(script + program + b"print('--')\n" + follow, heap=heap)
        listing, rounds = listing.rpartition("--\n")[2], 2
    left = [entry.path for entry in leftovers(reply.unmanaged)]
    return filesystem(query, reply, read_listing(listing)), rounds, left


@pytest.mark.parametrize("deflate", [True, False])
def test_a_board_as_expected_says_so_in_one_round(deflate: bool) -> None:
    seen, rounds, _ = look(FILES, request_for(FILES), deflate=deflate)
    assert rounds == 1
    assert seen.files == {path: state(data) for path, data in FILES.items()}
    assert seen.directories == {"/lib", "/lib/deep", "/lib/deep/er"}


def test_a_second_view_of_the_flash_needs_a_fraction_of_the_reads() -> None:
    many = {f"/lib/p{i % 5}/module{i}.py": b"%d" % i * 100 for i in range(100)}
    reads: list[int] = []
    for mounts in ((), None):
        query = ScanQuery(request=request_for(many), mounts=mounts)
        names = ("facts", "scan") if mounts is None else ("facts", "scan", "across")
        program = agent_source.program(
            *names, call=query.call, arguments=query.arguments, deflate=True
        )
        script = interpreter.board(many, blocks=512) + b"flash.reads = 0\n" + program
        *_, answer, count = interpreter.run(script + b"print(flash.reads)\n").split()
        assert answer == "\x02="
        reads.append(int(count))
    assert reads[1] * 4 < reads[0]


CARD = b"""
class Card:
    def __init__(self):
        self.memory = bytearray(b"\\xff" * (32 * 4096))
    def readblocks(self, n, buf, off=0):
        at = n * 4096 + off
        buf[:] = self.memory[at : at + len(buf)]
    def writeblocks(self, n, buf, off=0):
        at = n * 4096 + off
        self.memory[at : at + len(buf)] = buf
    def ioctl(self, op, arg):
        if op == 6:
            self.memory[arg * 4096 : (arg + 1) * 4096] = BLANK
        return {4: 32, 5: 4096}.get(op, 0)
card = Card()
"""
MOUNT_CARD = b"""
vfs.VfsLfs2.mkfs(card)
vfs.mount(vfs.VfsLfs2(card), "/card")
put("/card/a.py", b"on the card")
"""
UMOUNT = b"vfs.umount('/')\n"
MOVE = UMOUNT + b"vfs.mount(flash, '/flash')\n"
RAM_DISK = UMOUNT + b"vfs.VfsLfs2.mkfs(card)\nvfs.mount(vfs.VfsLfs2(card), '/')\n"
COPY = RAM_DISK + b"put('/main.py', b'main')\n"
OTHER_KIND = UMOUNT + b"vfs.VfsFat.mkfs(flash)\nvfs.mount(flash, '/')\nput('/main.py', b'main')\n"
BLANK = b"flashbdev.bdev = card\n"
NOT_THE_FLASH = {
    "unmounted": UMOUNT,
    "moved": MOVE,
    "another root": RAM_DISK,
    "another filesystem is mounted too": MOUNT_CARD,
    "no flashbdev": b"del sys.modules['flashbdev']\n",
    "none that LittleFS knows": OTHER_KIND,
    "blank": BLANK,
}


@pytest.mark.parametrize("before", NOT_THE_FLASH.values(), ids=NOT_THE_FLASH)
def test_a_scan_of_what_may_not_be_the_flash_says_nothing_of_files(before: bytes) -> None:
    files = {"/main.py": b"main"}
    with pytest.raises(AssertionError, match=r"Traceback[^$]*Error"):
        look(files, request_for(files), before=CARD + before)


def test_a_copy_of_the_flash_is_told_by_its_size() -> None:
    query = ScanQuery(request=request_for({"/main.py": b"other"}))
    program = agent_source.program(
        "facts", "scan", call=query.call, arguments=query.arguments, deflate=True
    )
    nothing = b"os.remove('/main.py')\n"
    for before, flash in (
        (b"", True),
        (nothing, True),
        (COPY, False),
        (nothing + RAM_DISK, False),
        (nothing + UMOUNT, False),
    ):
        script = interpreter.board({"/main.py": b"main"}, blocks=512) + CARD + before
        assert read_scan_reply(interpreter.run(script + program).partition("\n")[2]).flash is flash


def mount(most: int, before: bytes, after: bytes = b"") -> tuple[str, tuple[str, ...], str]:
    """What agent/mount.py says is at `/`, what is mounted, and the root as it is then."""
    program = agent_source.program("mount", call="_mount", arguments=b"%d" % most, deflate=True)
    script = interpreter.board({"/main.py": b"main", "/old.py": b""}, blocks=64) + CARD + before
    after += b"print(sorted(entry[0] for entry in os.ilistdir('/')))\n"
    answer, _, rest = interpreter.run(script + program + after).partition("\n")
    reply = read_mount_reply(answer)
    said = ast.literal_eval(answer)
    assert reply.settled == (said[1] in ("flash", "mounted", "none"))
    return said[1], reply.mounts, rest.strip()


FLASH = "['main.py', 'old.py']"


@pytest.mark.parametrize(
    ("most", "before", "there", "mounts", "root"),
    [
        (0, b"", "flash", (), FLASH),
        (1, b"", "flash", (), FLASH),
        (0, MOUNT_CARD, "flash", ("/card",), "['card', 'main.py', 'old.py']"),
        (0, UMOUNT, "other", (), "[]"),
        (1, UMOUNT, "mounted", (), FLASH),
        (0, MOVE, "other", ("/flash",), "['flash']"),
        (1, MOVE, "mounted", (), FLASH),
        (0, COPY, "other", (), "['main.py']"),
        (1, COPY, "mounted", (), FLASH),
        (1, UMOUNT + MOUNT_CARD, "mounted", ("/card",), "['card', 'main.py', 'old.py']"),
        (0, b"del sys.modules['flashbdev']\n", "none", (), FLASH),
        (1, b"flashbdev.bdev = None\n", "none", (), FLASH),
        (0, OTHER_KIND, "flash", (), "['main.py']"),
        (1, OTHER_KIND + UMOUNT, "mounted", (), "['main.py']"),
        (0, BLANK, "other", (), FLASH),
        (1, BLANK, "unmountable", (), "[]"),
    ],
)
def test_the_flash_is_at_the_root(
    most: int, before: bytes, there: str, mounts: tuple[str, ...], root: str
) -> None:
    assert mount(most, before) == (there, mounts, root)


def test_a_flash_that_was_mounted_read_only_can_be_written() -> None:
    read_only = UMOUNT + b"vfs.mount(vfs.VfsLfs2(flash), '/', readonly=True)\n"
    write = b"put('/new.py', b'new')\n"
    with pytest.raises(AssertionError, match="OSError: 30"):
        mount(1, read_only, write)
    assert mount(2, read_only, write) == ("mounted", (), "['main.py', 'new.py', 'old.py']")


HIDDEN = b"put('/card/hidden.py', b'hidden')\nput('/data/sd/hidden.py', b'hidden')\n"
CARDS = (
    CARD
    + HIDDEN
    + MOUNT_CARD
    + b"""
put("/card/deep/b.py", b"b")
other = Card()
vfs.VfsLfs2.mkfs(other)
vfs.mount(vfs.VfsLfs2(other), "/data/sd")
put("/data/sd/log.csv", b"1")
put("/data/near.csv", b"2")
"""
)


@pytest.mark.parametrize(
    ("wanted", "trees", "found", "directories"),
    [
        ({}, ["/"], {"/main.py", "/data/near.csv"}, {"/data"}),
        ({}, ["/data"], {"/data/near.csv"}, {"/data"}),
        ({}, ["/card"], {"/card/a.py", "/card/deep/b.py"}, {"/card", "/card/deep"}),
        ({}, ["/data/sd"], {"/data/sd/log.csv"}, {"/data", "/data/sd"}),
        ({"/card/a.py": b"on the card"}, [], {"/card/a.py"}, {"/card"}),
        (
            {"/card/a.py": b"else"},
            ["/"],
            {"/main.py", "/data/near.csv", "/card/a.py"},
            {"/data", "/card"},
        ),
        ({"/card/gone.py": b""}, [], set(), {"/card"}),
        ({}, ["/card/deep"], {"/card/deep/b.py"}, {"/card", "/card/deep"}),
        (
            {},
            ["/", "/data/sd"],
            {"/main.py", "/data/near.csv", "/data/sd/log.csv"},
            {"/data", "/data/sd"},
        ),
    ],
)
def test_a_scan_stays_on_the_filesystem_that_it_begins_on(
    wanted: dict[str, bytes], trees: list[str], found: set[str], directories: set[str]
) -> None:
    mounts = ("/card", "/data/sd")
    on_board = {"/main.py": b"main"}
    request = request_for(wanted, trees=trees)
    seen, _, _ = look(on_board, request, before=CARDS, mounts=mounts)
    assert seen.files.keys() == found
    assert seen.directories == directories
    assert seen.mounts == set(mounts)


def test_a_mount_that_nobody_names_is_not_even_listed() -> None:
    """mpremote's folder of the host, which answers no more, and what the flash has by its name."""
    remote = b"""
class Remote:
    def mount(self, readonly, mkfs): pass
    def ilistdir(self, path): raise OSError(5)
vfs.mount(Remote(), "/remote")
"""
    files = {"/main.py": b"main"}
    seen, rounds, _ = look(
        {**files, "/remote/below.py": b"out of reach"},
        request_for(files, trees=["/"]),
        before=remote,
        mounts=("/remote",),
    )
    assert rounds == 1
    assert seen.files.keys() == files.keys()


def test_the_answer_has_the_same_size_for_any_number_of_files() -> None:
    many = {f"/lib/p{i % 5}/module{i}.py": b"%d" % i for i in range(300)}
    query = ScanQuery(request=request_for(many))
    program = agent_source.program(
        "facts", "scan", call="_scan", arguments=query.arguments, deflate=True
    )
    answer = interpreter.run(interpreter.board(many, blocks=512) + program)
    assert answer.endswith("\x02=\n")
    assert len(answer) < 150


def test_files_that_nobody_asked_for_do_not_count() -> None:
    strangers = {"/log.txt": b"1" * 5000, "/lib/other/x.py": b"x", "/data/1.csv": b"2"}
    seen, rounds, _ = look({**FILES, **strangers}, request_for(FILES))
    assert rounds == 1
    assert not strangers.keys() & seen.files.keys()


@pytest.mark.parametrize("deflate", [True, False])
def test_what_differs_is_seen_and_what_is_as_expected_too(deflate: bool) -> None:
    on_board = dict(FILES) | {"/main.py": b"other"}
    del on_board["/lib/deep/er/b.py"]
    seen, rounds, _ = look(on_board, request_for(FILES, extra=["/lib/deep"]), deflate=deflate)
    assert rounds == 2
    assert seen.files == {path: state(data) for path, data in on_board.items()}
    assert seen.directories == {"/lib"}
    assert seen.free is not None
    assert 0 < seen.free < 512 * 4096


def test_an_empty_board_needs_no_second_round() -> None:
    seen, rounds, _ = look({}, request_for(FILES), mounts=())
    assert (seen.files, seen.directories, rounds) == ({}, frozenset(), 1)
    assert seen.block == 4096


def test_an_empty_directory_that_was_asked_for_is_seen() -> None:
    on_board = {"/lib/deep/x": b""}
    seen, _, _ = look(on_board, request_for({"/lib/a.py": b"a"}))
    assert seen.directories == {"/lib"}
    assert seen.files == {}


def test_a_tree_is_walked_whole_and_nothing_beside_it() -> None:
    on_board = {
        "/lib/a.py": b"a",
        "/lib/old.py": b"old",
        "/lib/gone/deep/x.py": b"x",
        "/library.py": b"no",
        "/old/y.py": b"yy",
        "/main.py": b"m",
    }
    request = request_for(
        {"/lib/a.py": b"a", "/main.py": b"m"}, trees=["/lib", "/old", "/nothing", "/main2.py"]
    )
    seen, rounds, _ = look(on_board, request)
    assert rounds == 1
    assert seen.files.keys() == on_board.keys() - {"/library.py"}
    assert seen.files["/old/y.py"].size == 2
    assert seen.directories == {"/lib", "/lib/gone", "/lib/gone/deep", "/old"}


def test_a_tree_deep_below_is_found() -> None:
    seen, _, _ = look({"/a/b/c/d.py": b"d", "/a/x.py": b"x"}, request_for({}, trees=["/a/b/c"]))
    assert seen.files.keys() == {"/a/b/c/d.py"}
    assert seen.directories >= {"/a", "/a/b", "/a/b/c"}


def test_the_whole_filesystem_can_be_a_tree() -> None:
    seen, _, _ = look(FILES, request_for({"/main.py": FILES["/main.py"]}, trees=["/"]))
    assert seen.files.keys() == FILES.keys()


@pytest.mark.parametrize(("content", "rounds"), [(b"any", 1), (None, 1)])
def test_a_file_of_any_content_is_looked_for_by_name(content: bytes | None, rounds: int) -> None:
    on_board = dict(FILES) | ({"/config.json": content} if content else {})
    seen, took, _ = look(on_board, request_for(FILES, extra=["/config.json"]))
    assert took == rounds
    assert ("/config.json" in seen.files) is (content is not None)
    assert seen.files.keys() - {"/config.json"} == FILES.keys()


def test_a_directory_in_a_files_place_is_seen() -> None:
    on_board = {"/main.py/oops": b""}
    seen, _, _ = look(on_board, request_for({"/main.py": b"m"}))
    assert seen.files == {}
    assert seen.directories == {"/main.py"}


def test_what_an_interrupted_transfer_left_counts_as_free() -> None:
    on_board = dict(FILES) | {"/lib/.provision~": b"x" * 9000}
    seen, _, left = look(on_board, request_for({**FILES, "/new.py": b"n"}))
    clean, _, _ = look(FILES, request_for({**FILES, "/new.py": b"n"}))
    assert left == ["/lib/.provision~"]
    assert "/lib/.provision~" not in seen.files
    assert seen.free == clean.free


def test_three_hundred_files_are_scanned_on_a_small_heap() -> None:
    many = {f"/lib/p{i % 5}/module{i}.py": b"%d" % i * 50 for i in range(300)}
    make = b"for i in range(300): put('/lib/p%d/module%d.py' % (i % 5, i), b'%d' % i * 50)\n"
    # Pointers are twice as long here as on an ESP8266, whose heap is 38 kB.
    small = "76K"
    for files, answers in ((many, 1), (dict.fromkeys(many, b"#"), 301)):
        query = ScanQuery(request=request_for(files))
        script = interpreter.board(blocks=512) + make
        script += agent_source.program(
            "facts", "scan", call="_scan", arguments=query.arguments, deflate=True
        )
        if answers > 1:
            script += agent_source.program(
                "list",
                call="_list",
                arguments=bucket_mask(range(32)),
                deflate=True,
                follow=True,
            )
        out = interpreter.run(script, heap=small).splitlines()
        assert sum("/module" in line or "\x02=" in line for line in out) == min(answers, 300)


def test_facts_of_an_esp8266_take_its_mac_from_the_network() -> None:
    script = interpreter.board(machine="ESP module with ESP8266", unique=b"\1\2\3\4")
    out = interpreter.run(script + agent_source.source("facts").encode())
    facts = read_identity(out.strip())
    assert facts.mac == "5c:cf:7f:01:02:03"
    assert facts.firmware.chip is ESP8266


def test_a_file_is_read_up_to_a_limit() -> None:
    for limit, expected in ((10**6, FILES["/data.bin"]), (700, FILES["/data.bin"][:700])):
        program = agent_source.program(
            "read", call="_read", arguments=b"'/data.bin',%d" % limit, deflate=True
        )
        out = interpreter.run(interpreter.board(FILES) + program)
        assert decode_base64(out.partition("\x02")[2].encode()) == expected


# The receiver

PACES = [Pace(block=1024, window=10, lead=100), Pace(block=8192, window=15, lead=240)]


@contextmanager
def receiver(
    on_board: Mapping[str, bytes], pace: Pace, *, blocks: int = 128
) -> Iterator[subprocess.Popen[bytes]]:
    program = agent_source.program(
        "receive",
        call="_receive",
        arguments=b"((%d,%d),),0" % (pace.block, pace.window),
        deflate=True,
    )
    script = interpreter.board(on_board, blocks=blocks) + program + interpreter.DUMP
    process = interpreter.start(script)
    try:
        yield process
    finally:
        interpreter.stop(process)


def feed(process: subprocess.Popen[bytes], stream: Stream) -> tuple[int, str]:
    """Frame by frame, each byte no earlier than its frame's turn; acks and the last word."""
    out, sink = interpreter.pipe(process.stdout), interpreter.pipe(process.stdin)
    assert out.read(2) == b"\x01A"
    sent = acks = 0
    for stop in stream.stops[:-1]:
        sink.write(stream.data[sent:stop])
        sink.flush()
        sent = stop
        if out.read(1) != b"\x01":
            return acks, out.readline().decode().strip()
        acks += 1
    sink.write(stream.data[sent:])
    sink.flush()
    assert out.read(1) == b"\x02"
    return acks, out.readline().decode().strip()


def contents(process: subprocess.Popen[bytes]) -> dict[str, bytes | None]:
    interpreter.pipe(process.stdin).close()
    text = interpreter.pipe(process.stdout).read().decode()
    return dict(ast.literal_eval(line) for line in text.splitlines())


@pytest.mark.parametrize("pace", PACES)
def test_operations_are_carried_out(pace: Pace) -> None:
    big = bytes(range(256)) * 40
    work: list[Step] = [
        make_directory("/lib"),
        make_directory("/lib"),
        make_directory("/lib/new"),
        delete_file("/old.py"),
        delete_file("/never.py"),
        remove_directory("/empty"),
        remove_directory("/full"),
        write_file("/lib/new/big.bin", big),
        write_file("/empty.py", b""),
        write_file("/main.py", b"print(1)\n" * 1000),
    ]
    before = {"/old.py": b"o", "/main.py": b"old", "/full/x": b"x", "/empty/y": b""}
    work.insert(0, delete_file("/empty/y"))
    with receiver(before, pace) as process:
        stream = compose(*transfer_of(work), pace)
        assert feed(process, stream) == (len(stream.stops) - 1, "")
        assert contents(process) == {
            "/lib": None,
            "/lib/new": None,
            "/lib/new/big.bin": big,
            "/empty.py": b"",
            "/main.py": b"print(1)\n" * 1000,
            "/full": None,
            "/full/x": b"x",
        }


def test_a_full_filesystem_leaves_the_old_file_and_no_rest() -> None:
    pace = PACES[1]
    noise = hashlib.shake_256(b"seed").digest(60_000)
    with receiver({"/main.py": b"old"}, pace, blocks=10) as process:
        acks, said = feed(process, compose(*transfer_of([write_file("/main.py", noise)]), pace))
        assert acks > 2
        assert said == "OSError(28,)"
        assert contents(process) == {"/main.py": b"old"}


def test_content_that_is_not_what_was_promised_is_not_taken() -> None:
    pace = PACES[0]
    lie = write_content("/main.py", Lie(data=b"new"))
    with receiver({"/main.py": b"old"}, pace) as process:
        acks, said = feed(process, compose(*transfer_of([lie]), pace))
        assert (acks, said) == (0, "ValueError('sha256',)")
        assert contents(process) == {"/main.py": b"old"}


def test_a_rename_that_fails_is_told_and_leaves_no_rest() -> None:
    """What is in the way is a directory, which no file is renamed over."""
    pace = PACES[0]
    work = [write_file("/main.py", b"new"), write_file("/b.py", b"b")]
    with receiver({"/main.py/oops": b""}, pace) as process:
        _, said = feed(process, compose(*transfer_of(work), pace))
        assert said == "OSError(21,)"
        assert contents(process) == {"/main.py": None, "/main.py/oops": b""}


def test_a_missing_parent_is_an_error_by_name() -> None:
    pace = PACES[0]
    with receiver({}, pace) as process:
        _, said = feed(process, compose(*transfer_of([write_file("/no/such/x.py", b"x")]), pace))
        assert said == "OSError(2,)"


# A small file within a program


def put(code: bytes, before: Mapping[str, bytes], *, blocks: int = 128) -> tuple[str, object]:
    """What a program raised ("" for nothing), and the files after it."""
    called = b"try:\n exec(%a)\nexcept Exception as e:\n print(repr(repr(e)))\n" % code
    script = interpreter.board(before, blocks=blocks) + called + interpreter.DUMP
    found = [ast.literal_eval(line) for line in interpreter.run(script).splitlines()]
    raised = found.pop(0) if found and isinstance(found[0], str) else ""
    return raised, dict(found)


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 8], ids=len)
@pytest.mark.parametrize("path", ["/main.py", "/lib/données.txt"])
def test_a_small_file_is_written_over_the_old_one(path: str, data: bytes) -> None:
    before = {"/main.py": b"old", "/lib/x": b"x"}
    raised, files = put(small_file.program(path.encode(), data), before)
    assert (raised, files) == ("", {**before, "/lib": None, path: data})


def test_a_small_file_that_is_not_what_was_promised_is_not_taken() -> None:
    what = bytes(8) + bytes([8]) + b"/main.py" + b"new"
    call = agent_source.literal(what)
    code = agent_source.program("put", call="_put", arguments=call, deflate=True)
    assert put(code, {"/main.py": b"old"}) == ("ValueError('sha256',)", {"/main.py": b"old"})


def test_a_small_file_whose_rename_fails_leaves_no_rest() -> None:
    raised, files = put(small_file.program(b"/main.py", b"new"), {"/main.py/oops": b""})
    assert (raised, files) == ("OSError(21,)", {"/main.py": None, "/main.py/oops": b""})


def test_a_small_file_without_room_leaves_the_old_one() -> None:
    before = {"/main.py": b"old", "/big": bytes(4096) * 4}
    noise = hashlib.shake_256(b"seed").digest(1900)
    raised, files = put(small_file.program(b"/main.py", noise), before, blocks=7)
    assert (raised, files) == ("OSError(28,)", before)


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.2, 0.37, 0.5, 0.61, 0.73, 0.85, 0.99])
def test_filler_brings_a_board_back_whose_host_died(pace: Pace, share: float) -> None:
    text = b"".join(b"def function_%d(x):\n    return x * %d\n" % (i, i * i) for i in range(800))
    work = [write_file("/main.py", text), write_file("/b.py", text[::-1])]
    stream = compose(*transfer_of(work), pace)
    with receiver({"/main.py": b"old"}, pace) as process:
        out, sink = interpreter.pipe(process.stdout), interpreter.pipe(process.stdin)
        sink.write(stream.data[: int(len(stream.data) * share)])
        for _ in range(6):
            sink.write(b"\0" * 512 + b"\xff" * 512)
        sink.flush()
        said = out.readline()
        assert b"\x02" in said
        assert contents(process)["/main.py"] in (b"old", text)


def test_the_receiver_takes_the_first_choice_that_fits_its_heap() -> None:
    offer = b"((4096,15),(4096,13),(4096,12)),0"
    program = agent_source.program("receive", call="_receive", arguments=offer, deflate=True)
    for heap, chosen in (("100K", b"A"), ("56K", b"B"), ("48K", b"C")):
        process = interpreter.start(interpreter.board(blocks=16) + program, heap=heap)
        try:
            assert interpreter.pipe(process.stdout).read(2) == b"\x01" + chosen, heap
        finally:
            interpreter.stop(process)


@pytest.mark.parametrize("pace", PACES)
def test_the_boards_inflater_has_read_exactly_to_the_stop(pace: Pace) -> None:
    text = b"".join(b"value_%d = %d  # comment\n" % (i % 97, i * i) for i in range(2000))
    work = [
        write_file("/a.py", text),
        write_file("/b.bin", hashlib.shake_256(b"x").digest(9000)),
        *([write_file("/c", b"c")] * 5),
    ]
    stream = compose(*transfer_of(work), pace)
    sequence = list(frames(*transfer_of(work), pace.block))
    sizes = [HEADER_SIZE + len(frame.payload) for frame in sequence]
    script = (
        b"""
import deflate, io
class Counter(io.IOBase):
    at = 0
    def readinto(self, buf):
        n = min(len(buf), len(DATA) - self.at)
        buf[:n] = DATA[self.at : self.at + n]
        self.at += n
        return n
counter = Counter()
inflater = deflate.DeflateIO(counter, deflate.RAW, %d)
for size in SIZES:
    assert len(inflater.read(size)) == size
    print(counter.at)
inflater.read(1)
print(counter.at)
"""
        % pace.window
    )
    out = interpreter.run(b"DATA = %a\nSIZES = %a\n" % (stream.data, sizes) + script)
    counts = [int(line) for line in out.split()]
    assert counts[:-2] == list(stream.stops[:-1])
    assert counts[-1] == len(stream.data)
    assert list(accumulate(sizes))[-1] == len(encode(sequence))


FAT = b"""
vfs.umount("/")
vfs.VfsFat.mkfs(flash)
vfs.mount(vfs.VfsFat(flash), "/")
os.chdir("/")
put("/main.py", b"m")
put("/boot.py", b"b")
"""


STARTUP = b"('boot.py','main.py')"


@pytest.mark.parametrize("deflate", [True, False])
def test_start_up_files_are_disabled_and_restored(deflate: bool) -> None:
    def call(back: int) -> bytes:
        return agent_source.program(
            "startup",
            call="_startup",
            arguments=b"%d,('boot.py','main.py'),()" % back,
            deflate=deflate,
        )

    script = interpreter.board({"/main.py": b"m", "/lib/main.py": b"l"})
    script += call(0) + b"put('/boot.py', b'late')\n" + call(0)
    script += b"put('/main.py', b'since')\n" + call(1) + call(1)
    out = interpreter.run(script + interpreter.DUMP)
    assert out.split("\x02")[1:3] == ["main.py \n", "main.py boot.py \n"]
    assert out.split("\x02")[3] == "\n"
    left = dict(map(ast.literal_eval, out.split("\x02")[4].strip().splitlines()))
    assert left == {
        "/boot.py": b"late",
        "/main.py": b"since",
        "/lib": None,
        "/lib/main.py": b"l",
    }


def test_on_fat_nothing_is_disabled() -> None:
    """A rename there is two writes, and the power may fail between them."""
    call = agent_source.program(
        "startup", call="_startup", arguments=b"0,('boot.py','main.py'),()", deflate=True
    )
    out = interpreter.run(interpreter.board() + FAT + call + interpreter.DUMP)
    assert out.startswith("\x02\n")
    assert "('/main.py', b'm')" in out
    assert "('/boot.py', b'b')" in out
