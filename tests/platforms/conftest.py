"""The station of `tests/apply`, here too."""

from __future__ import annotations

from tests.apply import conftest

station = conftest.station
