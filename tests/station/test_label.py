"""The label of `examples/station`: what a printer gets, with segno and without."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

LABEL = Path(__file__).parents[2] / "examples" / "station" / "label.py"
UNIT = {"name": "PV-001000", "mac": "24:6f:28:aa:00:01", "number": "001000", "state": "done"}
FINDER = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"]
SCALE, BORDER = 8, 4


def label(folder: Path, *flags: str) -> None:
    unit = json.dumps(UNIT).encode()
    subprocess.run([sys.executable, *flags, str(LABEL)], input=unit, cwd=folder, check=True)


def modules(png: bytes) -> list[str]:
    """The modules of a QR code in a PNG of one bit a pixel, "1" where it is dark."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = int.from_bytes(png[16:20], "big")
    assert (png[20:24], png[24:26]) == (png[16:20], b"\x01\x00")  # square, one bit, grey
    start = png.index(b"IDAT")
    length = int.from_bytes(png[start - 4 : start], "big")
    data = zlib.decompress(png[start + 4 : start + 4 + length])
    stride = 1 + -(-size // 8)
    rows = [data[at * stride + 1 : (at + 1) * stride] for at in range(size)]
    bits = ["".join(f"{byte:08b}" for byte in row)[:size] for row in rows]
    return [
        "".join("1" if bit == "0" else "0" for bit in row[::SCALE])[BORDER:-BORDER]
        for row in bits[::SCALE]
    ][BORDER:-BORDER]


def test_what_a_zebra_printer_gets(tmp_path: Path) -> None:
    label(tmp_path, "-I", "-S")  # nothing that was installed is found
    assert [path.name for path in (tmp_path / "labels").iterdir()] == ["PV-001000.zpl"]
    text = (tmp_path / "labels" / "PV-001000.zpl").read_text()
    assert text.startswith("^XA") and text.endswith("^XZ\n")
    assert "^BQN,2,5^FDMA,PV-001000 24:6f:28:aa:00:01^FS" in text
    assert text.count("^FD") == text.count("^FS") == 3


def test_the_qr_code_of_any_other_printer(tmp_path: Path) -> None:
    pytest.importorskip("segno")
    label(tmp_path)
    code = modules((tmp_path / "labels" / "PV-001000.png").read_bytes())
    assert len(code) == len(code[0]) == 29  # version 3: 27 bytes at level M
    for rows, at in ((code[:7], 0), (code[:7], -7), (code[-7:], 0)):
        assert [row[at:][:7] for row in rows] == FINDER
