"""`python tools/docs_site/reference.py` writes docs/reference/ and man/ anew, from the schemas, the
commands and the errors; with --check it says what is out of date, and ends with 1 if anything is.

They are kept in the repository: who reads on GitHub finds the pages there, a wheel the man pages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from command_page import commands_page
from error_page import errors_page
from event_page import events_page
from man_pages import man_pages
from schema_pages import config_page, manifest_page

from provision.project.schemas import schema_text

ROOT = Path(__file__).resolve().parents[2]
MADE = "<!-- Made by `python tools/docs_site/reference.py`; what is edited here is lost. -->\n\n"


def pages() -> dict[Path, str]:
    """Each page by its path."""
    made = {
        "commands.md": commands_page(),
        "config.md": config_page(json.loads(schema_text("config"))),
        "errors.md": errors_page(),
        "events.md": events_page(json.loads(schema_text("event"))),
        "manifest.md": manifest_page(json.loads(schema_text("fleet"))),
    }
    return {
        **{ROOT / "docs" / "reference" / name: MADE + text for name, text in made.items()},
        **{ROOT / "man" / name: text for name, text in man_pages().items()},
    }


def main(words: list[str]) -> int:
    """Write the pages, or compare them; the exit code."""
    made = pages()
    folders = {path.parent for path in made}
    old = {path: path.read_text("utf-8") for one in folders for path in one.glob("*.*")}
    if "--check" in words:
        differ = sorted(path for path in {*made, *old} if made.get(path) != old.get(path))
        for path in differ:
            where = path.relative_to(ROOT)
            print(f"{where} is out of date: python tools/docs_site/reference.py")
        return 1 if differ else 0
    for folder in folders:
        folder.mkdir(exist_ok=True)
    for path in old.keys() - made.keys():
        path.unlink()
    for path, text in made.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
