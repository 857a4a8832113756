"""Words that codespell knows as misspelt are in no page, schema, example or explanation."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.site import ROOT

READ = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs", "schemas", "ansible",
        "examples", "provision/boards", "provision/cli/errors.md", "mkdocs.yml")  # fmt: skip


def test_no_word_is_misspelt() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *READ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0
