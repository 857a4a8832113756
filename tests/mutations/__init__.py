"""Deliberate bugs, and the tests that catch them: `python -m tests.mutations`."""
