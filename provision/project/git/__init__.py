"""What a git checkout says of itself, read from its files: no git process is started."""
