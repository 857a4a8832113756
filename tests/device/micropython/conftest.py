"""Virtual boards are ports here."""

from tests.virtual_ports import virtual_ports

__all__ = ["virtual_ports"]
