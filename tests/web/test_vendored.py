"""What is vendored is what its authors have published, with its licence, and nothing else is."""

from __future__ import annotations

import hashlib

from provision.web.rendering import STATIC

# From the packages htmx.org 2.0.11 and htmx-ext-sse 2.2.4 of npm, unchanged: `npm pack`.
PUBLISHED = {
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "htmx-ext-sse.min.js": "98a46496de0c3605fbffdce9167ba427bdd9553184f83f149c261891a92c0136",
}


def test_the_scripts_of_others_are_as_published() -> None:
    vendored = STATIC / "vendor"
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in vendored.glob("*.js")
    }
    assert found == PUBLISHED
    for name in ("LICENSE-htmx", "LICENSE-htmx-ext-sse"):
        assert "Permission to use, copy, modify, and/or distribute" in (vendored / name).read_text()
