"""What docs/security.md promises, where no other test shows it already."""
