"""The progress of downloads on a terminal."""

from __future__ import annotations

import sys

from provision.core.wording import one_line


class TerminalProgress:
    """One line on standard error, removed when the download is over."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, url: str, done: int, total: int | None) -> None:
        if done == total:
            text = ""
        else:
            share = f"{100 * done // total} %" if total else f"{done >> 10} kB"
            text = f"downloading {one_line(url.rpartition('/')[2])[:50]}: {share}"
        if text != self._shown:
            self._shown = text
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
