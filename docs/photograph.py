"""Photograph the pages of `provision serve` for the docs: `python docs/photograph.py`.

The demo fleet of virtual boards, served as anybody would, looked at in Chromium: `docs/web-*.png`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from provision import load  # noqa: E402 - found through the line above
from tests.web.browser import chromium  # noqa: E402 - found through the line above

WIDTH, HEIGHT = 1180, 760
FLEET = "examples/demo/fleet.yaml"


def main() -> None:
    """Make the boards, serve them, and take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROVISION_STATE_DIR"] = f"{folder}/state"
        os.environ["PROVISION_SIM_HOME"] = f"{folder}/boards"
        lock = (ROOT / FLEET).with_name("fleet.lock")
        lock.unlink(missing_ok=True)  # it knows the boards of another home
        subprocess.run([sys.executable, "examples/demo"], cwd=ROOT, check=True)
        serving = subprocess.Popen(
            [sys.executable, "-m", "provision", "serve", FLEET, "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            photograph(link(serving))
        finally:
            serving.terminate()
            serving.wait()
            boards = list(load(ROOT / FLEET).devices)
            subprocess.run(
                [sys.executable, "-m", "provision", "sim", "rm", *boards], cwd=ROOT, check=True
            )
            lock.unlink(missing_ok=True)


def link(serving: subprocess.Popen[str]) -> str:
    """The link to operate that the server prints."""
    assert serving.stdout is not None
    for line in serving.stdout:
        found = re.match(r"to operate: (\S+)", line)
        if found:
            return found[1]
    raise SystemExit("provision serve did not start")


def photograph(start: str) -> None:
    """The fleet amid a plan, a run, and a device in the dark."""
    with chromium() as browser:
        for scheme in ("light", "dark"):
            context = browser.new_context(
                color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB"
            )
            page = context.new_page()
            page.goto(start)
            home = page.url
            if scheme == "light":
                page.get_by_label("kitchen", exact=True).check()
                page.get_by_label("garden", exact=True).check()
                page.screenshot(path=ROOT / "docs" / "web-fleet.png")
                page.get_by_role("button", name="Apply", exact=True).click()
                page.get_by_text("2 of 2 devices done").wait_for()
                page.set_viewport_size({"width": WIDTH, "height": 400})
                page.screenshot(path=ROOT / "docs" / "web-run.png")
            else:
                page.goto(f"{home}devices/gate")
                page.get_by_role("button", name="List its files").click()
                page.get_by_role("button", name="Read /config.json").wait_for()
                page.get_by_role("button", name="Look at the board").click()
                page.locator("#facts-of-board").get_by_text("MicroPython").wait_for()
                page.goto(f"{home}devices/gate")
                page.screenshot(path=ROOT / "docs" / "web-device.png")
            context.close()


if __name__ == "__main__":
    main()
