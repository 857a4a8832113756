"""A virtual board of a release before 1.22 treats its filesystem as that release's driver does."""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path

import pytest
from littlefs import LittleFS

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.core.littlefs_blocks import (
    VERSION_2_0,
    VERSION_2_1,
    disk_version,
    read_metadata,
    superblock_version,
    walk,
)
from provision.model.chip import Chip
from provision.sim.chip.flash import Work
from provision.sim.esp.firmware import build
from provision.sim.families import MODELS
from provision.sim.process.flash_faults import put_file
from provision.sim.setup import ResetCause
from tests.littlefs_samples import BLOCK, TWO_DRIVERS, block_of, blocks_of, superblock
from tests.sim.bench import RAW, Bench

OLD, NEW = "1.18.0", "1.26.1"
LISTED = "import os; print(sorted(os.listdir('/')))"
START = 0x200000
BLOCKS = 512


def filesystem(bench: Bench) -> bytes:
    """What is in flash where the firmware has its filesystem."""
    place = MODELS[bench.chip].filesystem_place(bench.setup, bench.flash)
    return bench.flash.read(place.offset, place.size)


def files(image: bytes, version: int = 0) -> dict[str, bytes]:
    """The files, read by littlefs itself; with `version`, one that refuses anything newer."""
    mounted = LittleFS(
        block_size=BLOCK,
        block_count=len(image) // BLOCK,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        disk_version=version,
        mount=False,
    )
    mounted.context.buffer = bytearray(image)
    mounted.mount()
    found = {}
    for folder, _, names in mounted.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with mounted.open(path, "rb") as file:
                found[path] = file.read()
    return found


