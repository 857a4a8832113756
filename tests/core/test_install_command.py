"""A hint's command reaches the installation that gave it, however that was made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provision.core.install_command import Installation

ROOT = Path(__file__).parents[2]


def installed(prefix: str, *, activated: bool = False) -> Installation:
    return Installation(prefix=prefix, executable=f"{prefix}/bin/python", activated=activated)


PIPX = installed("/home/you/.local/share/pipx/venvs/micropython-provision")
UV = installed("/home/you/.local/share/uv/tools/micropython-provision")


@pytest.mark.parametrize(
    ("installation", "extra", "esptool"),
    [
        (
            installed("/home/you/garden/.venv", activated=True),
            "pip install 'micropython-provision[sim]'",
            "pip install --upgrade esptool",
        ),
        (
            installed("/home/you/my garden/.venv"),
            "'/home/you/my garden/.venv/bin/python' -m pip install 'micropython-provision[sim]'",
            "'/home/you/my garden/.venv/bin/python' -m pip install --upgrade esptool",
        ),
        (
            PIPX,
            "pipx inject micropython-provision 'micropython-provision[sim]'",
            "pipx runpip micropython-provision install --upgrade esptool",
        ),
        (
            UV,
            "uv tool install 'micropython-provision[sim]'",
            f"uv pip install --python {UV.prefix} --upgrade esptool",
        ),
        (
            installed("/home/you/venvs/lab"),
            "/home/you/venvs/lab/bin/python -m pip install 'micropython-provision[sim]'",
            "/home/you/venvs/lab/bin/python -m pip install --upgrade esptool",
        ),
    ],
)
def test_by_how_it_was_installed(installation: Installation, extra: str, esptool: str) -> None:
    assert installation.install_extra("sim") == extra
    assert installation.install("--upgrade esptool") == esptool


@pytest.mark.skipif(sys.platform == "win32", reason="there `pip` it is")
@pytest.mark.parametrize("activated", [True, False])
def test_of_an_environment(tmp_path: Path, activated: bool) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    code = "from provision.core.install_command import *; print(install_command('x'))"
    active = {"VIRTUAL_ENV": str(tmp_path / "v")} if activated else {}
    told = subprocess.run(
        [tmp_path / "v/bin/python", "-c", code], env={"PYTHONPATH": str(ROOT), **active},
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    assert told == ("pip install x" if activated else f"{tmp_path}/v/bin/python -m pip install x")
