"""The files that one manifest is made of, as they are on the disk."""
