"""What one manifest is made of beside its own file: files that it includes, tables of devices."""
