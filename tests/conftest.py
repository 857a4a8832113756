"""What every test stands on: state and locks of its own, never the user's or another test's. And
what is asked of them where nothing may go unseen: that each of them was run.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

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


SKIPS_FAIL = pytest.StashKey[bool]()
MAY_SKIP = Path(__file__).parent / "hw"  # a real board is nowhere by itself
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-skips",
        action="store_true",
        default=os.environ.get("CI") == "true",
        help="A test that is skipped has failed, but for want of a real board (tests/hw); so it is "
        "where CI=true is set.",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPS_FAIL] = config.getoption("--fail-skips")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged((yield), item.path, item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    path = getattr(collector, "path", Path())
    return _judged((yield), path, collector.config)


def _judged(report: Report, path: Path, config: pytest.Config) -> Report:
    """A skip as a failure, with its reason, where skips fail."""
    skipped = report.outcome == "skipped" and not hasattr(report, "wasxfail")
    if skipped and config.stash[SKIPS_FAIL] and MAY_SKIP not in path.parents:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"not run, and it must be: {str(reason).removeprefix('Skipped: ')}"
    return report


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Chips are told by name."""
    return val.name if isinstance(val, Chip) else None


@pytest.fixture(autouse=True)
def own_directories(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Run records, locks and configuration of this test; what it starts inherits the setting.

    Locks are kept by the name of a port, and virtual boards of two tests may share one.
    """
    path = tmp_path_factory.mktemp("own")
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(path / "run"))
    monkeypatch.setenv("PROVISION_STATE_DIR", str(path / "state"))
    monkeypatch.setenv("PROVISION_CACHE_DIR", str(path / "cache"))
    config = path / "config.yaml"
    config.touch(mode=0o600)
    monkeypatch.setenv("PROVISION_CONFIG", str(config))
    return path
