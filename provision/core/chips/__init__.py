"""Chip families: what is to be known of each kind of chip, and the chips by their names."""
