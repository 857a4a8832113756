"""Declarative provisioning of MicroPython boards: a manifest in, a matching fleet out."""

__version__ = "0.1.0"
