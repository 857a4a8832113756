"""Frozen dataclasses: the words of the tool, with no behaviour beyond small methods."""
