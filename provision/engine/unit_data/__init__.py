"""What one unit is given besides its files, on its board."""
