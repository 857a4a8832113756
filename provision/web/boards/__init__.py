"""What the pages know of boards beyond their runs: what was looked up of them, what they print."""
