"""A virtual ESP32 with images that MicroPython's own makefiles built, not with ours."""

from __future__ import annotations

from tests.apply.station import Station
from tests.images import real_images


def manifest(image: str) -> str:
    return f"""
        devices:
          board:
            port: sim://board?chip=esp32&flash=4MB
            board: esp32
            firmware: {{file: {image}}}
            files: [main.py]
            check: {{console: app runs}}
        """


def test_a_real_image_converges_and_a_later_one_keeps_the_files(station: Station) -> None:
    older, newer = (path.read_bytes() for path in real_images())
    station.write("older.bin", older)
    station.write("newer.bin", newer)
    station.write("main.py", "print('app runs')\n")

    station.write("fleet.yaml", manifest("older.bin"))
    first = station.apply("--yes")
    older_version = "1.15-108-g43e7e5f00-dirty"
    assert first.done("board")[:2] == ["erase-flash", f"write-firmware {older_version}"]
    # The one-piece image is padded over NVS: what reached the flash is it without that.
    flash = station.flash("board")
    assert flash[0x1000:0x9000] == older[:0x8000]
    assert flash[0x10000 : 0x1000 + len(older)] == older[0xF000:]

    station.put("board", {"/kept.txt": "by the app"})
    again = station.apply()
    assert again.outcomes == {"board": "ok"}
    assert again.planned("board") == []

    station.write("fleet.yaml", manifest("newer.bin"))
    update = station.apply()
    assert update.done("board") == ["write-firmware 1.16-237-g1613dc8a1-dirty", "reset", "check"]
    assert station.files("board") == {
        "/kept.txt": b"by the app",
        "/main.py": b"print('app runs')\n",
    }
    facts = station.provision("facts", "--json")
    assert '"firmware": "1.16-237-g1613dc8a1-dirty"' in facts.out
