"""The version, alone, where the build reads it."""

__version__ = "0.2.0"
