"""The station of the end-to-end tests, for these too."""

from tests.apply.conftest import station

__all__ = ["station"]
