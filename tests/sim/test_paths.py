"""Where the sockets of virtual boards lie: wherever it is, the path is short enough for one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from provision.sim.paths import socket_path


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "TMPDIR"])
@pytest.mark.parametrize("length", [30, 50, *range(55, 66), 120])
def test_a_socket_has_a_short_path_wherever_temporary_files_go(
    monkeypatch: pytest.MonkeyPatch, variable: str, length: int
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        base = Path(folder) / ("x" * (length - len(folder) - 1))
        base.mkdir()
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.setenv(variable, str(base))
        path = socket_path(Path("/anywhere"), "kitchen")
        assert len(str(path)) <= 100
        assert path.is_relative_to(base) == (
            len(str(base / path.relative_to(path.parents[1]))) <= 100
        )
