"""What runs leave on disk to be gone on from: their records, and plans that were saved."""