def assert_all_2_0(image: bytes) -> None:
    for pair in walk(blocks_of(image), len(image) // BLOCK):
        for number in pair.blocks:
            assert not read_metadata(blocks_of(image)(number)).has_fcrc, number
    assert disk_version(blocks_of(image), len(image) // BLOCK) == VERSION_2_0


def put(bench: Bench, image: bytes) -> None:
    bench.flash.erase(START, BLOCKS * BLOCK)
    bench.flash.overwrite(START, image)


def flash(bench: Bench, version: str) -> None:
    """Another release; the filesystem stays."""
    bench.application.halt()
    image = build(bench.chip, version, flash_size=bench.setup.flash_size)
    bench.install(image)
    bench.output.clear()


def start(bench: Bench, cause: ResetCause = ResetCause.POWER_ON) -> None:
    bench.output.clear()
    bench.boot(cause)
    bench.raw()


def write(bench: Bench, path: str, text: str) -> None:
    bench.run(f"f = open({path!r}, 'w'); f.write({text!r}); f.close()")


@pytest.mark.parametrize("version", [OLD, "1.20.0", "1.21.0"])
def test_an_old_release_takes_the_elder_directory_without_a_word(
    tmp_path: Path, version: str
) -> None:
    """What 1.18 on an emulator with the real ROM showed of this very filesystem."""
    with Bench(tmp_path, firmware=version) as bench:
        put(bench, TWO_DRIVERS)
        before = bench.flash.read(START, BLOCKS * BLOCK)
        said = bench.boot()
        assert b"app ready 7\r\n" in said
        assert b"corrupt" not in said
        assert b"Performing initial setup" not in said
        bench.raw()
        assert bench.run(LISTED) == "['boot.py', 'data.bin', 'lib', 'main.py', 'page.html']"
        assert bench.run("print(open('/lib/helper.py').read())") == "VALUE = 7  # changed"
        bench.application.halt()
        assert bench.flash.read(START, BLOCKS * BLOCK) == before


def test_a_new_release_takes_the_newer_directory(tmp_path: Path) -> None:
    with Bench(tmp_path, firmware="1.22.0") as bench:
        put(bench, TWO_DRIVERS)
        bench.boot()
        bench.raw()
        listed = bench.run(LISTED)
        assert listed == "['.provision~boot.py', '.provision~main.py', 'data.bin', 'lib', " + (
            "'page.html']"
        )


def test_a_filesystem_all_of_2_1_is_a_damaged_one_to_an_old_release(tmp_path: Path) -> None:
    with Bench(tmp_path, firmware=NEW) as bench:
        start(bench)
        for number in range(30):  # until the root was moved to the other block, and more
            write(bench, f"/{number % 3}.py", f"new {number}")
        flash(bench, "1.18.0")
        image = filesystem(bench)
        assert superblock_version(image[: 2 * BLOCK]) == VERSION_2_1
        # Both blocks of the root are of 2.1: the old driver finds nothing that it knows.
        bench.application.boot(ResetCause.POWER_ON)
        assert b"The filesystem appears to be corrupted" in bench.until(b"programming).\r\n")
        bench.application.halt()
        assert filesystem(bench) == image


def test_down_and_up_again_loses_what_was_written_between(tmp_path: Path) -> None:
    """The way of a real ESP32: 1.18, 1.26.1, 1.18, 1.26.1, the files kept each time."""
    with Bench(tmp_path, firmware=OLD) as bench:
        start(bench)
        write(bench, "/first.py", "under 1.18")
        flash(bench, NEW)
        start(bench)
        write(bench, "/second.py", "under 1.26")
        assert bench.run(LISTED) == "['boot.py', 'first.py', 'second.py']"
        flash(bench, OLD)
        start(bench)
        assert bench.run(LISTED) == "['boot.py', 'first.py']"
        newer = [read_metadata(filesystem(bench)[place : place + BLOCK]) for place in (0, BLOCK)]
        write(bench, "/third.py", "under 1.18 again")
        assert bench.run(LISTED) == "['boot.py', 'first.py', 'third.py']"
        bench.application.halt()
        image = filesystem(bench)
        for which, was in enumerate(newer):
            now = read_metadata(image[which * BLOCK :][:BLOCK])
            assert now.revision == was.revision, "the old driver appends to the elder block"
            if was.has_fcrc:
                assert now == was, "and leaves the newer one alone"
            else:
                assert len(now.commits) > len(was.commits)
                assert not now.has_fcrc
        flash(bench, NEW)
        start(bench)
        assert bench.run(LISTED) == "['boot.py', 'first.py', 'second.py']"


def test_a_superblock_of_2_1_is_refused_as_invalid(tmp_path: Path) -> None:
    """In a commit that the old driver accepts, as the last one of a block is."""
    with Bench(tmp_path, firmware=OLD) as bench:
        image = block_of(superblock(VERSION_2_1, size=BLOCK, count=BLOCKS), size=BLOCK)
        put(bench, image)
        bench.application.boot(ResetCause.POWER_ON)
        assert b"The filesystem appears to be corrupted" in bench.until(b"programming).\r\n")
        bench.insist(b"\x03", b">>> ")
        bench.raw()
        mount = "import uos, flashbdev\ntry: uos.VfsLfs2(flashbdev.bdev)\n"
        assert bench.run(mount + "except OSError as e: print(e.errno)") == "22"
        bench.application.halt()
        assert bench.flash.read(START, BLOCK) == image


@pytest.mark.parametrize("chip", [ESP32, ESP8266])
def test_an_old_release_alone_loses_nothing_and_stays_2_0(tmp_path: Path, chip: Chip) -> None:
    """Over many sessions that end in every way; littlefs reads the flash, the board is not asked.

    Enough is written to fill and move directories several times.
    """
    seed = random.Random(str(chip))
    wanted: dict[str, bytes] = {}
    with Bench(tmp_path, chip, "1.19.1") as bench:
        start(bench)
        wanted["/boot.py"] = files(filesystem(bench))["/boot.py"]
        bench.run("import os; os.mkdir('/lib')")
        for session in range(15):
            for _ in range(seed.randrange(1, 8)):
                path = seed.choice(["/a.py", "/b.py", "/lib/c.py", "/lib/d.py", "/lib/e.py"])
                if path in wanted and seed.random() < 0.3:
                    bench.run(f"import os; os.remove({path!r})")
                    del wanted[path]
                else:
                    text = "x" * seed.choice([0, 10, 200, 900, 5000])
                    write(bench, path, text)
                    wanted[path] = text.encode()
            # Told by the driver: what the board has answered for is in flash already.
            assert files(filesystem(bench), VERSION_2_0) == wanted
            if session % 3 == 0:
                bench.type(b"\x04", RAW)
                bench.output.clear()
            elif session % 3 == 1:
                bench.application.halt()  # the power goes, or EN
                start(bench)
            else:
                bench.application.receive(b"import machine; machine.reset()\x04")
                bench.until_reset_request()
                start(bench, ResetCause.SOFTWARE)
            image = filesystem(bench)
            assert files(image, VERSION_2_0) == wanted
            assert_all_2_0(image)


@pytest.mark.parametrize("work", Work)
def test_a_power_cut_leaves_the_old_file_or_the_new_one(tmp_path: Path, work: Work) -> None:
    seed = random.Random(work.value)
    with Bench(tmp_path, firmware="1.20.0") as bench:
        start(bench)
        wanted = files(filesystem(bench))
        write(bench, "/kept.py", "k" * 3000)
        wanted["/kept.py"] = b"k" * 3000
        gone: list[bool] = []
        for number in range(16):
            gone.clear()
            text = str(number) * seed.choice([5, 400, 2000])
            path = seed.choice(["/a.py", "/b.py"])
            bench.application.cut_power(work, seed.randrange(1, 5), lambda: gone.append(True))
            code = f"f = open({path!r}, 'w'); f.write({text!r}); f.close()"
            bench.application.receive(code.encode() + b"\x04")
            bench.wait(lambda: bool(gone) or b"\x04>" in bench.output, "the power to fail")
            bench.application.cancel_power_cut()
            image = filesystem(bench)
            found = files(image, VERSION_2_0)
            assert_all_2_0(image)
            either = [wanted, {**wanted, path: text.encode()}, {**wanted, path: b""}]
            assert found in either
            wanted = found
            bench.application.halt()
            start(bench)
            assert bench.run(LISTED) == str(sorted(path[1:] for path in wanted))


def test_the_flash_keeps_up_with_a_driver_that_writes_without_pause(tmp_path: Path) -> None:
    with Bench(tmp_path, firmware="1.20.0", heap="1MB") as bench:
        start(bench)
        wanted = files(filesystem(bench))
        bench.run(
            "import os\n"
            "for i in range(12): os.mkdir('/d%d' % i)\n"
            "for i in range(120):\n"
            "    f = open('/d%d/f%d' % (i % 12, i), 'w'); f.write('x' * i * 5); f.close()\n"
            "for i in range(0, 120, 7): os.remove('/d%d/f%d' % (i % 12, i))"
        )
        for number in range(120):
            if number % 7:
                wanted[f"/d{number % 12}/f{number}"] = b"x" * number * 5
        image = filesystem(bench)
        assert files(image, VERSION_2_0) == wanted
        assert_all_2_0(image)


def test_the_program_reads_the_flash_as_the_old_driver_left_it(tmp_path: Path) -> None:
    with Bench(tmp_path, firmware="1.20.0") as bench:
        start(bench)
        write(bench, "/a.py", "content")
        read = f"import esp\nb = bytearray(4096)\nesp.flash_read({START} + %d, b)\nprint(b)"
        for block in (0, BLOCK):
            said = eval(bench.run(read % block))
            assert said == filesystem(bench)[block : block + BLOCK]
            assert not read_metadata(said).has_fcrc
        assert superblock_version(filesystem(bench)[: 2 * BLOCK]) == VERSION_2_0


def test_an_app_that_writes_its_filesystem_past_the_driver_has_written_it(tmp_path: Path) -> None:
    with Bench(tmp_path, firmware="1.20.0") as bench:
        start(bench)
        bench.run(f"import esp\nesp.flash_erase({START >> 12})\nesp.flash_write({START}, b'mine')")
        bench.application.halt()
        assert filesystem(bench)[:BLOCK] == b"mine".ljust(BLOCK, b"\xff")


def test_a_file_that_looks_like_a_filesystem_stays_as_it_is(tmp_path: Path) -> None:
    """Its first block is one of 2.1 to the byte; only directories are translated."""
    with Bench(tmp_path, firmware="1.20.0") as bench:
        start(bench)
        data = TWO_DRIVERS[:BLOCK] + bytes(100)
        bench.run("f = open('/image.bin', 'wb')")
        for place in range(0, len(data), 512):
            bench.run(f"f.write({data[place : place + 512]!r})")
        bench.run("f.close()")
        assert files(filesystem(bench), VERSION_2_0)["/image.bin"] == data
        bench.type(b"\x04", RAW)
        bench.output.clear()
        compare = (
            "from hashlib import sha256; print(sha256(open('/image.bin','rb').read()).digest()[:4])"
        )
        assert bench.run(compare) == repr(sha256(data).digest()[:4])
        assert files(filesystem(bench), VERSION_2_0)["/image.bin"] == data


def test_what_the_host_writes_for_an_old_release_it_can_read(tmp_path: Path) -> None:
    """`provision sim fault` writes its main.py into filesystems of either version."""
    with Bench(tmp_path, firmware="1.20.0") as bench:
        start(bench)
        write(bench, "/a.py", "content")
        bench.application.halt()
        put_file(bench.setup, bench.flash, "/main.py", b"print('from the host')\n")
        assert_all_2_0(filesystem(bench))
        bench.output.clear()
        assert b"from the host\r\n" in bench.boot()
        flash(bench, NEW)
        start(bench)
        write(bench, "/b.py", "content")
        bench.application.halt()
        put_file(bench.setup, bench.flash, "/main.py", b"print('once more')\n")
        assert disk_version(blocks_of(filesystem(bench)), BLOCKS) == VERSION_2_1
        bench.output.clear()
        assert b"once more\r\n" in bench.boot()


@pytest.mark.parametrize(
    ("version", "old"),
    [
        *(("1.13", True), ("1.18.0", True), ("1.21.0", True)),
        *(("1.22.0-preview.5.g1234567", False), ("1.22.0", False), ("1.26.1", False)),
    ],
)
def test_releases_from_1_22_on_work_on_the_flash_itself(
    tmp_path: Path, version: str, old: bool
) -> None:
    with Bench(tmp_path, firmware=version) as bench:
        bench.boot()
        assert (tmp_path / "driver-view.bin").exists() is old
        bench.application.halt()
        assert [path.name for path in tmp_path.glob("driver-view*")] == []
        found = superblock_version(filesystem(bench)[: 2 * BLOCK])
        assert found == (VERSION_2_0 if old else VERSION_2_1)
