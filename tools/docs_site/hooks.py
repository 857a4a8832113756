"""What mkdocs calls while it builds the site. The pages are those of docs/ as GitHub shows them;
README.md is the front page, and what pages link to outside docs/, an example or a schema, comes
along.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from outside import Repository

ROOT = Path(__file__).resolve().parents[2]
repository = Repository(ROOT)


def on_config(config: Any) -> None:
    """A build begins: files may have changed since the last one (`mkdocs serve`)."""
    repository.forget()


def on_files(files: Files, config: Any) -> Files:
    """Add what is not in docs/: pages of the top level, then what any page links to."""
    for uri, text in repository.pages(ROOT / "docs"):
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Links as the site needs them; on GitHub they are relative to the repository."""
    return repository.relinked(markdown, page.file.src_uri)
