"""What every test stands on: state and locks of its own, never the user's or another test's."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from provision.model.chip import Chip

# How long an example takes says what else the machine is doing, and nothing about the code.
settings.register_profile(
    "provision",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For `tests.mutations`, where it matters that a test fails, and not how small the example is.
settings.register_profile(
    "unshrunk", settings.get_profile("provision"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("provision")


# Shells start background jobs with Ctrl-C ignored, nohup its command with SIGHUP ignored, and every
# command of a test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Chips are told by name."""
    return val.name if isinstance(val, Chip) else None


@pytest.fixture(autouse=True)
def own_directories(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Run records and locks of this test; processes that it starts inherit the setting.

    Locks are kept by the name of a port, and virtual boards of two tests may share one.
    """
    path = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(path / "run"))
    monkeypatch.setenv("PROVISION_STATE_DIR", str(path / "state"))
    monkeypatch.setenv("PROVISION_CACHE_DIR", str(path / "cache"))
    return path
