"""What the site shows besides docs/: pages of the repository's top level, and each file or folder
that a page links to, as a page of its own. Knows the repository and Markdown, nothing of mkdocs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from posixpath import relpath

# Pages that do not lie in docs/, and what they are called on the site.
TOP = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security-policy.md",
}
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
# What a page says to who tests it.
COMMENT = re.compile(r"^<!--.*?-->\n", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE = ("https://", "http://", "mailto:")
LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".py": "python", ".sh": "bash"}
UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n"


class Repository:
    """Where each file of the repository is on the site."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sources: dict[str, Path] = {}

    def forget(self) -> None:
        """Which pages there are is found anew."""
        self._sources = {uri: self.root / name for name, uri in TOP.items()}

    def pages(self, docs: Path) -> Iterator[tuple[str, str]]:
        """Each page that is not in `docs`: its place on the site, and its Markdown."""
        waiting = [self.root / name for name in TOP]
        for path in waiting:
            yield self.uri(path), path.read_text("utf-8")
        waiting += sorted(docs.rglob("*.md"))
        while waiting:
            page = waiting.pop()
            for path in self._linked(page):
                uri = self.uri(path)
                if docs in path.parents or uri in self._sources:
                    continue
                self._sources[uri] = path
                yield uri, self._shown(path)
                waiting.append(path)

    def uri(self, path: Path) -> str:
        """Where a file of the repository is on the site."""
        name = path.relative_to(self.root).as_posix()
        if name in TOP:
            return TOP[name]
        if name.startswith("docs/"):
            return name.removeprefix("docs/")
        if path.is_dir():
            return f"source/{name}/index.md"
        return f"source/{name}" if path.suffix == ".md" else f"source/{name}.md"

    def relinked(self, markdown: str, uri: str) -> str:
        """The Markdown of the page at `uri`, its links leading to where things are on the site."""
        source = self._sources.get(uri, self.root / "docs" / uri)
        folder = source if source.is_dir() else source.parent

        def moved(link: str) -> str:
            path, hash_sign, anchor = link.partition("#")
            target = Path(os.path.normpath(folder / path))
            if link.startswith(ELSEWHERE) or not path or not target.exists():
                return link
            return relpath(self.uri(target), Path(uri).parent.as_posix()) + hash_sign + anchor

        return _outside_code(
            COMMENT.sub("", markdown),
            lambda text: LINK.sub(lambda match: f"]({moved(match[1])})", text),
        )

    def _linked(self, page: Path) -> Iterator[Path]:
        """The files of the repository that a page links to, or a folder holds."""
        if page.is_dir():
            yield from (each for each in sorted(page.iterdir()) if _is_shown(each))
        elif page.suffix == ".md":
            for link in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
                target = Path(os.path.normpath(page.parent / link.partition("#")[0]))
                inside = self.root in target.parents and target.exists()
                if inside and not link.startswith((*ELSEWHERE, "#")):
                    yield target

    def _shown(self, path: Path) -> str:
        """A page that shows a file, or what a folder holds."""
        name = path.relative_to(self.root).as_posix()
        if path.suffix == ".md":
            return path.read_text("utf-8")
        if path.is_dir():
            entries = [
                f"{each.name}/" if each.is_dir() else each.name for each in self._linked(path)
            ]
            listed = "\n".join(f"- [{entry}]({entry})" for entry in entries)
            return f"{UNSEARCHED}# {name}/\n\n{listed}\n"
        language = LANGUAGES.get(path.suffix, "text")
        return f"{UNSEARCHED}# {name}\n\n````{language}\n{path.read_text('utf-8')}\n````\n"


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """`markdown` with everything changed that is not code."""
    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [change(markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(markdown[end:])])


def _is_shown(path: Path) -> bool:
    if path.name.startswith((".", "__")):
        return False
    if path.is_dir():
        return True
    try:
        path.read_text("utf-8")
    except UnicodeDecodeError:
        return False
    return True
