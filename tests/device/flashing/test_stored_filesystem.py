"""A LittleFS read and edited as it lies in flash. What littlefs-python makes of the same bytes is
the measure; it never gets to see those that are damaged or forged, for it may end the process."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.littlefs_blocks import VERSION_2_0, VERSION_2_1, read_metadata
from provision.device.flashing.filesystem_store import LittleFsStore
from provision.device.flashing.littlefs import build_filesystem
from provision.device.flashing.littlefs_metadata import GlobalState, read_log, write_log
from provision.device.flashing.stored_filesystem import StoredLittleFs
from provision.errors import BoardError, OutOfSpace, ProvisionError
from provision.interfaces import ScanRequest, StoredContents
from provision.model.board_path import ancestors
from provision.model.firmware import FilesystemPlace, Region
from provision.model.state import FileState
from tests.filesystems import BLOCK, PowerCut, read_filesystem, work_on

PLACE = FilesystemPlace(offset=0x200000, blocks=64)
STARTUP = ("/boot.py", "/main.py")
VERSIONS = (VERSION_2_0, VERSION_2_1)


class Flash:
    """A flash that holds a filesystem at `PLACE`, and counts what is read of it."""

    def __init__(self, image: bytes, place: FilesystemPlace = PLACE) -> None:
        self.image = image
        self.place = place
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, size: int) -> bytes:
        self.reads.append((offset, size))
        start = offset - self.place.offset
        assert 0 <= start <= start + size <= self.place.size
        return self.image[start : start + size]

    @property
    def bytes_read(self) -> int:
        return sum(size for _, size in self.reads)

    def mount(self) -> StoredLittleFs | None:
        return StoredLittleFs.mount(self.read, self.place)

    def stored(self) -> StoredLittleFs:
        stored = self.mount()
        assert stored is not None
        return stored


def image_of(
    files: dict[str, bytes], directories: Sequence[str] = (), version: int = VERSION_2_0
) -> bytes:
    return build_filesystem(PLACE, files, directories, version).data


def app(count: int = 3) -> dict[str, bytes]:
    """An app with files of every kind: inline, of one block, of many, empty."""
    files = {f"/module_{number:02}.py": b"#" * (number * 37 % 120) for number in range(count)}
    return files | {
        "/boot.py": b"import gc\n",
        "/main.py": b"import app\n" * 500,
        "/data/page.html": bytes(range(256)) * 100,
        "/data/empty": b"",
    }


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# Reading


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_is_read_as_littlefs_reads_it(version: int) -> None:
    stored = Flash(image_of(app(40), ["/logs/old"], version)).stored()
    assert stored.contents().files == app(40)
    assert stored.contents().directories == {"/data", "/logs", "/logs/old"}
    assert stored.disk_version == version


def test_a_filesystem_of_two_drivers_is_read() -> None:
    """Made by MicroPython 1.18 on an emulated ESP32, written to by 1.26.1, then by 1.18 again,
    which saw the older half of its root."""
    packed = Path(__file__).with_name("littlefs-2.1-over-2.0.bin.gz")
    image = gzip.decompress(packed.read_bytes())
    place = FilesystemPlace(offset=0x200000, blocks=len(image) // BLOCK)
    stored = Flash(image, place).stored()
    assert stored.contents().files == read_filesystem(image)
    assert stored.disk_version == VERSION_2_1


names = st.text(st.sampled_from("abyz.é漢-~"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
contents = st.one_of(st.binary(max_size=300), st.integers(0, 20_000).map(lambda n: b"%7d" * n))


@st.composite
def trees(draw: st.DrawFn) -> tuple[dict[str, bytes], list[str]]:
    """Files and directories, none of which stands in the way of another."""
    files = draw(st.dictionaries(paths, contents, max_size=8))
    above = {parent for path in files for parent in ancestors(path)}
    files = {path: data for path, data in files.items() if path not in above}
    folders = draw(st.lists(paths, max_size=3))
    allowed = [each for each in folders if not {each, *ancestors(each)} & files.keys()]
    return files, allowed


@given(tree=trees(), version=st.sampled_from(VERSIONS))
@settings(max_examples=60, deadline=None)
def test_whatever_is_rebuilt_reads_back_equal(
    tree: tuple[dict[str, bytes], list[str]], version: int
) -> None:
    files, folders = tree
    place = FilesystemPlace(offset=0x100000, blocks=256)
    held = {parent for path in (*files, *folders) for parent in ancestors(path)} | {*folders}
    wanted = StoredContents(files=files, directories=frozenset(held))
    image = bytearray(b"\0" * place.size)
    for region in LittleFsStore().rebuild(place, wanted, version):
        start = region.offset - place.offset
        image[start : start + len(region.data)] = region.data
    stored = Flash(bytes(image), place).stored()
    assert stored.contents() == wanted
    assert stored.disk_version == version
    assert read_filesystem(bytes(image)) == files


actions = st.lists(
    st.tuples(st.sampled_from(("write", "append", "remove", "rename")), st.integers(0, 30)),
    max_size=60,
)


def lived_in(steps: Sequence[tuple[str, int]], version: int, writes: int | None = None) -> bytes:
    """A filesystem that an app has worked on for some time, until its power was cut."""
    flash = PowerCut(b"\xff" * PLACE.size)
    filesystem = work_on(flash, version=version, fresh=True)
    for path in ("d", "d/e"):
        filesystem.mkdir(path)
    for path, content in (("boot.py", b"boot"), ("main.py", b"main" * 40)):
        with filesystem.open(path, "wb") as file:
            file.write(content)
    flash.writes = writes
    for action, number in steps:
        if flash.cut:
            break
        path = f"{('', 'd/', 'd/e/')[number % 3]}file{number}"
        there = path in existing(filesystem)
        if action in ("write", "append"):
            with filesystem.open(path, "ab" if action == "append" and there else "wb") as file:
                file.write(b"%5d" * (number**2))
        elif action == "remove" and there:
            filesystem.remove(path)
        elif action == "rename" and there:
            other = f"{('d/e/', '', 'd/')[number % 3]}other{number}"
            filesystem.rename(path, other)
    return flash.image


def existing(filesystem: object) -> set[str]:
    walk: Iterator[tuple[str, list[str], list[str]]] = filesystem.walk("/")  # type: ignore[attr-defined]
    return {f"{folder}/{name}".lstrip("/") for folder, _, files in walk for name in files}


@given(steps=actions, version=st.sampled_from(VERSIONS))
@settings(max_examples=40, deadline=None)
def test_what_an_app_has_worked_on_is_read_as_littlefs_reads_it(
    steps: list[tuple[str, int]], version: int
) -> None:
    image = lived_in(steps, version)
    stored = Flash(image).stored()
    assert stored.contents().files == read_filesystem(image)
    mounted = work_on(PowerCut(image), version=version)
    observed = stored.observe(ScanRequest())
    assert observed.free == (PLACE.blocks - mounted.used_block_count) * BLOCK


@given(number=st.integers(0, 30), version=st.sampled_from(VERSIONS), writes=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_a_rename_that_power_cut_is_read_and_edited_as_littlefs_would(
    number: int, version: int, writes: int
) -> None:
    """Across directories: between its two halves the old entry is there and does not count."""
    steps = [("write", number), ("write", number + 1), ("rename", number), ("remove", number + 1)]
    image = lived_in(steps, version, writes)
    files = after_repair(image)
    stored = Flash(image).stored()
    assert stored.contents().files == files
    held_after_each_cut(image, stored.startup_disabled(STARTUP), files, version, after_repair)


def after_repair(image: bytes) -> dict[str, bytes]:
    """What littlefs-python reads once it has carried out a move that power cut: until then LittleFS
    2.9 to 2.11 hide the file after the moved one too (lfs_dir_getslice, "synthetic moves")."""
    flash = PowerCut(image)
    work_on(flash, version=VERSION_2_1).fs_mkconsistent()
    return read_filesystem(flash.image)


def test_only_what_is_needed_is_read() -> None:
    files = {"/big.bin": bytes(range(256)) * 400, "/small": b"x", "/other.bin": b"y" * 40_000}
    flash = Flash(image_of(files))
    stored = flash.stored()
    assert flash.reads == [(PLACE.offset, 2 * BLOCK)]
    request = ScanRequest(paths=(), expected={"/big.bin": FileState(size=0, sha256="0" * 64)})
    assert stored.observe(request).files["/big.bin"].sha256 == sha(files["/big.bin"])
    assert len(flash.reads) <= 4, "blocks that lie side by side are read together"
    assert flash.bytes_read < 2 * BLOCK + 102_400 + 3 * BLOCK
    before = flash.bytes_read
    stored.observe(request)
    assert flash.bytes_read == before, "a block is read once"


# What a scan would say


def test_files_are_told_as_a_scan_tells_them() -> None:
    files = {
        "/boot.py": b"boot",
        "/app/a.py": b"a",
        "/app/own.db": b"own",
        "/lib/x.py": b"x" * 5000,
        "/lib/.provision~": b"half",
        "/mine": b"mine",
        "/keep": b"kept",
    }
    stored = Flash(image_of(files, ["/lib/old", "/logs"])).stored()
    request = ScanRequest(
        paths=("/keep", "/gone", "/logs"),
        trees=("/lib",),
        expected={
            "/boot.py": FileState(size=4, sha256=sha(b"boot")),
            "/app/a.py": FileState(size=1, sha256=sha(b"b")),
            "/lib/new.py": FileState(size=1, sha256=sha(b"b")),
        },
    )
    seen = stored.observe(request)
    assert seen.files == {
        "/boot.py": FileState(size=4, sha256=sha(b"boot")),
        "/app/a.py": FileState(size=1, sha256=sha(b"a")),
        "/keep": FileState(size=4, sha256=None),
        "/lib/x.py": FileState(size=5000, sha256=None),
        "/lib/.provision~": FileState(size=4, sha256=None),
    }
    assert seen.directories == {"/app", "/lib", "/lib/old", "/logs"}
    assert seen.mounted
    assert seen.block == BLOCK
    mounted = work_on(PowerCut(image_of(files, ["/lib/old", "/logs"])), version=VERSION_2_0)
    room = (PLACE.blocks - mounted.used_block_count) * BLOCK
    assert seen.free == room + BLOCK, "a left-over file is room too"


@pytest.mark.parametrize("both", [False, True])
def test_a_disabled_file_is_told_under_its_own_name(both: bool) -> None:
    files = {"/.provision~main.py": b"old", "/x": b"x"} | ({"/main.py": b"new"} if both else {})
    seen = (
        Flash(image_of(files))
        .stored()
        .observe(
            ScanRequest(
                paths=(), trees=("/",), expected={"/main.py": FileState(size=3, sha256=sha(b"old"))}
            )
        )
    )
    assert seen.disabled == (frozenset() if both else frozenset({"/main.py"}))
    assert seen.files == {
        "/main.py": FileState(size=3, sha256=sha(b"new" if both else b"old")),
        "/x": FileState(size=1, sha256=None),
    }


# Keeping start-up files from starting


def held_after_each_cut(
    image: bytes,
    regions: Sequence[Region],
    files: dict[str, bytes],
    version: int,
    read: Callable[[bytes], dict[str, bytes]] = read_filesystem,
) -> bytes:
    """Write the regions one after the other; wherever that is cut, LittleFS mounts what is there
    and finds every file, under one name or the other, and can go on writing. What they leave."""
    flash = bytearray(image)
    for region in regions:
        start = region.offset - PLACE.offset
        assert start % BLOCK == 0
        assert len(region.data) == BLOCK
        for written in (None, 0, BLOCK // 2, BLOCK):
            cut = bytearray(flash)
            if written is not None:
                cut[start : start + BLOCK] = region.data[:written].ljust(BLOCK, b"\xff")
            found = read(bytes(cut))
            assert {path.replace("/.provision~", "/"): found[path] for path in found} == files
            assert Flash(bytes(cut)).stored().contents().files == found
            went_on = PowerCut(bytes(cut))
            filesystem = work_on(went_on, version=version)
            with filesystem.open("/later", "wb") as file:
                file.write(b"later")
            assert read(went_on.image) == {**found, "/later": b"later"}
        flash[start : start + BLOCK] = region.data
    return bytes(flash)


def many(first: str, count: int) -> dict[str, bytes]:
    return app() | {f"/{first}_{number:03}.py": b"#" * 60 for number in range(count)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("files", "blocks"),
    [
        (app(0), 1),
        (many("a", 20), 1),
        (many("z", 60), 1),
        (many("c", 60), 3),  # main.py and the new names are in different pairs
        (many("a", 60), 4),
        (many("-", 60), 1),
    ],
    ids=("few", "some", "more after them", "more between them", "more before", "more before all"),
)
def test_start_up_files_are_renamed_wherever_power_is_cut(
    files: dict[str, bytes], blocks: int, version: int
) -> None:
    """With many files the root is several pairs, and a name moves from one to another."""
    image = image_of(files, version=version)
    stored = Flash(image).stored()
    regions = stored.startup_disabled(STARTUP)
    assert len(regions) == blocks
    edited = held_after_each_cut(image, regions, files, version)
    found = read_filesystem(edited)
    assert found.pop("/.provision~boot.py") == files["/boot.py"]
    assert found.pop("/.provision~main.py") == files["/main.py"]
    assert found == {path: data for path, data in files.items() if path not in STARTUP}
    again = Flash(edited).stored()
    assert again.startup_disabled(STARTUP) == ()
    assert again.disk_version == version
    back = PowerCut(edited)
    filesystem = work_on(back, version=version)
    for path in STARTUP:
        filesystem.rename(f"/.provision~{path[1:]}", path)
    assert read_filesystem(back.image) == files


@given(steps=actions, version=st.sampled_from(VERSIONS))
@settings(max_examples=30, deadline=None)
def test_start_up_files_are_renamed_in_what_an_app_has_worked_on(
    steps: list[tuple[str, int]], version: int
) -> None:
    image = lived_in(steps, version)
    files = read_filesystem(image)
    held_after_each_cut(image, Flash(image).stored().startup_disabled(STARTUP), files, version)


def test_a_small_root_is_renamed_by_one_block() -> None:
    assert len(Flash(image_of(app())).stored().startup_disabled(STARTUP)) == 1


def test_a_disabled_file_of_before_gives_way() -> None:
    files = {"/main.py": b"new", "/.provision~main.py": b"old"}
    image = image_of(files)
    (region,) = Flash(image).stored().startup_disabled(STARTUP)
    edited = bytearray(image)
    edited[region.offset - PLACE.offset :][:BLOCK] = region.data
    start = region.offset - PLACE.offset
    edited[start : start + BLOCK] = region.data
    assert read_filesystem(bytes(edited)) == {"/.provision~main.py": b"new"}


def test_without_start_up_files_nothing_is_written() -> None:
    assert Flash(image_of({"/x": b""}, ["/main.py"])).stored().startup_disabled(STARTUP) == ()


def test_attributes_of_files_are_kept() -> None:
    """MicroPython keeps the time of a change in one."""
    flash = PowerCut(image_of(app()))
    filesystem = work_on(flash, version=VERSION_2_0)
    filesystem.setattr("/main.py", "t", b"12345678")
    image = flash.image
    edited = held_after_each_cut(
        image, Flash(image).stored().startup_disabled(STARTUP), app(), VERSION_2_0
    )
    filesystem = work_on(PowerCut(edited), version=VERSION_2_0)
    assert filesystem.getattr("/.provision~main.py", "t") == b"12345678"


def test_a_root_without_room_is_not_renamed() -> None:
    log = read_log(read_metadata(image_of(app())[BLOCK : 2 * BLOCK]))
    assert log is not None
    first = log.entries[1]
    stuffed = replace(log, entries=(*log.entries, replace(first, name=b"z" * 200, data=b"")))
    while (block := write_log(stuffed, BLOCK)) is not None:
        image = block + block + image_of(app())[2 * BLOCK :]
        filler = replace(first, name=b"z" * 11 + b"%d" % len(stuffed.entries), data=b"")
        stuffed = replace(stuffed, entries=(*stuffed.entries, filler))
    with pytest.raises(OutOfSpace, match="no room for the names"):
        Flash(image).stored().startup_disabled(STARTUP)


# What is damaged, or made up


def survived(flash: Flash) -> None:
    """Reading ends, with an answer or an error of ours, having read each block once at most."""
    stored = flash.mount()
    if stored is not None:
        for attempt in (
            lambda: stored.observe(ScanRequest(paths=STARTUP, trees=("/",), expected={})),
            stored.contents,
            lambda: stored.startup_disabled(STARTUP),
        ):
            try:
                attempt()
            except ProvisionError as error:
                assert isinstance(error, BoardError)
    assert flash.bytes_read <= flash.place.size


@given(data=st.data(), version=st.sampled_from(VERSIONS))
@settings(max_examples=150, deadline=None)
def test_flipped_bits_never_crash_and_never_hang(data: st.DataObject, version: int) -> None:
    image = bytearray(image_of(app(20), version=version))
    used = [at for at in range(0, len(image), BLOCK) if image[at : at + BLOCK].strip(b"\xff")]
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.sampled_from(used)) + data.draw(st.integers(0, 1200))
        image[at] ^= 1 << data.draw(st.integers(0, 7))
    survived(Flash(bytes(image)))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_forged_metadata_never_crashes_and_never_hangs(data: st.DataObject) -> None:
    """Tags that lie under checksums that fit: pairs, sizes and blocks anywhere."""
    number = st.sampled_from((0, 1, 2, 3, 4, 5, 40, 63, 64, 1000, 0xFFFFFFFF))
    pair = st.tuples(number, number)
    image = bytearray(image_of(app(20)))
    for block in data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=4, unique=True)):
        log = read_log(read_metadata(bytes(image[block * BLOCK : (block + 1) * BLOCK])))
        if log is None:
            continue
        entries = [
            replace(
                entry,
                name=data.draw(
                    st.sampled_from((entry.name, b"boot.py", b"..", b"a/b", b"", b"\xff"))
                ),
                layout=data.draw(st.sampled_from((entry.layout, 0x200, 0x201, 0x202, 0))),
                data=b"".join(each.to_bytes(4, "little") for each in data.draw(pair))
                if data.draw(st.booleans())
                else entry.data,
            )
            if entry.kind in (1, 2)
            else entry
            for entry in log.entries
        ]
        forged = replace(
            log,
            entries=tuple(entries),
            tail=data.draw(st.one_of(st.none(), pair)),
            continued=data.draw(st.booleans()),
            state=GlobalState(0x4FF << 20 | data.draw(st.integers(0, 5)) << 10, data.draw(pair)),
        )
        written = write_log(forged, BLOCK)
        if written is not None:
            image[block * BLOCK : (block + 1) * BLOCK] = written
    survived(Flash(bytes(image)))


def with_superblock(image: bytes, **changes: int) -> bytes:
    """The image with other words in its superblock: version, block_size, block_count."""
    words = {"version": 0, "block_size": 4, "block_count": 8}
    found = []
    for at in (0, BLOCK):
        log = read_log(read_metadata(image[at : at + BLOCK]))
        if log is None:
            found.append(image[at : at + BLOCK])
            continue
        data = bytearray(log.entries[0].data)
        for name, value in changes.items():
            data[words[name] : words[name] + 4] = value.to_bytes(4, "little")
        entries = (replace(log.entries[0], data=bytes(data)), *log.entries[1:])
        found.append(write_log(replace(log, entries=entries), BLOCK) or b"")
    return b"".join(found) + image[2 * BLOCK :]


@pytest.mark.parametrize(
    "changes",
    [{"version": 0x00020002}, {"version": 0x00010001}, {"block_size": 512}, {"block_count": 0}],
    ids=str,
)
def test_a_superblock_that_no_driver_of_today_takes(changes: dict[str, int]) -> None:
    assert Flash(with_superblock(image_of(app()), **changes)).mount() is None


@pytest.mark.parametrize("blocks", [48, 64, 900, 0xFFFFFFFF])
def test_a_filesystem_of_another_size_than_its_partition_is_read(blocks: int) -> None:
    """As it is after another table was flashed. (The fresh one uses the first blocks alone.)"""
    stored = Flash(with_superblock(image_of(app()), block_count=blocks)).stored()
    assert stored.contents().files == app()


def test_files_past_the_end_of_the_partition_are_told() -> None:
    image = image_of({"/a": b"a", "/big.bin": bytes(20_000)})[: 5 * BLOCK]
    stored = Flash(image, replace(PLACE, blocks=5)).stored()
    with pytest.raises(BoardError, match=r"/big\.bin cannot be read from the flash"):
        stored.contents()
    request = ScanRequest(
        paths=(), expected={"/big.bin": FileState(size=20_000, sha256=sha(bytes(20_000)))}
    )
    assert stored.observe(request).files == {"/big.bin": FileState(size=20_000, sha256=None)}


def test_no_filesystem_is_found_in_a_blank_or_another_flash() -> None:
    for image in (b"\xff" * PLACE.size, bytes(PLACE.size), b"\xeb\x3c\x90MSDOS5.0" * 23832):
        assert Flash(image[: PLACE.size]).mount() is None


def test_a_list_of_directories_that_leads_back_is_no_filesystem() -> None:
    image = image_of(app())
    log = read_log(read_metadata(image[BLOCK : 2 * BLOCK]))
    assert log is not None
    block = write_log(replace(log, tail=(1, 0)), BLOCK)
    assert block is not None
    assert Flash(block + block + image[2 * BLOCK :]).mount() is None


def test_a_directory_inside_itself_is_told() -> None:
    image = image_of({"/d/x": b""})
    log = read_log(read_metadata(image[BLOCK : 2 * BLOCK]))
    assert log is not None
    inside = replace(log.entries[1], data=bytes(4) + (1).to_bytes(4, "little"))
    block = write_log(replace(log, entries=(log.entries[0], inside)), BLOCK)
    assert block is not None
    stored = Flash(block + block + image[2 * BLOCK :]).stored()
    with pytest.raises(BoardError, match="a directory lies in two places"):
        stored.contents()
    with pytest.raises(BoardError, match="a directory lies in two places"):
        stored.observe(ScanRequest())


def test_files_that_share_a_block_cannot_fill_memory() -> None:
    """Each would be as large as the whole partition."""
    image = image_of({f"/{number}": bytes(100_000) for number in range(2)})
    log = read_log(read_metadata(image[BLOCK : 2 * BLOCK]))
    assert log is not None
    (superblock, file, _) = log.entries
    many = tuple(replace(file, name=b"%d" % number) for number in range(100))
    block = write_log(replace(log, entries=(superblock, *many)), BLOCK)
    assert block is not None
    with pytest.raises(BoardError, match="shares its blocks"):
        Flash(block + block + image[2 * BLOCK :]).stored().contents()


def test_names_that_are_not_utf_8_are_carried_over() -> None:
    flash = PowerCut(image_of({}))
    filesystem = work_on(flash, version=VERSION_2_0)
    filesystem.filename_encoding = "latin-1"
    with filesystem.open("/caf\xe9", "wb") as file:
        file.write(b"x")
    contents = Flash(flash.image).stored().contents()
    assert contents.files == {"/caf\udce9": b"x"}
    (region, *_) = LittleFsStore().rebuild(PLACE, contents, VERSION_2_1)
    assert b"caf\xe9" in region.data


def test_what_the_flash_cannot_give_is_raised() -> None:
    image = image_of({"/main.py": bytes(5000)})

    def read(offset: int, size: int) -> bytes:
        if offset > PLACE.offset:
            raise BoardError("the line failed")
        return image[:size]

    stored = StoredLittleFs.mount(read, PLACE)
    assert stored is not None
    with pytest.raises(BoardError, match="the line failed"):
        stored.contents()
    with pytest.raises(BoardError, match="could not be read whole"):
        StoredLittleFs.mount(lambda offset, size: b"", PLACE)
