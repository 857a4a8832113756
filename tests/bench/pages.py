"""What the pages of `provision serve` cost beside the terminal: `python -m tests.bench.pages`.

Over virtual boards that are converged it does the same by both, one after the other: an apply that
changes nothing, and one that changes a file. Of the server and of the terminal it is the CPU of
that process, of the page that of Chromium's renderer, with the page of the fleet open all the
while; so the figures hold on a machine that does other work too.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.bench.growth import apply, fleet
from tests.web.browser import PATIENCE, chromium

LOADS = 5
COUNT = """() => {
  window.told = {messages: 0, bytes: 0};
  document.addEventListener("htmx:sseMessage", (event) => {
    window.told.messages += 1;
    window.told.bytes += event.detail.data.length;
  });
}"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is up, and the link to operate it."""

    process: psutil.Process
    link: str

    @property
    def cpu(self) -> float:
        return used(self.process)


def used(process: psutil.Process) -> float:
    """Seconds of processor, user and system."""
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def served(home: Path, environment: dict[str, str]) -> Iterator[Server]:
    """`provision serve` of the fleet."""
    process = subprocess.Popen(
        [sys.executable, "-m", "provision", "serve", str(home / "fleet.yaml"), "--port", "0"],
        env=environment, cwd=home, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(r"to operate: (\S+)", process.stdout.readline())
        assert found is not None
        yield Server(process=psutil.Process(process.pid), link=found[1])
    finally:
        process.terminate()
        process.communicate()


def renderer() -> psutil.Process:
    """The process of the one page that is open: of Chromium's, the one that has worked most."""
    family = psutil.Process().children(recursive=True)
    return max((one for one in family if "--type=renderer" in one.cmdline()), key=used)


def applied(page: Any, server: Server, boards: int) -> dict[str, float]:
    """An apply of all, started on the page of the fleet and seen there to its end."""
    fresh = page.context.new_page()
    fresh.goto(server.link.partition("/?")[0])
    fresh.get_by_label(f"all {boards} shown").check()
    at, drawn = server.cpu, used(renderer())
    page.evaluate(COUNT)
    fresh.get_by_role("button", name="Apply", exact=True).click()
    fresh.close()
    page.bring_to_front()
    page.locator("#jobs p").first.wait_for(timeout=10 * PATIENCE)
    page.locator("#jobs p").first.wait_for(state="detached", timeout=10 * PATIENCE)
    told = page.evaluate("window.told")
    return {
        "server": server.cpu - at, "page": used(renderer()) - drawn,
        "messages": told["messages"], "kilobytes": told["bytes"] / 1000,
    }  # fmt: skip


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pages", description=__doc__)
    parser.add_argument("--boards", type=int, default=300, metavar="N")
    boards = parser.parse_args().boards
    with (
        fleet(boards) as (home, environment),
        chromium() as browser,
        served(home, environment) as server,
    ):
        page = browser.new_context().new_page()
        page.set_default_timeout(PATIENCE)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(server.link)
        at = server.cpu
        for _ in range(LOADS):
            page.reload()
        cost = devtools.send("Performance.getMetrics")["metrics"]
        task = {one["name"]: one["value"] for one in cost}["TaskDuration"]
        paint = page.evaluate("performance.getEntriesByType('paint').at(-1).startTime")
        print(
            f"the page of {boards} devices, {len(page.content()) / 1000:.0f} kB: "
            f"server {(server.cpu - at) / LOADS:.3f} s of CPU a load, main thread of the "
            f"browser {task:.3f} s for the last one, first paint after {paint:.0f} ms"
        )
        for job in ("nothing changes", "a file changes"):
            for way in ("terminal", "page"):
                if job == "a file changes":
                    (home / "app/main.py").write_text(f"print({way!r})\n")
                if way == "terminal":
                    print(f"{job}, terminal: {apply(home, environment)[1]:.2f} s of CPU")
                else:
                    cost = applied(page, server, boards)
                    print(f"{job}, page: " + ", ".join(f"{k} {v:.2f}" for k, v in cost.items()))


if __name__ == "__main__":
    main()
