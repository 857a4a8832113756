"""`python3 examples/demo`: provision a fleet of six virtual boards, with nothing but Python.

Sets up what is needed, builds the firmware and the boards as they might be met (blank, with an
old MicroPython, without reset lines), and applies `fleet.yaml` as `provision apply --yes` would.
The one thing a computer cannot do, hold the button of the bare board in the cellar, is done here
by the virtual board's control. Run it again and nothing changes; edit a file, a variable, a
version, and only that is done.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent.parent)

from examples.environment import enter  # noqa: E402 - found through the line above

enter("sim")

from examples.virtual import firmware_image, provision, run  # noqa: E402
from provision import apply, load  # noqa: E402
from provision.api import Event, ManualActionNeeded  # noqa: E402
from provision.output.setup import open_outputs  # noqa: E402
from provision.sim import paths  # noqa: E402

FLEET = HERE / "fleet.yaml"
FIRMWARE = HERE / "firmware"
VERSION = "1.24.1"
OLD = ("gate", "esp32", "1.20.0")  # this board is met with an older MicroPython


def build(chip: str, version: str) -> Path:
    """A small firmware image for a virtual chip."""
    suffix = "uf2" if chip == "rp2040" else "bin"
    return firmware_image(FIRMWARE / f"{chip}-{version}.{suffix}", chip, version)


def main() -> int:
    """Prepare, then apply; the exit code is that of `provision apply`."""
    for chip in ("esp8266", "esp32", "esp32c3", "rp2040"):
        build(chip, VERSION)
    name, chip, version = OLD
    if not paths.directory(name).exists():
        provision("sim", "up", name, "--chip", chip, "--set", f"firmware={build(chip, version)}")
    fleet = load(FLEET)
    asked: set[str] = set()
    with open_outputs(stdout=sys.stdout, stderr=sys.stderr) as outputs:

        def on_event(event: Event) -> None:
            outputs.handle(event)
            if isinstance(event, ManualActionNeeded) and event.device not in asked:
                asked.add(event.device)
                provision("sim", "press", event.device, "boot", "reset")

        report = apply(fleet, yes=True, operator=True, on_event=on_event)
    return report.exit_code()


if __name__ == "__main__":
    run(main)
