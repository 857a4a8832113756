"""Files to a board: the stream, its form and its rate, and the fallback on old firmware."""
