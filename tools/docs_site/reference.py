"""`python tools/docs_site/reference.py` writes docs/reference/ anew, from the schemas, the commands
and the errors; with --check it says what is out of date, and ends with 1 if anything is.

The pages are kept in the repository, where who reads on GitHub finds them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from command_page import commands_page
from error_page import errors_page
from event_page import events_page
from schema_pages import config_page, manifest_page

from provision.project.schemas import schema_text

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made by `python tools/docs_site/reference.py`; what is edited here is lost. -->\n\n"


def pages() -> dict[str, str]:
    """Each page by its name in docs/reference/."""
    made = {
        "commands.md": commands_page(),
        "config.md": config_page(json.loads(schema_text("config"))),
        "errors.md": errors_page(),
        "events.md": events_page(json.loads(schema_text("event"))),
        "manifest.md": manifest_page(json.loads(schema_text("fleet"))),
    }
    return {name: MADE + text for name, text in made.items()}


def main(words: list[str]) -> int:
    """Write the pages, or compare them; the exit code."""
    made = pages()
    old = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
    if "--check" in words:
        differ = sorted(name for name in {*made, *old} if made.get(name) != old.get(name))
        for name in differ:
            print(f"docs/reference/{name} is out of date: python tools/docs_site/reference.py")
        return 1 if differ else 0
    FOLDER.mkdir(exist_ok=True)
    for name in old.keys() - made.keys():
        (FOLDER / name).unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
