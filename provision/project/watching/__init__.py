"""What a project hangs on, and when that changes."""
