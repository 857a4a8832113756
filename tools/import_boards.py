"""Import the list of boards from a checkout of MicroPython, for `board:` by a release's name.

    python tools/import_boards.py ../micropython

reads the board.json of every board, and writes provision/boards/micropython.json: facts alone (name
of the release, product, vendor, chip, features, variants). Boards of ports that no chip family
takes are kept by name, so that an error can say which port a board belongs to. What contradicts
this tool's own tables is printed, and is for the maintainer to judge.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from provision.core.chips.esp.chips import CHIPS as ESP_CHIPS
from provision.core.chips.esp.image import BOOT_OFFSETS
from provision.core.chips.rp2.chips import CHIPS as RP2_CHIPS

OUT = Path(__file__).parents[1] / "provision" / "boards" / "micropython.json"
PORTS = ("esp8266", "esp32", "rp2")
CHIPS = {chip.name: chip for chip in (*ESP_CHIPS, *RP2_CHIPS)}


def entry(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """What is kept of one board.json; SystemExit names a chip that nobody knows."""
    if data["mcu"] not in CHIPS:
        raise SystemExit(f"{name} has the chip {data['mcu']}, which no family has")
    kept: dict[str, Any] = {
        "product": data["product"].strip(),
        "vendor": data["vendor"].strip(),
        "chip": data["mcu"],
        "features": sorted(data["features"]),
        "url": data["url"].strip(),
    }
    if variants := data.get("variants"):
        kept["variants"] = dict(sorted(variants.items()))
    return kept


def contradictions(name: str, data: dict[str, Any]) -> list[str]:
    """Where a board.json says something else than this tool does."""
    offset = data.get("deploy_options", {}).get("flash_offset")
    ours = BOOT_OFFSETS.get(CHIPS[data["mcu"]])
    if offset is None or int(offset, 0) == ours:
        return []
    return [f"{name}: board.json has it written to {offset}, a {data['mcu']} starts at {ours:#x}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkout", type=Path, help="a checkout of micropython/micropython")
    checkout: Path = parser.parse_args().checkout
    boards: dict[str, Any] = {}
    others: dict[str, str] = {}
    for path in sorted(checkout.glob("ports/*/boards/*/board.json")):
        port, name = path.parts[-4], path.parts[-2]
        if port not in PORTS:
            others[name] = port
            continue
        data = json.loads(path.read_text("utf-8"))
        boards[name] = entry(name, data)
        for line in contradictions(name, data):
            print(line, file=sys.stderr)
    if not boards:
        raise SystemExit(f"{checkout} is no checkout of MicroPython: it has no ports/*/boards")
    described = subprocess.run(
        ["git", "-C", str(checkout), "describe", "--tags", "--always"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    written = {"micropython": described.stdout.strip(), "boards": boards, "others": others}
    OUT.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{len(boards)} boards, {len(others)} of other ports: {OUT}")


if __name__ == "__main__":
    main()
