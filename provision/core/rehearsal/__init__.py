"""What a rehearsal is made of: its runs, the faults of each twin, and what its result must be."""
