"""A board's flash in a run: looked at without its firmware, written, and its app kept from
starting from outside."""
